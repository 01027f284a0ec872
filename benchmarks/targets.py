"""The targets: what is compared with what, and the mark that each ratio is held to. None of the marks is a time.

The numbers are those of the targets; 9 is the board of one tier. 6 and 7 are `waiting`'s, 10 is `stopping`'s, 11 is
`several`'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Sample
from tests.cloud.world import TIERS

MANY = 1000
"""Tenants of the repository whose environments are checked: times three tiers."""
ENVIRONMENTS = MANY * len(TIERS)
EMPTY_LIST_MS = 252
"""An empty `inv --list` where the target "1 ms an environment" was set; makes a ratio of that time."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target: `of` gives its ratio from one round's samples of `cases`, at most `mark`."""

    number: int
    what: str
    mark: float
    cases: tuple[str, ...]
    of: Callable[[Mapping[str, Sample]], float]


def _time(number: int, what: str, mark: float, a: str, b: str) -> Target:
    """A target about how long the command `a` takes in times of the command `b`."""
    return Target(number, what, mark, (a, b), lambda samples: samples[a].seconds / samples[b].seconds)


TARGETS = (
    _time(1, "inv --list ÷ that of an empty tasks.py", 1.05, "list", "empty"),
    _time(2, "deploy to 50 tenants ÷ to 1", 2.0, "deploy 50", "deploy 1"),
    _time(2, "deploy to 200 tenants ÷ to 1", 5.0, "deploy 200", "deploy 1"),
    _time(3, "deploy to 50 ÷ the article's script on awscli", 1 / 20, "deploy 50", "script 50"),
    _time(3, "deploy to 50 ÷ the same with a profile a tenant", 1 / 20, "deploy 50", "profiles 50"),
    _time(3, "deploy to 50 ÷ ecs deploy -t, one after the other", 1 / 20, "deploy 50", "ecs deploy 50"),
    _time(4, "deploy to 1 of 50 ÷ ecs deploy -t", 1.0, "deploy t1", "ecs deploy"),
    _time(4, "the same ÷ ecs deploy -t --timeout -1: neither waits", 1.0, "deploy t1", "ecs deploy blind"),
    Target(
        5,
        "peak memory, deploy to 200 ÷ to 1",
        1.3,
        ("deploy 200", "deploy 1"),
        lambda samples: samples["deploy 200"].peak_mib / samples["deploy 1"].peak_mib,
    ),
    Target(
        8,
        f"envs.check of {ENVIRONMENTS:,} less start-up ÷ empty inv --list",
        ENVIRONMENTS / EMPTY_LIST_MS,
        ("check many", "check few", "empty"),
        lambda samples: (samples["check many"].seconds - samples["check few"].seconds) / samples["empty"].seconds,
    ),
    _time(9, "status of 50 tenants ÷ of 1", 2.0, "status 50", "status 1"),
    _time(9, "status of 200 tenants ÷ of 1", 8.0, "status 200", "status 1"),
)
