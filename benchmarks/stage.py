"""What the measured commands need around them: repositories, and an endpoint in a process of its own.

The endpoint's time must not count into what is measured, and neither may anything of the caller's surroundings:
every command runs with an environment made here.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import project
from tests.cloud.accounts import REGISTRY_ACCOUNT
from tests.cloud.world import ONE_SERVICE, Age, Runs


@dataclass(frozen=True, slots=True)
class Serving:
    """What the endpoint serves: so many `tenants`, `shared` of them an account, whose rollouts last `rollout_s`.

    `spread` is how much these differ, and `limits` whether callers are throttled as AWS does. Each environment has the
    services and jobs of `runs`.
    """

    tenants: int
    rollout_s: float = 0.0
    spread: float = 0.0
    limits: bool = False
    shared: int = 1
    runs: Runs = ONE_SERVICE

    def arguments(self) -> list[str]:
        """The endpoint's command line."""
        told = {"tenants": self.tenants, "rollout-s": self.rollout_s, "rollout-spread": self.spread}
        told |= {"shared-accounts": self.shared, "services": self.runs.services, "jobs": self.runs.jobs}
        return [f"--{name}={value}" for name, value in told.items()] + ["--limits"] * self.limits


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
        return project.environment(self.url, self.home, account)

    def reset(self) -> None:
        """The endpoint's world is as prepared, and its counters at zero."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/reset", method="POST")).close()

    def calls(self) -> Mapping[str, int]:
        """How often each operation was called since the last reset."""
        operations: Mapping[str, int] = self.told("calls")["operations"]
        return operations

    def told(self, what: str) -> Any:
        """What the endpoint tells of itself: `calls`, or `rollouts`."""
        with urllib.request.urlopen(f"{self.url}/{what}") as answer:
            return json.load(answer)


@contextmanager
def set_up(folder: Path, sizes: Sequence[int], serving: Serving, policy: str = "") -> Iterator[Stage]:
    """A stage in the folder with a project of each size, whose tier `prod` has that `policy`; taken down at the end."""
    projects = {size: folder / f"tenants-{size}" for size in sizes}
    commits: Mapping[Age, str] = {}
    for size, root in projects.items():
        commits = project.write(root, size, serving.shared, policy, serving.runs)
    empty = folder / "empty"
    empty.mkdir()
    (empty / "tasks.py").touch()
    with _endpoint(serving, commits) as url:
        yield Stage(url, projects, empty, commits, folder)


@contextmanager
def _endpoint(serving: Serving, commits: Mapping[Age, str]) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.cloud.endpoint", *serving.arguments()]
    command += ["--commits", commits["older"], commits["newer"]]
    with subprocess.Popen(command, cwd=project.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
