"""A tier's environments split among several runners, and the state of a target that another runner rolls out.

The split depends on the project's files alone, so every runner computes the same one.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from deploytasks.model import Environment, Rollout, Target
from deploytasks.rules.observed import begun_at, named_by, what_runs

State = Literal["arrived", "coming", "lost"]
"""`arrived`: it runs what it should; `coming`: not yet; `lost`: its rollout in this run failed."""


class _Part(Struct):
    """A shard being filled: its environments, and its number of targets in each wave."""

    environments: set[Environment] = field(default_factory=set)
    waves: Counter[int] = field(default_factory=Counter)


def split(targets: Iterable[Target], of: int) -> tuple[tuple[Target, ...], ...]:
    """Return the targets in `of` parts, in file order within each; with fewer environments, the last parts are empty.

    Environments stay whole. Each wave is spread evenly, so that no runner sits idle while others roll a wave out.
    """
    listed = tuple(targets)
    parts = [_Part() for _ in range(of)]
    for environment, members in _largest_first(listed):
        wave = members[0].wave
        emptiest = min(parts, key=lambda part: (part.waves[wave], part.waves.total()))
        emptiest.environments.add(environment)
        emptiest.waves.update(target.wave for target in members)
    return tuple(tuple(target for target in listed if target.environment in part.environments) for part in parts)


def _largest_first(targets: Iterable[Target]) -> list[tuple[Environment, list[Target]]]:
    """Return each environment with its targets, ordered by first wave, then size, then file order."""
    environments: dict[Environment, list[Target]] = {}
    for target in sorted(targets, key=lambda target: target.wave):
        environments.setdefault(target.environment, []).append(target)
    return sorted(environments.items(), key=lambda each: (each[1][0].wave, -len(each[1])))


def stand(rollout: Rollout, since: datetime, failed_before: str = "") -> tuple[State, str]:
    """Return the state of a rollout's target, and why it has not arrived; `rollout` is as it would be planned now.

    `since` is when this run began, `failed_before` the failure of its last rollout known at that time: only what
    happened since counts as this run's.
    """
    live = rollout.live
    primary = live.primary if live else None
    if live is None or live.complaint or primary is None:
        return "coming", f"it cannot be seen: {live.complaint.what}" if live and live.complaint else "it is not there"
    ran = {each: what_runs(live, each.name)[0] for each in named_by(live, rollout.desired)}
    failed = [each for each in live.deployments if each.rollout_state == "FAILED" and _is_since(each.created_at, since)]
    if failed or live.failure not in ("", failed_before):
        return "lost", live.failure or failed[0].reason or "ECS gave its rollout up"
    if primary.rollout_state not in ("COMPLETED", "") or primary.running < primary.desired:
        return "coming", f"its rollout is under way, {primary.running}/{primary.desired} running"
    registered = (live.definition or {}).get("registeredAt")
    began = begun_at(live.revision_tags, registered) or registered
    ours = _is_since(primary.created_at, since)
    is_of_this_run = ours and _is_since(began, since.replace(microsecond=0))  # `at` is written in whole seconds
    if all(each.is_met_by(digests) for each, digests in ran.items()) and (
        rollout.action == "nothing" or is_of_this_run
    ):
        return "arrived", ""
    runs = ", ".join(digest[:19] for digests in ran.values() for digest in digests) or "nothing known"
    return ("lost", f"it was restored to {runs}") if ours else ("coming", f"it still runs {runs}")


def _is_since(at: datetime | None, since: datetime) -> bool:
    return at is not None and at >= since
