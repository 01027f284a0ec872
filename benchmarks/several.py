"""Target 11: what a target costs where a tenant has three services and a job of one image, beside one service alone.

Both projects have fifty tenants and speak to one endpoint in turn.
"""

import statistics
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.measure import Case, CommandFailed, Rounds, Sample, interleave, ratio
from benchmarks.stage import Serving, Stage, set_up
from benchmarks.waiting import show, title
from tests import project
from tests.cloud.world import ONE_SERVICE, Runs
from tests.project import inv

NUMBERS = frozenset({11})
TENANTS = 50
RUNS: Mapping[str, Runs] = {"one": ONE_SERVICE, "several": Runs(services=3, jobs=1)}
COMMANDS = {"deploy": ("deploy.prod", "--no-wait"), "status": ("status", "--tier", "prod")}
MARK = 1.0
Calls = dict[str, Mapping[str, int]]
"""For each case, how often it called each operation."""


def measure(rounds: int) -> None:
    """Print the time and the calls of each of several targets, in times of those of an only one."""
    calls: Calls = {}
    serving = Serving(TENANTS, runs=RUNS["several"])
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (TENANTS,), serving) as stage:
        roots = {"one": Path(folder) / "one", "several": stage.projects[TENANTS]}
        project.write(roots["one"], TENANTS)
        cases = [_case(stage, roots[kind], name, kind, calls) for name in COMMANDS for kind in RUNS]
        found = interleave(cases, rounds, lambda number: print(f"several services: round {number}", file=sys.stderr))
    title(f"{TENANTS} tenants with 3 services and 1 job ÷ with 1 service")
    for name in COMMANDS:
        _show(name, found, calls)
    for case in cases:
        samples = [samples[case.name] for samples in found]
        seconds, cpu = (statistics.median(getattr(one, what) for one in samples) for what in ("seconds", "cpu_s"))
        peak, total = max(one.peak_mib for one in samples), sum(calls[case.name].values())
        print(f"    {case.name:<17} {seconds:>7.3f} s  {cpu:>7.3f} s CPU  {peak:>6.1f} MiB  {total:>5} calls")


def _case(stage: Stage, root: Path, name: str, kind: str, calls: Calls) -> Case:
    title, runs = f"{name} {kind}", RUNS[kind]
    wanted = {"UpdateService": TENANTS * runs.services, "UpdateSchedule": TENANTS * runs.jobs}

    def check() -> None:
        calls[title] = stage.calls()
        made = {operation: calls[title].get(operation, 0) for operation in wanted}
        if made != (wanted if name == "deploy" else dict.fromkeys(wanted, 0)):
            raise CommandFailed(f"{title} was to update {wanted}, but made these calls: {calls[title]}")

    return Case(title, [inv(), *COMMANDS[name]], root, stage.env(), stage.reset, check)


def a_target(samples: Mapping[str, Sample], name: str, what: str) -> float:
    """Return what one of several targets took, in times of what an only one took, in one round."""
    both = [float(getattr(samples[f"{name} {kind}"], what)) / RUNS[kind].targets for kind in ("several", "one")]
    return both[0] / both[1]


def _show(name: str, found: Rounds, calls: Calls) -> None:
    one, several = f"{name} one", f"{name} several"
    for label, what in (("time", "seconds"), ("CPU time", "cpu_s")):
        show(
            11, f"{name}: {label} a target", ratio(found, partial(a_target, name=name, what=what), (one, several)), MARK
        )
    made = sum(calls[several].values()) / sum(calls[one].values()) / RUNS["several"].targets
    show(11, f"{name}: calls a target", made, MARK)
