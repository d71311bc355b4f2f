"""Talks to the cluster of $KUBECONFIG: kubectl and helm as an operator types them, and the API through `kubectl proxy`."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.servers.processes import Child
from tests.servers.tools import ToolMissing, find_tool

_T = TypeVar("_T")


class CommandFailed(Exception):
    """A command said no; the text is the command and what it said."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Cluster:
    """One namespace of a cluster; `environment` is that of the commands, `_proxy` the URL of `kubectl proxy`."""

    def __init__(self, namespace: str, environment: dict[str, str], proxy: str) -> None:
        self.namespace = namespace
        self._environment = environment
        self._proxy = proxy
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def kubectl(self, *words: str, given: object = None, check: bool = True, seconds: float = 90) -> Done:
        """Run kubectl; `given` is an object for its standard input. Raises CommandFailed unless `check` is off."""
        return self._run("kubectl", words, given=given, check=check, seconds=seconds)

    def helm(self, *words: str, given: object = None, check: bool = True, seconds: float = 180) -> Done:
        """Run Helm, likewise."""
        return self._run("helm", words, given=given, check=check, seconds=seconds)

    def start(self, log: Path, *words: str) -> Child:
        """Start kubectl and do not wait for it; its output goes to `log`."""
        return Child(["kubectl", "--namespace", self.namespace, *words], log=log, env=self._environment)

    def _run(self, program: str, words: tuple[str, ...], *, given: object, check: bool, seconds: float) -> Done:
        command = [program, "--namespace", self.namespace, *words]
        ended = subprocess.run(
            command,
            input=None if given is None else json.dumps(given),
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=seconds,
            check=False,
        )
        done = Done(ended.returncode, ended.stdout, ended.stderr)
        if check and done.code != 0:
            raise CommandFailed(f"`{' '.join(command)}` ended with {done.code}:\n{done.stderr}{done.stdout}")
        return done

    def ask(self, path: str, *, method: str = "GET", body: object = None, seconds: float = 20) -> Answer:
        """Ask the API server for a path; an answer of whatever status is an answer. Raises OSError if there is none."""
        request = urllib.request.Request(
            self._proxy + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, refused.read().decode(errors="replace"))

    def path(self, kind: str, name: str = "") -> str:
        """Of a core object of the namespace, such as `pods`."""
        return f"/api/v1/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """What `kubectl get` lists."""
        return list(json.loads(self.kubectl("get", *words, "--output=json").stdout)["items"])


def until(look: Callable[[], _T | None], what: str, *, seconds: float = 60, pause: float = 0.3) -> _T:
    """Look until there is something to see (not None, False or empty). Raises AssertionError that names `what`."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(pause)


@contextmanager
def connected(namespace: str, folder: Path) -> Iterator[Cluster]:
    """The cluster of $KUBECONFIG. Raises ToolMissing with what to do where something is missing."""
    config = os.environ.get("KUBECONFIG", "")
    if not config or not Path(config).is_file():
        raise ToolMissing("set KUBECONFIG to the file of the cluster to test on.")
    # A test cluster may bring the programs of its own version.
    environment = os.environ | {"PATH": f"{Path(config).resolve().parent}/bin:{os.environ.get('PATH', '')}"}
    for program in ("kubectl", "helm"):
        find_tool(program, path=environment["PATH"])
    child = Child(["kubectl", "proxy", "--port=0"], log=folder / "proxy.log", env=environment)
    try:
        child.wait_until(lambda: "Starting to serve on" in child.tail(), seconds=30)
        address = child.tail().partition("Starting to serve on ")[2].split()[0]
        yield Cluster(namespace, environment, f"http://{address}")
    finally:
        child.kill()
