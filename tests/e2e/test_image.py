"""The image: what it is made of, what is not in it, and that it works off a queue and a topic without any privilege."""

import asyncio
import json
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from outboard import __version__
from tests.e2e.containers import ContainerLauncher
from tests.e2e.harness import mapping, worked_off
from tests.e2e.topics import done_by, group_of, topic_mapping, values
from tests.servers.availability import started
from tests.servers.containers import RESTRICTED, Image, built_image
from tests.servers.queues import Depth, Queue, Queues, numbered
from tests.servers.scripted_invoke import ScriptedInvoke, succeeds
from tests.servers.tools import REPOSITORY
from tests.servers.topics import Topics

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]  # the first one waits for the image, and for its base

#: Of the whole image, what the base does not bring; 77 MB when this was written.
_MOST_BYTES = 90_000_000

#: Seconds from the start of the process until /readyz, on a machine that has a core for it.
_READY_WITHIN = 1.5

#: Run inside, as its user: what can be imported, what can be run, what may be written to, what the kernel allows.
_PROBE = """
import asyncio, importlib.util, json, os, pathlib, shutil, sys
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
def writable(top):
    for folder, _, files in os.walk(top):
        if folder.startswith(("/proc", "/sys", "/dev")):
            continue
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            if not os.path.islink(path) and os.access(path, os.W_OK):
                yield path
libraries = pathlib.Path("/opt/outboard/lib")
base = pathlib.Path(asyncio.__file__).parents[1]
compiled = lambda path: pathlib.Path(importlib.util.cache_from_source(path)).exists()
import botocore.session
print(json.dumps({
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "folder": os.getcwd(),
    "home": os.path.expanduser("~"),
    "importable": [it for it in ("pip", "setuptools", "ensurepip", "wheel") if importlib.util.find_spec(it)],
    "packages of the base": [it.name for it in base.glob("site-packages/*") if it.name != "README.txt"],
    "packages of the base": [it.name for it in base.glob("site-packages/*") if it.name != "README.txt"],
    "programs": [it for it in ("pip", "pip3", "gcc", "cc", "g++", "make", "ld", "curl", "wget", "git", "node", "perl")
                 if shutil.which(it)],
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no new privileges": int(status["NoNewPrivs"]),
    "seccomp": int(status["Seccomp"]),
    "writable": sorted(writable("/")),
    "without byte code": [str(it) for it in libraries.rglob("*.py") if not compiled(it)],
    "standard library has byte code": compiled(asyncio.__file__),
    "tests": [str(it) for it in libraries.rglob("tests")],
    "services": sorted(botocore.session.get_session().get_available_services()),
}))
"""


def _tool(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


def _probe(image: Image, *options: str) -> dict[str, Any]:
    done = image.finished("--entrypoint=python", *options, arguments=["-c", _PROBE])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


# What it is made from


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    command = [_tool("hadolint"), str(REPOSITORY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_a_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    held = ["--build-constraints", "requirements-build.txt", "--require-hashes"]
    command = [_tool("uv"), "build", "--quiet", "--wheel", *held, "--out-dir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        scripts = opened.read(f"outboard-{__version__}.dist-info/entry_points.txt").decode()

    service = REPOSITORY / "service"
    files = {it.relative_to(service).as_posix() for it in (service / "outboard").rglob("*") if it.is_file()}
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    expected = {it for it in files if "__pycache__" not in it}
    assert names == expected | {f"outboard-{__version__}.dist-info/{it}" for it in about}
    assert "outboard/observe/status.html" in names
    assert scripts == "[console_scripts]\noutboard = outboard.cli:main\n"


# What it is


def test_what_it_says_of_itself(image: Image) -> None:
    shown = image.inspected()["Config"]

    run = ("User", "Entrypoint", "Cmd", "WorkingDir", "StopSignal", "Healthcheck")
    assert {key: shown.get(key) for key in run} == {
        "User": "65532:65532",
        "Entrypoint": ["outboard"],
        "Cmd": ["run"],
        "WorkingDir": "/var/lib/outboard",
        "StopSignal": "SIGTERM",
        "Healthcheck": None,
    }
    assert list(shown["ExposedPorts"]) == ["8080/tcp"]
    environment = dict(each.split("=", 1) for each in shown["Env"])
    own = {key: value for key, value in environment.items() if key.startswith(("PYTHON", "OUTBOARD", "PIP"))}
    assert {key: value for key, value in own.items() if key not in {"PYTHON_VERSION", "PYTHON_SHA256"}} == {
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "OUTBOARD_CONFIG": "/etc/outboard",
    }
    labels = {key: value for key, value in shown["Labels"].items() if key.startswith("org.opencontainers.image.")}
    assert labels == {
        "org.opencontainers.image.title": "outboard",
        "org.opencontainers.image.description": "AWS Lambda event source mappings as a service of your own.",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.revision": _revision(),
    }


def test_what_is_in_it_and_what_its_user_may_do(image: Image) -> None:
    found = _probe(image, *(option for option in RESTRICTED if not option.startswith("--read-only")))
    writable = [it for it in found.pop("writable") if not it.startswith(("/tmp", "/var/tmp", "/run"))]

    assert writable == ["/var/lib/outboard"]
    assert found == {
        "user": [65532, 65532, [65532]],
        "folder": "/var/lib/outboard",
        "home": "/var/lib/outboard",
        "importable": [],
        "packages of the base": [],
        "programs": ["perl"],  # Debian's own, which its package manager needs
        "capabilities": 0,
        "no new privileges": 1,
        "seccomp": 2,
        "without byte code": [],
        "standard library has byte code": True,
        "tests": [],
        "services": [
            *("dynamodb", "dynamodbstreams", "kafka", "kinesis", "lambda", "s3", "secretsmanager", "sns", "sqs"),
            *("sso", "sso-oidc", "sts"),
        ],
    }


def test_with_a_read_only_root_nothing_at_all_is_written(image: Image) -> None:
    assert _probe(image, *RESTRICTED)["writable"] == []


def test_it_is_small(image: Image) -> None:
    assert 0 < image.bytes_beside_base() < _MOST_BYTES


def test_an_archive_of_it_is_loaded_under_its_name(image: Image, tmp_path: Path) -> None:
    archive = tmp_path / "outboard.tar"
    with started(built_image(archive=archive)), tarfile.open(archive) as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest is not None
        [described] = json.load(manifest)

    tag = f"outboard:{__version__}"
    assert {name.rpartition("/")[2] for name in described["RepoTags"]} == {tag}
    assert any(name == tag or name.endswith(f"/library/{tag}") for name in described["RepoTags"])  # a pod's `image:`
    assert described["Config"] == f"{image.inspected()['Id']}.json"


# What it does


def test_without_a_configuration_it_says_what_it_lacks(image: Image) -> None:
    done = image.finished(*RESTRICTED)

    said = "/etc/outboard: holds no *.yaml, *.yml or *.json file; put one there, or name a file\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


async def test_it_works_off_a_queue_and_a_topic_and_a_sigterm_loses_nothing(
    container: ContainerLauncher, queues: Queues, topics: Topics, functions: ScriptedInvoke
) -> None:
    queue, topic = await queues.create(visibility=60), await topics.create(4)
    functions.script("orders", succeeds(delay=0.7))
    functions.script("clicks", succeeds(delay=0.2))
    await queue.send(numbered(range(300)))
    await topics.put(topic, values(range(400)))
    orders = mapping(queue, functions.url, MaximumConcurrency=5)
    clicks = topic_mapping(topic, functions.url, name="clicks", BatchSize=10)
    contained = await container.run([orders, clicks], Shutdown={"DrainTimeoutSeconds": 10})
    running = contained.running
    await functions.until(lambda: len(functions.of("orders")) >= 8 and len(functions.of("clicks")) >= 8)
    metrics = await running.metrics()

    running.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code = await running.ended(10)
    took = time.monotonic() - asked
    depth = await _settled(queue)
    committed = dict(await topics.committed(group_of(topic)))
    handled, read = worked_off(functions.of("orders")), done_by(functions.of("clicks"))

    assert code == 0
    assert took < 4
    assert metrics.value("outboard_delivered_events_total", mapping="orders") > 0
    assert metrics.value("outboard_delivered_events_total", mapping="clicks") > 0
    assert [invoke for invoke in functions.invokes if invoke.caller_left or invoke.ended is None] == []
    assert depth == Depth(visible=300 - len(handled), hidden=0)
    assert sum(committed.values()) == len(read)
    assert "drained" in [json.loads(line)["event"] for line in running.log.splitlines()]

    again = await container.again(contained)
    await queue.until_empty()
    await again.running.until_counted("outboard_committed_events_total", 400 - len(read), mapping="clicks")
    assert worked_off(functions.of("orders")) == Counter(range(300))
    assert done_by(functions.of("clicks")) == Counter(range(400))


async def _settled(queue: Queue) -> Depth:
    """What a queue holds as soon as nothing of it is hidden; after a second, what it holds then."""
    end = time.monotonic() + 1
    while (depth := await queue.depth()).hidden and time.monotonic() < end:  # noqa: ASYNC110 - a queue tells nobody
        await asyncio.sleep(0.05)
    return depth


async def test_it_is_ready_soon_after_its_start(
    container: ContainerLauncher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create()
    config, port = container.configure([mapping(queue, functions.url)])
    took: list[float] = []
    while len(took) < 5 and min(took, default=_READY_WITHIN) >= _READY_WITHIN:
        contained = container.launch(config, port)
        await contained.running.until_ready()
        ready = time.time()
        took.append(ready - contained.started_at() - contained.seconds_without_a_core())
        contained.kill()

    print(f"seconds until ready: {took}")
    assert 0 < min(took) < _READY_WITHIN, took
