"""The reporter for a stdout that is not a terminal: `HH:MM:SS  target  message`, UTC, one line per event."""

from datetime import UTC, datetime, timedelta
from typing import TextIO, assert_never

from deploytasks.model import Ended, Event, Logged, Planned, Progress, Report, Target, Told
from deploytasks.report import plan, results
from deploytasks.report.plain import plain
from deploytasks.report.reporter import Clock, Reporter
from deploytasks.report.sheet import BLANK, Line, Sheet, Span, Tone, line
from deploytasks.report.streams import OutputStream
from deploytasks.report.text import lines_of, revision_name

_SUBJECT_WIDTH = 12
_SILENCE = timedelta(minutes=1)


class Lines(Reporter):
    """Writes plain lines without colour; progress that says nothing new is left out for a minute."""

    def __init__(self, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(command, clock)
        self._stream = OutputStream(stdout)
        self._last: dict[Target, tuple[Progress, datetime]] = {}
        self._width = _SUBJECT_WIDTH

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not."""
        return self._stream.lost

    def _tell(self, event: Event) -> None:
        match event:
            case Told():
                self._write(tuple(told(event, self._clock(), self._width)))
            case Logged():
                self._write(tuple(logged(event, self._width)))
            case Planned():
                self._width = subject_width(event)
                self._write((*framed(plan.sheet(event.plan)),))
            case Progress():
                self._move(event)
            case Ended(result):
                self._write((self._line(result.target, Span(results.ending(result), result.row.tone)),))
            case _:
                assert_never(event)

    def _end(self, report: Report) -> None:
        if self._plan is None and report.dry_run:
            self._write(framed(plan.sheet(report.plan)))
        self._write((BLANK, *results.sheet(report, self._elapsed_s())) if report.results else results.sheet(report))

    def _leave(self, error: BaseException | None) -> None:
        """Do nothing: lines need no clean-up."""

    def _move(self, event: Progress) -> None:
        known = self._last.get(event.target)
        if known and known[0] == event and self._clock() - known[1] < _SILENCE:
            return
        now = self._clock()
        self._last[event.target] = event, now
        self._write((stamped(now, str(event.target), Span(moved(event)), self._width),))

    def _line(self, target: Target, message: Span) -> Line:
        return stamped(self._clock(), str(target), message, self._width)

    def _write(self, sheet: Sheet) -> None:
        self._stream.write(plain(sheet))


def framed(sheet: Sheet) -> Sheet:
    """Return the sheet between blank lines."""
    return (BLANK, *sheet, BLANK)


def subject_width(planned: Planned) -> int:
    """Return the width of the second column, so that every target of the plan fits."""
    return max([_SUBJECT_WIDTH, *(len(str(rollout.target)) for rollout in planned.plan.rollouts)])


def told(event: Told, at: datetime, width: int) -> list[Line]:
    """Return a message's lines, each with the time; those of a build's output are indented."""
    indent = "  " if event.step == "build" else ""
    said = lines_of(event.message)
    tone: Tone = "dim" if event.step == "build" else "plain"
    return [stamped(at, event.about or event.step, Span(indent + each, tone), width) for each in said]


def logged(event: Logged, width: int) -> list[Line]:
    """Return a container's log lines with their own time, target, task and container."""
    source = f"{event.task[:8]} {event.container} | "
    said = lines_of(event.message)
    return [stamped(event.at, str(event.target), Span(source + each), width) for each in said]


def stamped(at: datetime, subject: str, message: Span, width: int) -> Line:
    """Return the line `HH:MM:SS  subject  message`."""
    return line(Span(f"{at.astimezone(UTC):%H:%M:%S}  ", "dim"), Span(f"{subject:<{width}}  "), message)


def moved(progress: Progress) -> str:
    """Return the progress of a rollout, in one phrase."""
    known = [progress.state, f"{progress.running}/{progress.desired} running", revision_name(progress.revision)]
    said = ", ".join(filter(None, known))
    return f"{said}: {progress.last_event}" if progress.last_event else said
