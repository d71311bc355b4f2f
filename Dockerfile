# Outboard's image. `make image` builds it and says what came of it; a plain `docker build .` does as well.
#
# A base that cannot change under you is named by its digest: look it up with your engine (`docker buildx imagetools
# inspect python:3.13-slim-bookworm`) and build with --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# An index of your own, if you have one: --build-arg PIP_INDEX_URL=...; the hashes hold for it, too.
ARG PIP_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What is run: an environment without pip, filled by the pip outside of it.
COPY requirements.txt ./
RUN python -m venv --without-pip /opt/outboard \
 && python -m pip --python /opt/outboard/bin/python install --quiet --no-compile --require-hashes \
      --only-binary=:all: -r requirements.txt

# What builds the package is held to its hashes as well, and stays behind.
COPY requirements-build.txt ./
RUN python -m venv /opt/builder \
 && /opt/builder/bin/python -m pip install --quiet --require-hashes --only-binary=:all: -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
RUN /opt/builder/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /build/dist . \
 && python -m pip --python /opt/outboard/bin/python install --quiet --no-compile --no-deps --no-index \
      /build/dist/*.whl

# The root file system may be read-only, so byte code is made here; nothing changes later, so nothing is compared.
COPY image/trim.py ./
RUN /opt/outboard/bin/python -B trim.py \
 && /opt/outboard/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/outboard/lib


FROM ${PYTHON_IMAGE}
# The base's own pip goes. Its standard library comes without byte code: start-up would compile it anew each time.
RUN groupadd --gid 65532 outboard \
 && useradd -K UID_MAX=65532 --uid 65532 --gid 65532 --home-dir /var/lib/outboard --no-create-home --shell /usr/sbin/nologin outboard \
 && install -d -o 65532 -g 65532 -m 0750 /var/lib/outboard \
 && install -d /etc/outboard \
 && lib="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && rm -rf "$lib"/site-packages/* "$lib"/ensurepip "$lib"/idlelib "$lib"/tkinter "$lib"/turtledemo "$lib"/pydoc_data \
      /usr/local/bin/pip* /usr/local/bin/idle* \
 && python -m compileall -q --invalidation-mode unchecked-hash "$lib"
COPY --from=build /opt/outboard /opt/outboard
ENV PATH=/opt/outboard/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1 \
    OUTBOARD_CONFIG=/etc/outboard
# Where `State: {Type: sqlite}` keeps its file unless it is told otherwise.
WORKDIR /var/lib/outboard
# By number: Kubernetes cannot tell whether a name is root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["outboard"]
CMD ["run"]
# At the end, so that a new commit makes no layer anew. Orchestrators ask /livez and /readyz: no HEALTHCHECK.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="outboard" \
      org.opencontainers.image.description="AWS Lambda event source mappings as a service of your own." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
