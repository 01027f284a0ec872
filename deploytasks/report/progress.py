"""Choose the reporter of a running command, and wrap it in what CI engines show besides."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from deploytasks.errors import ended_as
from deploytasks.model import Event, Report, Told
from deploytasks.report import ci, plan, results
from deploytasks.report.json_lines import JsonLines
from deploytasks.report.markdown import markdown
from deploytasks.report.reporter import Clock, Reporter, utc_now
from deploytasks.report.secrets import veil
from deploytasks.report.sheet import Sheet, line, stacked
from deploytasks.report.streams import OutputStream, append, room_in, speaks_unicode
from deploytasks.report.text import lines_of

__all__ = ["Reporter", "reporter_for"]


def reporter_for(
    command: str, stdout: TextIO, *, as_json: bool, summarised: bool = True, clock: Clock = utc_now
) -> Reporter:
    """Return the reporter for this stream, wrapped for the CI engine if there is one.

    Write no step summary unless `summarised`: a dry run writes no file.
    """
    engine = ci.engine(os.environ)
    engine = engine if summarised else replace(engine, summary=None)
    worn = _bare(command, stdout, clock, as_json=as_json, moving=not engine.is_there)
    if not engine.is_there and engine.summary is None:
        return worn
    from deploytasks.report.progress import Folding, Summarised

    if engine.folds and not as_json:
        worn = Folding(worn, command, stdout, clock)
    return Summarised(worn, command, engine.summary, clock) if engine.summary else worn


def _bare(command: str, stdout: TextIO, clock: Clock, *, as_json: bool, moving: bool) -> Reporter:
    """Return JSON lines if asked for; a live table on a terminal that can move its cursor; else plain lines."""
    if as_json:
        return JsonLines(command, stdout, clock)
    terminal = stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown") and speaks_unicode(stdout)
    if moving and terminal:
        from deploytasks.report.live import LiveTable  # rich, which --json does not need

        return LiveTable(command, stdout, clock)
    from deploytasks.report.lines import Lines

    return Lines(command, stdout, clock)


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


class Folding(Around):
    """Puts the plan, a build's output and the rollouts into collapsed sections of GitLab's log; the end stands open."""

    def __init__(self, inner: Reporter, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(inner, command, clock)
        self._stream = OutputStream(stdout)
        self._names = ci.section_names(command, clock())
        self._open = self._phase = ""

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not. The first of the two writers to fail knows."""
        return self._stream.lost or super().lost

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
        """Close the open section and begin that of the phase; none for ""."""
        if phase == self._phase:
            return
        if self._open:
            self._stream.write(ci.section_end(self._open, self._clock()))
        self._phase, self._open = phase, next(self._names) if phase else ""
        if phase:
            header = f"{self._command}: {phase}"
            self._stream.write(ci.section_start(self._open, header, self._clock()))


class Summarised(Around):
    """Adds the end, as Markdown, to the step summary too; if that can't be written, the command goes on."""

    def __init__(self, inner: Reporter, command: str, file: Path, clock: Clock) -> None:
        super().__init__(inner, command, clock)
        self._file = file

    def _end(self, report: Report) -> None:
        self._add(title(report), ending(report, self._elapsed_s()))
        super()._end(report)

    def _leave(self, error: BaseException | None) -> None:
        if error is not None and not self._finished:
            self._add(f"{self._command} {ended_as(error)}", self._broken_off(error))
        super()._leave(error)

    def _broken_off(self, error: BaseException) -> Sheet:
        """Return the results until then, and the error."""
        said = lines_of(veil(str(error), self._secrets)) or [type(error).__name__]
        why = tuple(line(each, indent=4) for each in said)
        known = Report(self._command, self._plan, self._ended) if self._plan and self._ended else None
        return stacked(results.body(known) if known else (), why)

    def _add(self, title: str, sheet: Sheet) -> None:
        if problem := summarise(self._file, title, sheet):
            super()._tell(Told("summary", problem))


def summarise(file: Path, title: str, sheet: Sheet) -> str:
    """Append to the step summary as much of the sheet as GitHub accepts; return why that failed, "" if it did not."""
    text = markdown(title, sheet, room_in(file, ci.SUMMARY_BYTES))
    return append(file, text) if text else f"{file} has no room left for {title}"


def title(report: Report) -> str:
    """Return the command, with the release that everything in the report shares."""
    return f"{report.command} {results.release_of(report) or ''}".rstrip()


def ending(report: Report, elapsed_s: float) -> Sheet:
    """Return what was built and tagged (the whole plan if nothing was rolled out), the results, and how to resume."""
    planned = replace(report.plan, waves=()) if report.results else report.plan
    steps = plan.notes(planned) if planned.is_nothing else plan.sheet(planned)
    resume = tuple(line(each, whole=True) for each in lines_of(report.resume))
    return stacked(steps, results.body(report, elapsed_s), resume)
