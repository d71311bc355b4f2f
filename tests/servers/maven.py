"""Fetches the jars of one pinned Maven artifact, with all it depends on, into the repository's cache, once."""

import fcntl
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.tools import CACHE, ToolMissing, find_tool

_POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>outboard.test</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{dependencies}</dependencies></project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What one Java server is made of; `coordinates` are `group:artifact:version`."""

    name: str
    coordinates: tuple[str, ...]

    def fetch(self) -> Path:
        """The folder with the jars, fetched if it is not there yet. Raises ToolMissing."""
        CACHE.mkdir(exist_ok=True)
        versions = "-".join(coordinate.rpartition(":")[2] for coordinate in self.coordinates)
        folder = CACHE / f"{self.name}-{versions}"
        with (CACHE / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
            if not folder.is_dir():
                self._download(folder)
        return folder / "lib"

    def _download(self, folder: Path) -> None:
        maven = find_tool("mvn")
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        dependencies = "".join(_DEPENDENCY.format(*coordinate.split(":")) for coordinate in self.coordinates)
        (partial / "pom.xml").write_text(_POM.format(name=self.name, dependencies=dependencies))
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        done = subprocess.run(
            [maven, "-B", "-q", "-Dstyle.color=never", *goal], cwd=partial, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ToolMissing(f"Maven could not fetch {self.name}:\n{(done.stdout + done.stderr)[-2000:]}")
        partial.rename(folder)
