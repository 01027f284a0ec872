"""Targets 6 and 7: how soon the ends of many rollouts are noticed, what that costs, and how long the last one keeps us.

The rollouts really take their time. Tenants differ, and no rollout takes just as long as the tenant's last one.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import CommandFailed
from benchmarks.stage import Serving, Stage, set_up
from tests.project import inv

NUMBERS = frozenset({6, 7})
TENANTS = 50
SPREAD = 0.1
READS = ("DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments", "ListTasks", "DescribeTasks")


@dataclass(frozen=True, slots=True)
class Waited:
    """One release that was waited for. `noticed` and `ended` are moments by tenant, in seconds since the epoch."""

    noticed: Mapping[str, float]
    ended: Mapping[str, float]
    left_at: float
    calls: Mapping[str, int]

    def delays_s(self) -> list[float]:
        """How long after each rollout's end the command told of it, shortest first."""
        return sorted(self.noticed[tenant] - self.ended[tenant] for tenant in self.noticed)


def measure(rollout_s: float) -> None:
    """Prints what came of one release to fifty tenants at once."""
    print(f"waiting for {TENANTS} rollouts of {rollout_s:g} s, {SPREAD:.0%} more or less", file=sys.stderr)
    with _stage(rollout_s) as stage:
        waited = release(stage, TENANTS)
    delays = waited.delays_s()
    total, looks = sum(waited.calls.values()), sum(waited.calls.get(name, 0) for name in READS)
    what = f"waiting for {TENANTS} rollouts of {rollout_s:g} s"
    title(what)
    show(6, "mean seconds from a rollout's end to the line that tells it", statistics.mean(delays), 0.8)
    show(6, "calls a tenant to look, from the first to the last", looks / TENANTS, 45)
    show(7, "seconds from the slowest's end to the command's", waited.left_at - max(waited.ended.values()), 1.5)
    print(f"    delays: median {statistics.median(delays):.2f} s, longest {delays[-1]:.2f} s")
    print(f"    {total / TENANTS:.1f} calls a tenant in all: {_listed(waited.calls)}")


def title(what: str) -> None:
    """Print what the rows below are about."""
    print(f"\n{'#':>2}  {what:<59}  {'found':>6}  {'at most':>7}")


def show(number: int, what: str, found: float, mark: float) -> None:
    """Print what was found beside its mark."""
    print(f"{number:>2}  {what:<59}  {found:>6.2f}  {mark:>7.2f}  {'ok' if found <= mark else 'MISSED'}")


def _listed(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(calls.items()))


@contextmanager
def _stage(rollout_s: float) -> Iterator[Stage]:
    serving = Serving(TENANTS, rollout_s=rollout_s, spread=SPREAD)
    policy = f"parallel = {TENANTS}\n"
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (TENANTS,), serving, policy) as stage:
        yield stage


def release(stage: Stage, tenants: int) -> Waited:
    """A whole `inv deploy.prod --json`, line by line as it tells what ended.

    Raises: CommandFailed where not every tenant was deployed to.
    """
    command = [inv(), "deploy.prod", "--json"]
    noticed: dict[str, float] = {}
    with subprocess.Popen(
        command, cwd=stage.projects[tenants], env=stage.env(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if told["event"] == "ended" and told["outcome"] == "deployed":
                noticed[told["tenant"]] = time.time()
    left_at = time.time()
    if process.returncode or len(noticed) != tenants:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode} and {len(noticed)} deployed")
    calls = stage.calls()
    return Waited(noticed, _ends(stage, tenants), left_at, calls)


def _ends(stage: Stage, tenants: int) -> Mapping[str, float]:
    """When each tenant's rollout ended, by the endpoint itself."""
    clusters = {one["service"].split("/")[-2]: one["ended"] for one in stage.told("rollouts")}
    return {f"t{number}": clusters[f"t{number}-prod"] for number in range(1, tenants + 1)}
