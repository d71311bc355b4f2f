"""Runs the image with a configuration of the test's own, as a strict cluster would, and leaves no container behind."""

import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.e2e.harness import Running
from tests.servers.containers import RESTRICTED, Image
from tests.servers.processes import Child
from tests.servers.tools import find_tool, free_port


class Contained:
    """One `outboard run` in a container, and what is known of it beside what it shows itself."""

    def __init__(self, name: str, running: Running) -> None:
        self.name = name
        self.running = running

    def started_at(self) -> float:
        """When its process was started, in epoch seconds, by the engine's account; it must still run."""
        return int(self._inspected("{{.State.StartedAt.UnixMilli}}")) / 1000

    def seconds_without_a_core(self) -> float:
        """How long its process could have run, but others had the cores, by the kernel's account; it must still run."""
        process = self._inspected("{{.State.Pid}}")
        _, waited, _ = Path(f"/proc/{process}/schedstat").read_text().split()
        return int(waited) / 1e9

    def _inspected(self, what: str) -> str:
        command = [find_tool("podman"), "container", "inspect", "--format", what, self.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def kill(self) -> None:
        """End it at once, and forget it; nothing happens where it is gone."""
        command = [find_tool("podman"), "rm", "--force", "--ignore", "--time=0", self.name]
        subprocess.run(command, capture_output=True, check=False)
        self.running.kill()


class ContainerLauncher:
    """Starts containers of one image on the machine's own network, where the test servers are."""

    def __init__(self, folder: Path, image: Image) -> None:
        self.environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example-secret"}
        self._folder = folder
        self._image = image
        self._started: list[Contained] = []

    def configure(self, mappings: Sequence[Mapping[str, object]], **blocks: object) -> tuple[Path, int]:
        """Write a configuration into a folder that is then the container's /etc/outboard; `blocks` are further
        top-level ones.
        """
        port = free_port()
        server = {"Host": "127.0.0.1", "Port": port}
        document = {"EventSourceMappings": list(mappings), "Server": server, **blocks}
        mounted = self._folder / f"etc-{port}"
        mounted.mkdir()
        path = mounted / "outboard.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path, port

    def launch(self, config: Path, port: int) -> Contained:
        """Run the image, without any argument, without waiting for anything."""
        name = f"outboard-{uuid.uuid4().hex[:12]}"
        settings = [f"--env={key}={value}" for key, value in self.environment.items()]
        mounts = ["--network=host", f"--volume={config.parent}:/etc/outboard:ro"]
        command = self._image.command(f"--name={name}", *RESTRICTED, *mounts, *settings)
        child = Child(command, log=self._folder / f"{name}.log", cwd=self._folder)
        self._started.append(Contained(name, Running(config, port, child)))
        return self._started[-1]

    async def run(self, mappings: Sequence[Mapping[str, object]], **blocks: object) -> Contained:
        """Configure, launch, wait until ready."""
        contained = self.launch(*self.configure(mappings, **blocks))
        await contained.running.until_ready()
        return contained

    async def again(self, previous: Contained) -> Contained:
        """Run the configuration of one that has ended, once more."""
        contained = self.launch(previous.running.config, previous.running.port)
        await contained.running.until_ready()
        return contained

    def close(self) -> None:
        """End all that still runs; their logs are shown where the test failed."""
        for each in self._started:
            each.kill()
            print(f"--- {each.name}, exit code {each.running.exit_code}\n{each.running.log[-6000:]}")
