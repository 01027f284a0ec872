"""What the measured commands need around them: repositories, an endpoint in a process of its own, and ecs-deploy.

The endpoint's time must not count into what is measured, and neither may anything of the caller's surroundings:
every command runs with an environment made here.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import project
from benchmarks.cloud import REGION, REGISTRY_ACCOUNT, key_for
from benchmarks.world import Age

ROOT = Path(__file__).resolve().parents[1]
ECS_DEPLOY = "ecs-deploy==1.17.0"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything stands: `projects` by the number of their tenants, `empty` a folder with an empty tasks.py."""

    url: str
    projects: Mapping[int, Path]
    empty: Path
    commits: Mapping[Age, str]
    home: Path

    def env(self, account: str = REGISTRY_ACCOUNT) -> dict[str, str]:
        """All that a measured command finds in its environment: that account's keys and the endpoint's address."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key_for(account),
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reset(self) -> None:
        """The endpoint's world is as prepared, and its counters at zero."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/reset", method="POST")).close()

    def calls(self) -> Mapping[str, int]:
        """How often each operation was called since the last reset."""
        with urllib.request.urlopen(f"{self.url}/calls") as answer:
            counted: dict[str, Any] = json.load(answer)
        operations: Mapping[str, int] = counted["operations"]
        return operations


@contextmanager
def set_up(folder: Path, sizes: tuple[int, ...], served: int) -> Iterator[Stage]:
    """A stage in the folder, whose endpoint has the accounts of `served` tenants; taken down at the end."""
    projects = {size: folder / f"tenants-{size}" for size in sizes}
    commits: Mapping[Age, str] = {}
    for size, root in projects.items():
        commits = project.write(root, size)
    empty = folder / "empty"
    empty.mkdir()
    (empty / "tasks.py").touch()
    with _endpoint(served, commits) as url:
        yield Stage(url, projects, empty, commits, folder)


@contextmanager
def _endpoint(tenants: int, commits: Mapping[Age, str]) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.endpoint", "--tenants", str(tenants)]
    command += ["--commits", commits["older"], commits["newer"]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def inv() -> str:
    """The `inv` beside the Python that runs this."""
    return str(Path(sys.executable).with_name("inv"))


def ecs_deploy(cache: Path) -> str:
    """The `ecs` command of ecs-deploy, installed from PyPI into a virtual environment of its own on first use."""
    venv = cache / ECS_DEPLOY.replace("==", "-")
    command = venv / "bin" / "ecs"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "python"), "-m", "pip", "install", "-q", ECS_DEPLOY], check=True)
    return str(command)


def default_cache() -> Path:
    """Where other tools are installed for comparison, unless said otherwise: never in the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "deploytasks-bench"
