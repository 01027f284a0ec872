"""`python -m benchmarks.profile`: where the time of `inv --list`, of a deploy to one and of a deploy to 200 goes.

Each command is timed as in `make bench`. Then it runs once more with a profiler in each thread, which tells how its CPU
time divides between libraries. A profiler makes small functions look dearer than they are: take its shares as a guide.
"""

import cProfile
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from pstats import Stats
from typing import Any

from benchmarks.measure import Case, run
from benchmarks.stage import Serving, Stage, set_up
from tests.project import inv

ROUNDS = 5
DEPLOY = ("deploy.prod", "--no-wait")
GROUPS = {
    "importing: finding and reading bytecode": ("importlib",),
    "importing: patterns, classes and types": ("re", "dataclasses", "enum", "typing", "abc", "msgspec"),
    "AWS calls: botocore, boto3, urllib3, http": ("botocore", "boto3", "urllib3", "http", "email", "ssl", "socket"),
    "templates: jinja2": ("jinja2",),
    "tables: rich": ("rich",),
    "Invoke": ("invoke",),
    "deploytasks": ("deploytasks",),
}
"""What a row of the table sums up; all else is the last row."""


def main() -> None:
    """Print a table a command; or, with `--inside FILE`, run `inv` under the profiler."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(Path(sys.argv[2]), sys.argv[3:])
        return
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (1, 200), Serving(200)) as stage:
        for title, words, tenants in (
            ("inv --list", ("--list",), 1),
            ("deploy to 1", DEPLOY, 1),
            ("deploy to 200", DEPLOY, 200),
        ):
            _show(stage, title, words, tenants)


def _show(stage: Stage, title: str, words: Sequence[str], tenants: int) -> None:
    empty = Case("empty", [inv(), "--list"], stage.empty, stage.env(), code=1)
    case = Case(title, [inv(), *words], stage.projects[tenants], stage.env(), stage.reset)
    run(case)
    samples = [(run(empty), run(case)) for _ in range(ROUNDS)]
    start = statistics.median(one.cpu_s for one, _ in samples)
    cpu, seconds = (statistics.median(getattr(one, name) for _, one in samples) for name in ("cpu_s", "seconds"))
    rows = {"Python and Invoke: an empty inv --list": start}
    rows |= {name: share * (cpu - start) for name, share in _shares(stage, case).items()}
    calls = sum(stage.calls().values())
    print(f"\n{title}: {seconds * 1000:.0f} ms, of them {cpu * 1000:.0f} of CPU time; {calls} calls")
    for name, took in rows.items():
        print(f"    {name:<45} {took * 1000:>6.0f} ms  {took / cpu:>4.0%}")
    print(f"    {'waiting: for AWS, and for a busy processor':<45} {max(seconds - cpu, 0.0) * 1000:>6.0f} ms")


def _shares(stage: Stage, case: Case) -> Mapping[str, float]:
    """Return each group's share of the command's CPU time after its start."""
    with tempfile.NamedTemporaryFile() as told:
        stage.reset()
        command = [sys.executable, "-m", "benchmarks.profile", "--inside", told.name, *case.command[1:]]
        subprocess.run(command, cwd=case.cwd, env=dict(case.env), stdout=subprocess.DEVNULL, check=True)
        by_library: dict[str, float] = json.loads(Path(told.name).read_text())
    group = {library: name for name, libraries in GROUPS.items() for library in libraries}
    found = dict.fromkeys([*GROUPS, "the rest of Python's library"], 0.0)
    for library, seconds in by_library.items():
        found[group.get(library, "the rest of Python's library")] += seconds
    return {name: seconds / sum(found.values()) for name, seconds in found.items()}


def _inside(file: Path, words: Sequence[str]) -> None:
    """Run `inv` with a profiler in each thread, and write the CPU seconds of each library to the file."""
    from invoke.main import program

    profiles: list[cProfile.Profile] = []
    real = threading.Thread.run

    def profiled(work: Any) -> None:
        profile = cProfile.Profile(time.thread_time)
        profiles.append(profile)
        profile.runcall(work)

    threading.Thread.run = lambda self: profiled(lambda: real(self))  # type: ignore[method-assign]  # this process's own
    sys.argv = ["inv", *words]
    with suppress(SystemExit):
        profiled(lambda: program.run(exit=False))
    found: defaultdict[str, float] = defaultdict(float)
    for profile in profiles:
        for library, seconds in by_library(profile).items():
            found[library] += seconds
    file.write_text(json.dumps(found))


def by_library(profile: cProfile.Profile) -> Mapping[str, float]:
    """Return the seconds of each library; those of a built-in function are its callers'."""
    found: defaultdict[str, float] = defaultdict(float)
    with suppress(TypeError):  # of a thread that ran nothing
        stats: Any = Stats(profile)
        for (file, _, _), (_, _, own_s, _, callers) in stats.stats.items():
            shares = {caller: each[2] for (caller, _, _), each in callers.items()} if file == "~" else {}
            for place, seconds in (shares or {file: own_s}).items():
                found[_library(place)] += seconds
    return found


def _library(file: str) -> str:
    if "importlib" in file:
        return "importlib"
    for folder in ("site-packages/", "deploytasks/"):
        if folder in file:
            return "deploytasks" if folder == "deploytasks/" else file.partition(folder)[2].partition("/")[0]
    path = Path(file)
    return path.parent.name if path.parent.name in ("http", "email", "re") else path.stem


if __name__ == "__main__":
    main()
