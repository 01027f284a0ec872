"""Faces around a face: they tell it everything, and CI what it can show besides."""

from dataclasses import replace
from pathlib import Path
from typing import TextIO

from deploytasks.model import Event, Report, Told
from deploytasks.report import ci, plan, results
from deploytasks.report.markdown import markdown
from deploytasks.report.outlet import Outlet, append, room_in
from deploytasks.report.secrets import veil
from deploytasks.report.sheet import Sheet, line, stacked
from deploytasks.report.teller import Clock, Face, exit_code
from deploytasks.report.text import lines_of


class Around(Face):
    """A face around another, which hears all that it hears."""

    def __init__(self, inner: Face, command: str, clock: Clock) -> None:
        super().__init__(command, clock)
        self._inner = inner

    @property
    def lost(self) -> str:
        """Why the stream did not take all that was told."""
        return self._inner.lost

    def _tell(self, event: Event) -> None:
        self._inner(event)

    def _end(self, report: Report) -> None:
        self._inner.finish(report)

    def _leave(self, error: BaseException | None) -> None:
        self._inner.__exit__(type(error) if error else None, error, None)


class Folding(Around):
    """The plan, what a build says and the rollouts are folded away in GitLab's log; the end stands open below."""

    def __init__(self, inner: Face, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(inner, command, clock)
        self._outlet = Outlet(stdout)
        self._names = ci.section_names(command, clock())
        self._open = self._phase = ""

    @property
    def lost(self) -> str:
        """Why the stream did not take all that was told; whoever wrote to it first knows."""
        return self._outlet.lost or super().lost

    def _tell(self, event: Event) -> None:
        self._turn(ci.phase(event, self._phase))
        super()._tell(event)

    def _end(self, report: Report) -> None:
        self._turn("")
        super()._end(report)

    def _leave(self, error: BaseException | None) -> None:
        self._turn("")
        super()._leave(error)

    def _turn(self, phase: str) -> None:
        """The log is in the section of that phase; in none, for ""."""
        if phase == self._phase:
            return
        if self._open:
            self._outlet.write(ci.section_end(self._open, self._clock()))
        self._phase, self._open = phase, next(self._names) if phase else ""
        if phase:
            header = f"{self._command}: {phase}"
            self._outlet.write(ci.section_start(self._open, header, self._clock()))


class Summarised(Around):
    """The end stands, as Markdown, in the step's summary too; where that can't be written, the command goes on."""

    def __init__(self, inner: Face, command: str, file: Path, clock: Clock) -> None:
        super().__init__(inner, command, clock)
        self._file = file

    def _end(self, report: Report) -> None:
        self._add(title(report), ending(report, self._elapsed_s()))
        super()._end(report)

    def _leave(self, error: BaseException | None) -> None:
        if error is not None and not self._finished:
            self._add(f"{self._command} {_ended_as(error)}", self._broken_off(error))
        super()._leave(error)

    def _broken_off(self, error: BaseException) -> Sheet:
        """What had ended until then, and why no more did."""
        said = lines_of(veil(str(error), self._secrets)) or [type(error).__name__]
        why = tuple(line(each, indent=4) for each in said)
        known = Report(self._command, self._plan, self._ended) if self._plan and self._ended else None
        return stacked(results.body(known) if known else (), why)

    def _add(self, title: str, sheet: Sheet) -> None:
        if problem := summarise(self._file, title, sheet):
            super()._tell(Told("summary", problem))


def summarise(file: Path, title: str, sheet: Sheet) -> str:
    """The sheet stands at the end of the step's summary, as much of it as GitHub takes; or, returned, why not."""
    text = markdown(title, sheet, room_in(file, ci.SUMMARY_BYTES))
    return append(file, text) if text else f"{file} has no room left for {title}"


def title(report: Report) -> str:
    """The command, and the release that everything in the report shares."""
    return f"{report.command} {results.release_of(report) or ''}".rstrip()


def ending(report: Report, elapsed_s: float) -> Sheet:
    """What was built and tagged (all that is planned, where nothing was rolled out), how it ended, and what to do."""
    planned = replace(report.plan, waves=()) if report.results else report.plan
    steps = plan.notes(planned) if planned.is_nothing else plan.sheet(planned)
    return stacked(steps, results.body(report, elapsed_s), _to_copy(report.resume))


def _to_copy(resume: str) -> Sheet:
    return tuple(line(each, whole=True) for each in lines_of(resume))


def _ended_as(error: BaseException) -> str:
    return {2: "was refused", 130: "was interrupted"}.get(exit_code(error), "failed")
