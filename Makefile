# Every target does its own set-up: a virtual environment in .cache/, made anew when its requirements change.
# PYTHON chooses the interpreter: make test PYTHON=python3.13

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
CACHE := .cache
DEMO := $(CACHE)/demo-$(VERSION)
DEV := $(CACHE)/dev-$(VERSION)
RUN := $(DEV)/bin/python
PIP := -m pip install --quiet --disable-pip-version-check --no-input
PYTEST_ARGS ?=
COMPUTING := tests/unit tests/simulation tests/chart
SEEDS ?= 10000
SEED_FROM ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format generate image e2e-kube bench simulate chaos lock clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

$(DEMO)/ready: requirements-demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Outboard needs Python 3.11 or newer; try make PYTHON=python3.13")'
	@echo "setting up $(DEMO) (once, about a minute)"
	@rm -rf $(DEMO) && $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python $(PIP) --require-hashes -r requirements-demo.txt
	@echo "$(CURDIR)/service" > "$$($(DEMO)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outboard.pth"
	@touch $@

$(DEV)/ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Outboard needs Python 3.11 or newer; try make PYTHON=python3.13")'
	@echo "setting up $(DEV) (once, about a minute)"
	@rm -rf $(DEV) && $(PYTHON) -m venv $(DEV)
	@$(RUN) $(PIP) --require-hashes -r requirements-dev.txt
	@echo "$(CURDIR)/service" > "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outboard.pth"
	@touch $@

demo: $(DEMO)/ready ## watch it work on this machine, without an account
	@$(DEMO)/bin/python -m outboard demo $(DEMO_ARGS)

test: $(DEV)/ready ## run every test; fetches and starts the servers it needs
ifneq ($(strip $(PYTEST_ARGS)),)
	@$(RUN) -m pytest -q $(PYTEST_ARGS)
else
# What only computes takes every core; what talks to servers and measures times has the machine to itself.
	@$(RUN) -m pytest -q -n auto --dist loadfile $(COMPUTING); computed=$$?; \
	  $(RUN) -m pytest -q $(COMPUTING:%=--ignore=%) && exit $$computed
endif

test-fast: $(DEV)/ready ## run the unit tests alone
	@$(RUN) -m pytest -q -n auto --dist loadfile tests/unit $(PYTEST_ARGS)

check: $(DEV)/ready ## lint, types, import contracts, committed files that are generated
	@$(DEV)/bin/ruff format --check --quiet .
	@$(DEV)/bin/ruff check --quiet .
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports
	@$(RUN) -m helm.generate --check
	@$(RUN) -m tests.chart
	@echo "check: all good"

format: $(DEV)/ready ## put the code in order
	@$(DEV)/bin/ruff format --quiet .
	@$(DEV)/bin/ruff check --fix --quiet .

generate: $(DEV)/ready ## write the files that are made from others: schemas, the list of metrics, the chart's README
	@$(RUN) -m outboard.config.schema > configs/outboard.schema.json
	@$(RUN) -m outboard.observe.catalogue > docs/metrics.md
	@$(RUN) -m helm.generate

image: ## build the container image with docker, podman or buildah; IMAGE_TAR=FILE also writes it as a docker-archive
	@image/build

e2e-kube: $(DEV)/ready ## install the chart on the cluster in KUBECONFIG, and disturb it under load (about 8 minutes)
	@: $${KUBECONFIG:?set it to the file of the cluster to test on}
	@: $${OUTBOARD_KUBE_LOAD:?set it to the command that hands image archives to the cluster, such as \"kind load image-archive\"}
	@IMAGE_TAR=$(CACHE)/image/outboard.tar image/build
	@$(RUN) -m tests.kube.parts.context
	@IMAGE_TAR=$(CACHE)/image/parts.tar image/build outboard-e2e-parts $(CACHE)/image/parts
	@OUTBOARD_E2E_KUBE=1 $(RUN) -m pytest -q tests/kube $(PYTEST_ARGS)

bench: $(DEV)/ready ## measure against the plain script; writes docs/performance.md
	@$(RUN) -m bench $(BENCH_ARGS)

simulate: $(DEV)/ready ## SEEDS=N SEED_FROM=K worlds with faults on a virtual clock
	@$(RUN) -m tests.simulation --seeds $(SEEDS) --from $(SEED_FROM)

chaos: $(DEV)/ready ## kill -9 under load and what befalls a group, twenty times each (about 50 minutes)
	@OUTBOARD_CHAOS_RUNS=20 $(RUN) -m pytest -q tests/e2e/test_kill9.py tests/e2e/test_kinesis_state.py \
	  tests/e2e/test_kafka_groups.py -k "kill or loses_nothing" $(PYTEST_ARGS)

lock: $(DEV)/ready ## pin the requirements again, from pyproject.toml
	@$(DEV)/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
	  pyproject.toml -o requirements.txt
	@$(DEV)/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
	  --extra demo -c requirements.txt pyproject.toml -o requirements-demo.txt
	@$(DEV)/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
	  --extra demo --group dev -c requirements-demo.txt pyproject.toml -o requirements-dev.txt
	@$(RUN) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(DEV)/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
	  -c requirements-dev.txt - -o requirements-build.txt

clean: ## remove the caches
	@rm -rf $(CACHE) .pytest_cache .mypy_cache .ruff_cache .hypothesis
