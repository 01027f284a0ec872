"""Whose turn it is: within an environment a rollout begins once those that go first have ended well."""

from collections import deque
from collections.abc import Iterable, Iterator

from deploytasks.model import Environment, Result, Rollout


class Turns:
    """A wave's rollouts that have not begun: those whose turn it is, and those that wait for others to end.

    `ended` are the results of earlier waves.
    """

    def __init__(self, wave: Iterable[Rollout] = (), ended: Iterable[Result] = ()) -> None:
        self._waiting: dict[Environment, list[Rollout]] = {}
        for rollout in wave:
            self._waiting.setdefault(rollout.target.environment, []).append(rollout)
        self._open = {(each.target.environment, each.target.name) for one in self._waiting.values() for each in one}
        self._ended = {(result.target.environment, result.target.name): result for result in ended}
        self._ready: deque[Rollout] = deque()
        self._never: deque[tuple[Rollout, str]] = deque()
        for environment in reversed(self._waiting):
            self._call(environment)

    def __len__(self) -> int:
        return len(self._ready) + len(self._never) + sum(map(len, self._waiting.values()))

    def next(self) -> Rollout | None:
        """Take out and return the next rollout to begin, None if there is none by now; an environment's in a row."""
        return self._ready.popleft() if self._ready else None

    def never(self) -> Iterator[tuple[Rollout, str]]:
        """Take out and yield the rollouts that must not begin, each with the reason."""
        while self._never:
            yield self._never.popleft()

    def end(self, result: Result) -> None:
        """Take note of a result: the turn of those that waited for it may have come."""
        environment = result.target.environment
        self._open.discard((environment, result.target.name))
        self._ended[environment, result.target.name] = result
        self._call(environment)

    def _call(self, environment: Environment) -> None:
        """Sort out those of the environment that wait for nothing that is still open."""
        waiting = self._waiting.get(environment, [])
        over = [each for each in waiting if not any((environment, name) in self._open for name in each.after)]
        if not over:
            return
        self._waiting[environment] = [each for each in waiting if each not in over]
        why = {each.target: self._why_not(each) for each in over}
        self._never += ((each, why[each.target]) for each in over if why[each.target])
        self._ready.extendleft(each for each in reversed(over) if not why[each.target])

    def _why_not(self, rollout: Rollout) -> str:
        """Return why the rollout must not begin: one that goes first did not end well. "" if it may."""
        environment = rollout.target.environment
        known = (self._ended.get((environment, name)) for name in rollout.after)
        bad = [result for result in known if result and not result.row.is_good]
        if not bad:
            return ""
        first = next((result for result in bad if not result.row.is_untouched), bad[0])
        return f"not touched, because {first.target.name}, which goes first in {environment}, ended as {first.outcome}"
