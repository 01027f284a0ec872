"""A plan's rollouts, wave after wave."""

from concurrent.futures import ThreadPoolExecutor

from deploytasks.fleet.parallel import MAX_THREADS
from deploytasks.fleet.wave import Wave
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
            _soak(plan, number, means)
            results += Wave(plan.tier, means, pool, wait=wait).run(wave)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(results)


def _not_attempted(wave: tuple[Rollout, ...], tell: OnEvent) -> list[Result]:
    results = [outcome_of(rollout, "not attempted", "a target of an earlier wave failed") for rollout in wave]
    for result in results:
        tell(Ended(result))
    return results


def _soak(plan: Plan, number: int, means: Means) -> None:
    if number and plan.tier.soak_s:
        means.tell(Told("soak", f"{plan.tier.soak_s} s until the next wave"))
        means.sleep(plan.tier.soak_s)
