"""The base of all reporters of a running command: take events from many threads, and mask secrets."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from threading import RLock
from types import TracebackType
from typing import Self

from deploytasks.model import Ended, Event, Plan, Planned, Report, Result
from deploytasks.report.masking import veil, veiled, veiled_report
from deploytasks.report.secrets import secret_values

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class Reporter(ABC):
    """An OnEvent that shows events as they happen, and the report at the end.

    `with reporter_for(…) as show: …; show.finish(report)`. Leaving the block without `finish` leaves on the screen what
    was known until then.
    """

    def __init__(self, command: str, clock: Clock) -> None:
        self._command = command
        self._clock = clock
        self._started_at = clock()
        self._plan: Plan | None = None
        self._ended: tuple[Result, ...] = ()
        self._finished = False
        self._secrets: frozenset[str] = frozenset()
        self._lock = RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._leave(error)

    def __call__(self, event: Event) -> None:
        """Show the event, with the secrets of the planned definitions masked."""
        with self._lock:
            if isinstance(event, Planned):
                self._plan = event.plan
                self._secrets = secret_values(event.plan)
            shown = veiled(event, self._secrets)
            if isinstance(shown, Ended):
                self._ended += (shown.result,)
            self._tell(shown)

    def finish(self, report: Report) -> None:
        """Show the end; no event may follow."""
        with self._lock:
            self._finished = True
            self._end(veiled_report(report))

    def shown(self, text: str) -> str:
        """Return the text with the secrets of the planned definitions masked."""
        return veil(text, self._secrets)

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not, or its reader went away."""
        return ""

    def _elapsed_s(self) -> float:
        return (self._clock() - self._started_at).total_seconds()

    @abstractmethod
    def _tell(self, event: Event) -> None:
        """Write the event to the stream."""

    @abstractmethod
    def _end(self, report: Report) -> None:
        """Write the end to the stream."""

    @abstractmethod
    def _leave(self, error: BaseException | None) -> None:
        """Leave the stream as it was found; `error` is what the command failed with, if it did."""


class Around(Reporter):
    """A reporter that passes every event on to an inner one."""

    def __init__(self, inner: Reporter, command: str, clock: Clock) -> None:
        super().__init__(command, clock)
        self._inner = inner

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not."""
        return self._inner.lost

    def _tell(self, event: Event) -> None:
        self._inner(event)

    def _end(self, report: Report) -> None:
        self._inner.finish(report)

    def _leave(self, error: BaseException | None) -> None:
        self._inner.__exit__(type(error) if error else None, error, None)
