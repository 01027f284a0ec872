"""A plan's rollouts, wave after wave."""

from concurrent.futures import ThreadPoolExecutor

from deploytasks.errors import Interrupted
from deploytasks.fleet.parallel import MAX_THREADS
from deploytasks.fleet.wave import Wave, not_attempted
from deploytasks.fleet.work import Means, outcome_of
from deploytasks.model import GOOD_OUTCOMES, Ended, OnEvent, Plan, Result, Rollout, Told


def carry_out(plan: Plan, means: Means, *, wait: bool = True) -> tuple[Result, ...]:
    """Every rollout of the plan to its end, wave after wave; with `wait` off, only to its start.

    One target's failure never stops another's of its wave; the next wave starts only when all went well, unless
    the tier's `on_failure` is `continue`.

    Raises:
        Interrupted: Ctrl-C; names what goes on at AWS without us.

    """
    results: list[Result] = []
    pool = ThreadPoolExecutor(max_workers=min(len(plan.rollouts) + 1, MAX_THREADS))
    try:
        for number, wave in enumerate(plan.waves):
            if plan.tier.on_failure == "stop" and any(result.outcome not in GOOD_OUTCOMES for result in results):
                results += _not_attempted(wave, means.tell)
                continue
            try:
                _soak(plan, means, rolled=any(result.outcome == "deployed" for result in results))
                results += Wave(plan.tier, means, pool, wait=wait).run(wave)
            except Interrupted as stopped:
                later = (rollout for wave in plan.waves[number + 1 :] for rollout in wave)
                raise Interrupted(*stopped.complaints, *map(not_attempted, later)) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # what still writes must end before the lock is free
    return tuple(results)


def _not_attempted(wave: tuple[Rollout, ...], tell: OnEvent) -> list[Result]:
    results = [outcome_of(rollout, "not attempted", "a target of an earlier wave failed") for rollout in wave]
    for result in results:
        tell(Ended(result))
    return results


def _soak(plan: Plan, means: Means, *, rolled: bool) -> None:
    if rolled and plan.tier.soak_s:
        means.tell(Told("soak", f"{plan.tier.soak_s} s until the next wave"))
        means.sleep(plan.tier.soak_s)
