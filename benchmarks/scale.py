"""`python -m benchmarks.scale`: what a release costs from ten tenants to ten thousand, as docs/scale.md has it.

Measured against the endpoint with AWS's rate limits on, where every tenant has an account of its own and where all
share one; what is beyond the largest size measured is computed. Beginning and following are measured apart: how long
until every rollout is under way, and how soon the ends of many at once are noticed.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Literal

from benchmarks.measure import Case, CommandFailed, run
from benchmarks.stage import Serving, set_up
from benchmarks.waiting import release
from tests.cloud.limits import BUCKETS, Bucket
from tests.project import inv

Sharing = Literal["each", "one"]
"""Whether each tenant has an account of its own, or all have one."""
SHOWN: Mapping[Sharing, str] = {"each": "one each", "one": "one for all"}
COMPUTED = 10_000
SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Begun:
    """What it took until all rollouts were under way; `calls` by operation, `throttled` those that AWS sent away."""

    tenants: int
    sharing: Sharing
    seconds: float
    cpu_s: float
    peak_mib: float
    calls: Mapping[str, float]
    throttled: int = 0
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Followed:
    """How soon the ends of so many rollouts were noticed: mean and longest delay, and the calls it took."""

    tenants: int
    sharing: Sharing
    mean_s: float
    longest_s: float
    calls_each: float


def begin(tenants: int, sharing: Sharing) -> Begun:
    """One whole `inv deploy.prod --no-wait`, measured."""
    print(f"beginning: {tenants} tenants, {SHOWN[sharing]}", file=sys.stderr)
    serving = Serving(tenants, limits=True, shared=tenants if sharing == "one" else 1)
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (tenants,), serving) as stage:
        sample = run(Case("", [inv(), "deploy.prod", "--no-wait"], stage.projects[tenants], stage.env()))
        told = stage.told("calls")
    if told["operations"].get("UpdateService", 0) < tenants:
        raise CommandFailed(f"not all of {tenants} services were updated: {told['operations']}")
    measured = (sample.seconds, sample.cpu_s, sample.peak_mib)
    return Begun(tenants, sharing, *measured, told["operations"], sum(told["throttled"].values()))


def follow(tenants: int, sharing: Sharing, rollout_s: float) -> Followed:
    """One whole `inv deploy.prod` with as many rollouts at once as AWS lets begin, measured."""
    print(f"following: {tenants} tenants, {SHOWN[sharing]}", file=sys.stderr)
    shared = tenants if sharing == "one" else 1
    serving = Serving(tenants, rollout_s=rollout_s, spread=SPREAD, limits=True, shared=shared)
    policy = f"parallel = {tenants}\n"
    with tempfile.TemporaryDirectory() as folder, set_up(Path(folder), (tenants,), serving, policy) as stage:
        waited = release(stage, tenants)
    delays, calls = waited.delays_s(), sum(waited.calls.values())
    return Followed(tenants, sharing, statistics.mean(delays), delays[-1], calls / tenants)


def beyond(known: Sequence[Begun], tenants: int) -> Begun:
    """The same for more tenants than were measured: on from the two largest sizes in a straight line.

    Buckets are straight lines too, once their burst is gone: in one account all looks come before the first register.
    """
    smaller, larger = known[-2], known[-1]
    on = (tenants - larger.tenants) / (larger.tenants - smaller.tenants)

    def line(a: float, b: float) -> float:
        return b + (b - a) * on

    names = larger.calls.keys() | smaller.calls.keys()
    calls = {name: line(smaller.calls.get(name, 0), larger.calls.get(name, 0)) for name in names}
    seconds, cpu_s = line(smaller.seconds, larger.seconds), line(smaller.cpu_s, larger.cpu_s)
    peak_mib = line(smaller.peak_mib, larger.peak_mib)
    return Begun(tenants, larger.sharing, seconds, cpu_s, peak_mib, calls, computed=True)


def waits_s(calls: Mapping[str, float]) -> dict[Bucket, float]:
    """How long the calls of one account wait for each of its buckets (s), when they are all asked at once."""
    asked: defaultdict[Bucket, float] = defaultdict(float)
    for (service, operation), bucket in BUCKETS.items():
        if service == "ecs" and operation in calls:
            asked[bucket] += calls[operation]
    return {bucket: max(0.0, (count - bucket.burst) / bucket.per_s) for bucket, count in asked.items()}


def slowest(calls: Mapping[str, float]) -> tuple[str, float]:
    """The bucket that one account's calls wait for longest, and how long (s)."""
    return max(((bucket.name, wait_s) for bucket, wait_s in waits_s(calls).items()), key=itemgetter(1))


def _bound(row: Begun) -> str:
    """What the time went on."""
    name, wait_s = slowest(row.calls) if row.sharing == "one" else ("", 0.0)
    return name if wait_s > row.cpu_s else "processor and network"


def _show_begun(rows: Iterable[Begun]) -> None:
    print("\n| tenants | accounts | calls | throttled | time | CPU | memory | bound by |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for row in rows:
        mark = "computed" if row.computed else f"{row.throttled:,}"
        counts = f"| {row.tenants:,} | {SHOWN[row.sharing]} | {sum(row.calls.values()):,.0f} | {mark} "
        print(f"{counts}| {_time(row.seconds)} | {_time(row.cpu_s)} | {row.peak_mib:,.0f} MiB | {_bound(row)} |")


def _show_buckets(row: Begun) -> None:
    """What one account with all the row's tenants waits for."""
    print(f"\n| bucket of one account | burst | a second | calls of {row.tenants:,} tenants | wait |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for bucket, wait_s in sorted(waits_s(row.calls).items(), key=itemgetter(1), reverse=True):
        calls = sum(row.calls.get(operation, 0) for operation in bucket.name.split())
        print(f"| {bucket.name} | {bucket.burst:g} | {bucket.per_s:g} | {calls:,.0f} | {_time(wait_s)} |")


def _show_followed(rows: Iterable[Followed], rollout_s: float) -> None:
    print(f"\n| rollouts of {rollout_s:g} s | accounts | mean delay | longest delay | calls a tenant |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for row in rows:
        delays = f"{row.mean_s:.1f} s | {row.longest_s:.1f} s"
        print(f"| {row.tenants:,} | {SHOWN[row.sharing]} | {delays} | {row.calls_each:.0f} |")


def _measure(sizes: Sequence[int], sharing: Sharing) -> None:
    rows = [begin(size, sharing) for size in sizes]
    if len(rows) > 1:
        rows.append(beyond(rows, COMPUTED))
    if rows:
        _show_begun(rows)
    if rows and sharing == "one":
        _show_buckets(rows[-1])


def _time(seconds: float) -> str:
    """A time that a table has room for."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=_sizes, default=[10, 100, 1000, 2000], help="sizes to measure")
    parser.add_argument("--accounts", choices=("each", "one", "both"), default="both")
    parser.add_argument("--follow", type=_sizes, default=[50, 200, 500, 1000], help="rollouts at once")
    parser.add_argument("--follow-in-one", type=_sizes, default=[200], help="the same where all share an account")
    parser.add_argument("--rollout-s", type=float, default=60, help="how long one takes that is followed")
    return parser.parse_args()


def main() -> None:
    """Prints the tables of docs/scale.md. All in one account takes a second a tenant: that is AWS's limit."""
    args = _arguments()
    sharings: tuple[Sharing, ...] = ("each", "one") if args.accounts == "both" else (args.accounts,)
    try:
        for sharing in sharings:
            _measure(args.tenants, sharing)
        followed = [follow(size, "each", args.rollout_s) for size in args.follow]
        followed += [follow(size, "one", args.rollout_s) for size in args.follow_in_one]
        if followed:
            _show_followed(followed, args.rollout_s)
    except CommandFailed as error:
        raise SystemExit(f"scale: {error}") from None


if __name__ == "__main__":
    main()
