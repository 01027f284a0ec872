"""`make bench`: the ratios that the targets are about, measured in one interleaved run, each beside its mark.

Then, what a target costs where a tenant has several; on rollouts that really take three minutes, how soon their ends
are noticed and at what cost; and how soon a command that is stopped has freed its lock.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import others, several, stopping, waiting
from benchmarks.measure import Case, CommandFailed, Rounds, interleave, ratio
from benchmarks.stage import Serving, Stage, set_up
from benchmarks.targets import MANY, TARGETS, Target
from tests.cloud.world import SERVICE, tenant_account
from tests.project import inv

HEAVY = ("boto3", "botocore", "docker", "pydantic", "msgspec", "rich", "jinja2")


class Bench:
    """The commands on a stage; remembers how many calls each deploy made."""

    def __init__(self, stage: Stage, cache: Path) -> None:
        self._stage = stage
        self._cache = cache
        self.calls: dict[str, int] = {}

    def cases(self, names: frozenset[str]) -> list[Case]:
        """The named cases, in the order in which a round runs them."""
        return [self._case(name) for name in CASES if name in names]

    def _case(self, name: str) -> Case:
        stage, env = self._stage, self._stage.env()
        match name.split():
            case ["empty"]:  # Invoke's own answer where there is no task is 1
                return Case(name, [inv(), "--list"], stage.empty, env, times=3, code=1)
            case ["list"]:
                return Case(name, [inv(), "--list"], stage.projects[1], env, times=3)
            case ["check", size]:
                return Case(name, [inv(), "envs.check"], stage.projects[MANY if size == "many" else 1], env)
            case ["status", size]:
                return self._status(name, stage.projects[int(size)], int(size))
            case ["deploy", "t1"]:
                return self._deploy(name, [inv(), "deploy.prod", "--tenant", "t1", "--no-wait"], stage.projects[50], 1)
            case ["deploy", size]:
                return self._deploy(name, [inv(), "deploy.prod", "--no-wait"], stage.projects[int(size)], int(size))
            case ["script" | "profiles" as kind, size]:
                return self._script(name, int(size), profiles=kind == "profiles")
            case ["ecs", "deploy", size] if size.isdigit():
                return self._ecs_deploys(name, int(size))
            case _:
                return self._ecs_deploy(name, waits=name == "ecs deploy")

    def _deploy(self, name: str, command: Sequence[str], cwd: Path, tenants: int) -> Case:
        def check() -> None:
            calls = self._stage.calls()
            self.calls[name] = sum(calls.values())
            if calls.get("UpdateService") != tenants:
                raise CommandFailed(f"{name} was to update {tenants} services, but made these calls: {calls}")

        return Case(name, command, cwd, self._stage.env(), self._stage.reset, check)

    def _status(self, name: str, cwd: Path, tenants: int) -> Case:
        def check() -> None:
            calls = self._stage.calls()
            self.calls[name] = sum(calls.values())
            if (calls.get("DescribeServices"), calls.get("DescribeImages")) != (tenants, 1):
                raise CommandFailed(f"{name} was to look once at each service and at the registry: {calls}")

        return Case(name, [inv(), "status", "--tier", "prod"], cwd, self._stage.env(), self._stage.reset, check)

    def _ecs_deploy(self, name: str, *, waits: bool) -> Case:
        tool, newer = others.installed(self._cache, others.ECS_DEPLOY, "ecs"), self._stage.commits["newer"]
        command = [tool, "deploy", "t1-prod", SERVICE, "-t", newer, *([] if waits else ["--timeout", "-1"])]
        case = self._deploy(name, command, self._stage.home, 1)
        env = self._stage.env(tenant_account(1))
        return replace(case, env={**env, "PYTHONPATH": ""})

    def _ecs_deploys(self, name: str, tenants: int) -> Case:
        tool, newer = others.installed(self._cache, others.ECS_DEPLOY, "ecs"), self._stage.commits["newer"]
        command = others.in_turn(self._stage.home, tool, newer, tenants)
        case = self._deploy(name, command, self._stage.home, tenants)
        return replace(case, env={**case.env, "PYTHONPATH": ""}, once=True)

    def _script(self, name: str, tenants: int, *, profiles: bool) -> Case:
        tool, newer = others.installed(self._cache, others.AWSCLI, "aws"), self._stage.commits["newer"]
        command, adds = others.article(self._stage.home, tool, newer, tenants, profiles=profiles)
        case = self._deploy(name, command, self._stage.home, tenants)
        return replace(case, env={**case.env, **adds, "PYTHONPATH": ""}, once=True)


CASES = (
    "empty",
    "list",
    "deploy 1",
    "deploy t1",
    "ecs deploy",
    "ecs deploy blind",
    "deploy 50",
    "script 50",
    "profiles 50",
    "ecs deploy 50",
    "deploy 200",
    "check few",
    "check many",
    "status 1",
    "status 50",
    "status 200",
)


def _imports(stage: Stage, folder: Path) -> frozenset[str]:
    """The modules that `inv --list` imports there."""
    command = [sys.executable, "-X", "importtime", inv(), "--list"]
    said = subprocess.run(command, cwd=folder, env=stage.env(), capture_output=True, text=True, check=False).stderr
    return frozenset(line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:"))


def _show_imports(stage: Stage) -> None:
    ours, empty = _imports(stage, stage.projects[1]), _imports(stage, stage.empty)
    heavy = [name for name in HEAVY if name in ours]
    names = ", ".join(heavy) if heavy else f"none of {', '.join(HEAVY)}"
    print(f"    inv --list imports {len(ours - empty)} modules beyond Invoke's own {len(empty)}; {names}")


def _show(targets: Sequence[Target], rounds: Rounds) -> None:
    print(f"\n{'#':>2}  {'target':<55}  {'ratio':>6}  {'at most':>7}")
    for target in targets:
        found = ratio(rounds, target.of, target.cases)
        verdict = "ok" if found <= target.mark else "MISSED"
        print(f"{target.number:>2}  {target.what:<55}  {found:>6.2f}  {target.mark:>7.2f}  {verdict}")


def _show_cases(bench: Bench, rounds: Rounds) -> None:
    print("\nMedians of this run on this machine; no mark is about them:")
    for name in (name for name in CASES if name in rounds[0]):
        ran = [samples[name] for samples in rounds if name in samples]
        seconds = statistics.median(sample.seconds for sample in ran)
        cpu = statistics.median(sample.cpu_s for sample in ran)
        peak = max(sample.peak_mib for sample in ran)
        calls = f"  {bench.calls[name]:>5} calls" if name in bench.calls else ""
        print(f"    {name:<17} {seconds:>7.3f} s  {cpu:>7.3f} s CPU  {peak:>6.1f} MiB{calls}")


def _announce(number: int) -> None:
    print(f"round {number}" if number else "a round to warm up, not counted", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="numbers of targets, comma-separated; default: all")
    parser.add_argument("--rollout-s", type=float, default=180, help="how long a rollout takes that is waited for")
    parser.add_argument("--cache", type=Path, default=others.default_cache(), help="where awscli and ecs-deploy go")
    return parser.parse_args()


def main() -> None:
    """Prints the ratios; a missed target is said, and is not a failure of the run."""
    try:
        _measure(_arguments())
    except CommandFailed as error:
        raise SystemExit(f"benchmark: {error}") from None


def _measure(args: argparse.Namespace) -> None:
    only = {int(number) for number in args.only.split(",") if number}
    targets = [target for target in TARGETS if not only or target.number in only]
    if targets:
        _compare(targets, args)
    if not only or only & several.NUMBERS:
        several.measure(args.rounds)
    if not only or only & waiting.NUMBERS:
        waiting.measure(rollout_s=args.rollout_s)
    if not only or only & stopping.NUMBERS:
        stopping.measure(args.rounds)


def _compare(targets: Sequence[Target], args: argparse.Namespace) -> None:
    names = frozenset(name for target in targets for name in target.cases)
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (1, 50, 200, MANY), Serving(200)) as stage:
        bench = Bench(stage, args.cache)
        rounds = interleave(bench.cases(names), args.rounds, _announce)
        _show(targets, rounds)
        _show_imports(stage)
        _show_cases(bench, rounds)


if __name__ == "__main__":
    main()
