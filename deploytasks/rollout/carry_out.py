"""Roll out a plan, wave after wave."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from deploytasks.concurrency import MAX_THREADS
from deploytasks.errors import Complaint, Interrupted
from deploytasks.model import Ended, Plan, Result, Rollout, unsuccessful
from deploytasks.rollout.before_deploy import Before
from deploytasks.rollout.finish import outcome_of
from deploytasks.rollout.resources import Resources
from deploytasks.rollout.soak import Soak
from deploytasks.rollout.wave import Pools, Wave, not_attempted

_MOST_BEGINNING = 256


def carry_out(plan: Plan, resources: Resources, *, wait: bool = True) -> tuple[Result, ...]:
    """Roll out the plan, wave after wave, and return the results; with `wait=False`, start the rollouts only.

    One target's failure never stops another target of its wave. Every wave, the last included, is followed by the
    soak. The next wave starts only if all targets went well and stayed healthy, unless the tier's `on_failure` is
    `continue`.

    Raises:
        Interrupted: Ctrl-C; names the rollouts that go on at AWS.

    """
    results: list[Result] = []
    before = Before(plan.rollouts)
    resources = replace(resources, steps_first=lambda rollout: before.run(rollout, resources))
    with _pools(plan) as pools:
        soak = Soak(plan, resources, pools)
        for number, wave in enumerate(plan.waves):
            with _naming_the_rest(plan, number, resources):
                results, why = _leave(plan, number, results, resources, soak)
            if why:
                results += _passed_over(wave, why, resources)
                continue
            with _naming_the_rest(plan, number + 1, resources):
                results += Wave(plan.tier, resources, pools, wait=wait).run(wave)
        with _naming_the_rest(plan, len(plan.waves), resources):
            results = soak(results) if wait else results
    return tuple(results)


@contextmanager
def _pools(plan: Plan) -> Iterator[Pools]:
    """Yield the plan's threads; on exit, wait for writes under way, so that the lock is released only after them."""
    beginning = max(1, min(len(plan.rollouts), plan.tier.parallel, _MOST_BEGINNING))
    pools = Pools(ThreadPoolExecutor(beginning), ThreadPoolExecutor(min(len(plan.rollouts) + 1, MAX_THREADS)))
    try:
        yield pools
    finally:
        for pool in (pools.beginning, pools.polling):
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _naming_the_rest(plan: Plan, first: int, resources: Resources) -> Iterator[None]:
    """On an interruption, set `stopped` and add the rollouts from wave `first` on as not attempted.

    Raises:
        Interrupted: with those complaints added.

    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stopped:
        resources.stopped.set()
        between = (Complaint(plan.tier.name, "interrupted between two waves"),)
        known = stopped.complaints if isinstance(stopped, Interrupted) else between
        later = (not_attempted(rollout) for wave in plan.waves[first:] for rollout in wave)
        raise Interrupted(*known, *later) from None


def _leave(
    plan: Plan, number: int, results: list[Result], resources: Resources, soak: Soak
) -> tuple[list[Result], str]:
    """Soak, wait for leave to begin the next wave, and return the results so far and why it must not begin, or ""."""
    if resources.before_wave is None:
        results = soak(results)
        return results, _why_not(plan, results)
    watched = [results]

    def watch() -> None:
        watched[0] = soak(results)

    why = _why_not(plan, results) or resources.before_wave(plan.waves[number][0].target.wave, watch)
    return watched[0], why or _why_not(plan, watched[0])


def _why_not(plan: Plan, results: Iterable[Result]) -> str:
    """Return why no further wave may begin; "" if it may."""
    resumes = {result.row.resume for result in unsuccessful(results)}
    if not resumes or plan.tier.on_failure != "stop":
        return ""
    return f"a target of an earlier wave {'waits on its hook' if resumes == {'hook'} else 'failed'}"


def _passed_over(wave: Sequence[Rollout], why: str, resources: Resources) -> list[Result]:
    results = [outcome_of(rollout, "not attempted", why) for rollout in wave]
    for result in results:
        resources.tell(Ended(result))
    return results
