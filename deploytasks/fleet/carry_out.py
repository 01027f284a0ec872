"""A plan's rollouts, wave after wave."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from deploytasks.errors import Complaint, Interrupted
from deploytasks.fleet.before import Before
from deploytasks.fleet.finish import outcome_of
from deploytasks.fleet.means import Means
from deploytasks.fleet.parallel import MAX_THREADS
from deploytasks.fleet.soak import Soak
from deploytasks.fleet.wave import Pools, Wave, not_attempted
from deploytasks.model import GOOD_OUTCOMES, Ended, Plan, Result, Rollout

_MOST_BEGINNING = 256


def carry_out(plan: Plan, means: Means, *, wait: bool = True) -> tuple[Result, ...]:
    """Every rollout of the plan to its end, wave after wave; with `wait` off, only to its start.

    One target's failure never stops another's of its wave. What was rolled out is watched through the soak after each
    wave, the last included; the next starts only when all went well and stayed well, unless the tier's `on_failure` is
    `continue`.

    Raises:
        Interrupted: Ctrl-C; names what goes on at AWS without us.

    """
    results: list[Result] = []
    before = Before(plan.rollouts)
    means = replace(means, steps_first=lambda rollout: before.run(rollout, means))
    with _pools(plan) as pools:
        soak = Soak(plan, means, pools)
        for number, wave in enumerate(plan.waves):
            with _naming_the_rest(plan, number, means):
                results, why = _leave(plan, number, results, means, soak)
            if why:
                results += _passed_over(wave, why, means)
                continue
            with _naming_the_rest(plan, number + 1, means):
                results += Wave(plan.tier, means, pools, wait=wait).run(wave)
        with _naming_the_rest(plan, len(plan.waves), means):
            results = soak(results) if wait else results
    return tuple(results)


@contextmanager
def _pools(plan: Plan) -> Iterator[Pools]:
    """Threads for the plan; what still writes has ended when they are left, before the lock is free."""
    beginning = max(1, min(len(plan.rollouts), plan.tier.parallel, _MOST_BEGINNING))
    pools = Pools(ThreadPoolExecutor(beginning), ThreadPoolExecutor(min(len(plan.rollouts) + 1, MAX_THREADS)))
    try:
        yield pools
    finally:
        for pool in (pools.beginning, pools.looking):
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _naming_the_rest(plan: Plan, first: int, means: Means) -> Iterator[None]:
    """An interruption inside names the rollouts from that wave on as not attempted, and nothing is asked again.

    Raises:
        Interrupted: with that added.

    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stopped:
        means.stopped.set()
        between = (Complaint(plan.tier.name, "interrupted between two waves"),)
        known = stopped.complaints if isinstance(stopped, Interrupted) else between
        later = (not_attempted(rollout) for wave in plan.waves[first:] for rollout in wave)
        raise Interrupted(*known, *later) from None


def _leave(plan: Plan, number: int, results: list[Result], means: Means, soak: Soak) -> tuple[list[Result], str]:
    """The results of the waves before once the next may begin, and "", or why it must not."""
    if means.before_wave is None:
        results = soak(results)
        return results, _why_not(plan, results)
    watched = [results]

    def watch() -> None:
        watched[0] = soak(results)

    why = _why_not(plan, results) or means.before_wave(plan.waves[number][0].target.wave, watch)
    return watched[0], why or _why_not(plan, watched[0])


def _why_not(plan: Plan, results: Iterable[Result]) -> str:
    """Why no further wave may begin; "" where it may."""
    bad = {result.outcome for result in results if result.outcome not in GOOD_OUTCOMES}
    if not bad or plan.tier.on_failure != "stop":
        return ""
    return f"a target of an earlier wave {'waits on its hook' if bad == {'paused'} else 'failed'}"


def _passed_over(wave: Sequence[Rollout], why: str, means: Means) -> list[Result]:
    results = [outcome_of(rollout, "not attempted", why) for rollout in wave]
    for result in results:
        means.tell(Ended(result))
    return results
