"""Waves hold across runners: before a wave begins here, all earlier targets of the tier, whosever, have arrived."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deploytasks.commands.context import Context, say
from deploytasks.commands.observe import observe
from deploytasks.model import Live, Rollout, Target
from deploytasks.rules import shards

Waves = tuple[tuple[Rollout, ...], ...]

_SHORTEST_S, _LONGEST_S = 1.0, 10.0
"""Between two looks: soon at first, then ever more seldom."""
_UNSEEN = 5
"""So many looks in a row that could not see a target are enough to give it up."""
_NAMED = 5
_SAID_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What one look found: who has not arrived yet and why, and who never will."""

    coming: dict[Target, str] = field(default_factory=dict)
    lost: dict[Target, str] = field(default_factory=dict)


class Barrier:
    """Asked before a wave begins, it answers when the wave may: with nothing, or with why it must not.

    `context` is about all targets of the tier, `plan` says what is still to be done about them, and `since` is when the
    run began.
    """

    def __init__(
        self,
        context: Context,
        plan: Callable[[Sequence[Live]], Waves],
        since: datetime,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._context, self._plan, self._since = context, plan, since
        self._clock, self._sleep = clock, sleep
        self._failed_before: dict[Target, str] = {}
        self._unseen: dict[Target, int] = {}
        self._moved: set[Target] = set()

    def remember(self, before: int) -> None:
        """What failed of the waves before that one is known, and not taken for a failure of this run."""
        self._failed_before = {live.target: live.failure for live in self._look(self._earlier(before))}

    def __call__(self, wave: int, watch: Callable[[], None] = lambda: None) -> str:
        """The wave may begin; or, returned, why not. In the soak `watch` sees to it that our own targets stay well."""
        earlier = self._earlier(wave)
        soak_s = self._context.tier.soak_s
        if why := self._await(earlier, wave):
            return why
        if not soak_s or not self._moved & set(earlier):
            return ""
        say(self._context, "soak", f"{soak_s} s until wave {wave}")
        began = self._clock()
        watch()
        self._sleep(max(0.0, soak_s - (self._clock() - began)))
        return self._await(earlier, wave)

    def _await(self, earlier: Sequence[Target], wave: int) -> str:
        """All have arrived, or it is known why they will not, or not in time."""
        tier, began = self._context.tier, self._clock()
        timeout_s = (tier.timeout_s + tier.soak_s) * len({target.wave for target in earlier})
        pending, said_at, unlucky = tuple(earlier), -_SAID_EVERY_S, dict[Target, str]()
        while pending:
            found = self._watched(pending)
            unlucky |= found.lost
            if unlucky and tier.on_failure == "stop":
                return f"an earlier wave did not go well: {_named(unlucky)}"
            pending, waited = tuple(found.coming), self._clock() - began
            if pending and waited >= timeout_s:
                return "" if tier.on_failure == "continue" else f"after {waited:.0f} s: {_named(found.coming)}"
            if pending and waited - said_at >= _SAID_EVERY_S:
                said_at = waited
                say(
                    self._context,
                    "wait",
                    f"wave {wave} waits for {len(pending)} of earlier waves: {_named(found.coming)}",
                )
            if pending:
                self._sleep(min(max(_SHORTEST_S, waited / 10), _LONGEST_S))
        return ""

    def _watched(self, targets: Sequence[Target]) -> Watch:
        lives = self._look(targets)
        planned = self._plan(lives)
        watch = Watch()
        for rollout in (rollout for wave in planned for rollout in wave):
            target = rollout.target
            image, before = self._context.images[target.service], self._failed_before.get(target, "")
            state, why = shards.stand(rollout, image, self._since, before)
            if state == "lost" or self._is_out_of_sight(rollout.live, target):
                watch.lost[target] = why
            elif state == "coming":
                watch.coming[target] = why
            self._note(rollout.live, target)
        return watch

    def _look(self, targets: Iterable[Target]) -> tuple[Live, ...]:
        return observe(self._context.clients, targets, self._context.images, reading="unpinned")

    def _is_out_of_sight(self, live: Live | None, target: Target) -> bool:
        self._unseen[target] = self._unseen.get(target, 0) + 1 if live and live.complaint else 0
        return self._unseen[target] >= _UNSEEN

    def _note(self, live: Live | None, target: Target) -> None:
        """Whether this run moved the target: then there is something to soak."""
        primary = live.primary if live else None
        if primary and primary.created_at and primary.created_at >= self._since:
            self._moved.add(target)

    def _earlier(self, wave: int) -> tuple[Target, ...]:
        return tuple(target for target in self._context.targets if target.wave < wave)


def _named(found: dict[Target, str]) -> str:
    said = [f"{target}: {why}" for target, why in list(found.items())[:_NAMED]]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(said) + more
