"""Target 10: how soon a command that is stopped says that it heard the signal, and how soon its tier's lock is free.

Each is a whole `inv deploy.prod` that gets SIGTERM: while it follows rollouts, or once AWS leaves a call unanswered.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.measure import CommandFailed
from benchmarks.waiting import show, title
from tests import project
from tests.cloud.accounts import REGISTRY_ACCOUNT, Call
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World
from tests.project import inv
from tests.proxy import Proxy, Rule, Stall, Watch

NUMBERS = frozenset({10})
TENANTS = 2
SITUATIONS: Mapping[str, bool] = MappingProxyType({"following rollouts": False, "AWS silent": True})
"""Whether AWS leaves UpdateService unanswered."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """One command that was stopped: seconds from the signal to its next word on stderr, and to its end."""

    heard_s: float
    ended_s: float


def measure(rounds: int) -> None:
    """Prints the longest of so many commands in each situation."""
    print(f"stopping {rounds * len(SITUATIONS)} commands", file=sys.stderr)
    title(f"{rounds} commands stopped in each situation, the slowest")
    for name, silent in SITUATIONS.items():
        found = [_stopped_anew(silent=silent) for _ in range(rounds)]
        heard_s, ended_s = [each.heard_s for each in found], [each.ended_s for each in found]
        show(10, f"{name}: seconds from the signal to a word", max(heard_s), 1.0)
        show(10, f"{name}: seconds from the signal to the free lock", max(ended_s), 5.0)
        print(f"    medians: {statistics.median(heard_s):.2f} s, {statistics.median(ended_s):.2f} s")


def _stopped_anew(*, silent: bool) -> Stopped:
    with tempfile.TemporaryDirectory() as folder:
        return stopped(Path(folder), silent=silent)


def stopped(folder: Path, *, silent: bool) -> Stopped:
    """A command in a new project in the folder, stopped once all services are updated, or at the first update.

    Raises: CommandFailed where it did not end with 130, or left its lock.
    """
    root = folder / "repo"
    world = World(TENANTS, project.write(root, TENANTS))
    with Endpoint(world, rollout_s=600) as endpoint, Proxy(endpoint) as proxy:
        command, env = [inv(), "deploy.prod"], project.environment(proxy.url, folder)
        with subprocess.Popen(
            command, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            stop = _Stop(endpoint, process)
            proxy.rules = (Rule(Stall(first=stop), "UpdateService"),) if silent else (Rule(Watch(stop.once_updated)),)
            found = stop.measured()
        locks = list(endpoint.cloud.account(REGISTRY_ACCOUNT).parameters)
        if process.returncode != 130 or locks:
            raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}, and left {locks}")
    return found


class _Stop:
    """Sends a process SIGTERM, once, and reads the clock."""

    def __init__(self, endpoint: Endpoint, process: "subprocess.Popen[str]") -> None:
        self._endpoint, self._process = endpoint, process
        self._sent_at = 0.0

    def __call__(self, call: Call) -> None:
        """It is sent now."""
        if not self._sent_at:
            self._sent_at = time.monotonic()
            self._process.terminate()

    def once_updated(self, call: Call) -> None:
        """It is sent as soon as a rollout is looked at and all of them have begun."""
        if call.operation == "DescribeServices" and self._endpoint.operations()["UpdateService"] == TENANTS:
            self(call)

    def measured(self) -> Stopped:
        """How long it took, once the process has ended."""
        assert self._process.stderr is not None
        said_at = [time.monotonic() for _ in iter(self._process.stderr.readline, "")]
        self._process.wait()
        ended_at = time.monotonic()
        after = [at for at in said_at if self._sent_at and at >= self._sent_at]
        return Stopped(min([*after, ended_at]) - self._sent_at, ended_at - self._sent_at)
