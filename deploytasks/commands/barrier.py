"""Keep waves in order across runners: a wave begins once all targets of earlier waves, on any runner, have arrived."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby

from msgspec import Struct, field

from deploytasks.commands.context import Context, say
from deploytasks.commands.observe import observe
from deploytasks.model import Live, Rollout, Target
from deploytasks.rules import order, shards

Waves = tuple[tuple[Rollout, ...], ...]

_SHORTEST_S, _LONGEST_S = 1.0, 10.0
"""The pause between two polls, which grows with the time waited."""
_UNSEEN = 5
"""A target that could not be observed in this many consecutive polls counts as lost."""
_NAMED = 5
_SAID_EVERY_S = 60.0


class Watch(Struct, frozen=True):
    """The result of one poll: targets that have not arrived yet, and targets that will not, each with the reason."""

    coming: dict[Target, str] = field(default_factory=dict)
    lost: dict[Target, str] = field(default_factory=dict)


class Barrier:
    """A callable that blocks until a wave may begin; it returns "", or the reason why the wave must not begin.

    `context` has all targets of the tier selected, `plan` returns the rollouts that observed targets still need, and
    `since` is when the run began.
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
        """Record what has failed already in the waves before that one: it does not count as this run's failure."""
        self._failed_before = {live.target: live.failure for live in self._look(self._earlier(before))}

    def __call__(self, wave: int, watch: Callable[[], None] = lambda: None) -> str:
        """Wait for the earlier waves and their soak; return "" if the wave may begin, else the reason why not.

        `watch` is called once at the start of the soak, to check that this runner's own targets stay healthy.
        """
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
        """Wait until all have arrived; return "" or why the wave must not begin: a target is lost, or a timeout."""
        tier, began = self._context.tier, self._clock()
        timeout_s = sum(tier.timeout_s * order.most_stages(wave) + tier.soak_s for wave in _by_wave(earlier))
        coming, said_at, unlucky = dict.fromkeys(earlier, ""), -_SAID_EVERY_S, dict[Target, str]()
        while coming:
            found = self._watched(tuple(coming))
            unlucky |= found.lost
            if unlucky and tier.on_failure == "stop":
                return f"an earlier wave did not go well: {_named(unlucky)}"
            coming, waited = _still_coming(found.coming, unlucky), self._clock() - began
            if coming and waited >= timeout_s:
                return "" if tier.on_failure == "continue" else f"after {waited:.0f} s: {_named(coming)}"
            if coming and waited - said_at >= _SAID_EVERY_S:
                said_at = waited
                say(self._context, "wait", f"wave {wave} waits for {len(coming)} of earlier waves: {_named(coming)}")
            if coming:
                self._sleep(min(max(_SHORTEST_S, waited / 10), _LONGEST_S))
        return ""

    def _watched(self, targets: Sequence[Target]) -> Watch:
        lives = self._look(targets)
        planned = self._plan(lives)
        watch = Watch()
        for rollout in (rollout for wave in planned for rollout in wave):
            target = rollout.target
            before = self._failed_before.get(target, "")
            state, why = shards.stand(rollout, self._since, before)
            if state == "lost" or self._is_out_of_sight(rollout.live, target):
                watch.lost[target] = why
            elif state == "coming":
                watch.coming[target] = why
            self._note(rollout.live, target)
        return watch

    def _look(self, targets: Iterable[Target]) -> tuple[Live, ...]:
        return observe(self._context.clients, targets, renderer=self._context.renderer, reading="unpinned")

    def _is_out_of_sight(self, live: Live | None, target: Target) -> bool:
        self._unseen[target] = self._unseen.get(target, 0) + 1 if live and live.complaint else 0
        return self._unseen[target] >= _UNSEEN

    def _note(self, live: Live | None, target: Target) -> None:
        """Record the target if this run deployed to it: only then is there something to soak."""
        primary = live.primary if live else None
        if primary and primary.created_at and primary.created_at >= self._since:
            self._moved.add(target)

    def _earlier(self, wave: int) -> tuple[Target, ...]:
        return tuple(target for target in self._context.targets if target.wave < wave)


def _by_wave(targets: Iterable[Target]) -> list[list[Target]]:
    ordered = sorted(targets, key=lambda target: target.wave)
    return [list(members) for _, members in groupby(ordered, key=lambda target: target.wave)]


def _still_coming(coming: dict[Target, str], lost: dict[Target, str]) -> dict[Target, str]:
    """Return the targets that may still come: those that come after no lost target of their environment."""
    first = order.earlier((*coming, *lost)) if lost else {}
    return {target: why for target, why in coming.items() if lost.keys().isdisjoint(first.get(target, ()))}


def _named(found: dict[Target, str]) -> str:
    said = [f"{target}: {why}" for target, why in list(found.items())[:_NAMED]]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(said) + more
