"""Write for CI engines: GitHub's annotations and step summaries, GitLab's collapsible sections.

GitHub executes commands in a step's output: `::name …::` at the start of a line and, still, the older `##[name …]`
anywhere in a line. Text written by others must contain neither.
Source: GitHub's "Workflow commands" and the runner's own ActionCommand; GitLab's "Custom collapsible sections".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path, PurePath
from typing import TextIO

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.errors import ended_as
from deploytasks.model import Ended, Event, Logged, Planned, Progress, Report, Told
from deploytasks.report import plan, results
from deploytasks.report.markdown import markdown
from deploytasks.report.masking import veil
from deploytasks.report.reporter import Around, Clock, Reporter
from deploytasks.report.sheet import Sheet, line, stacked
from deploytasks.report.streams import OutputStream, append, room_in
from deploytasks.report.text import harmless, lines_of

SUMMARY_BYTES = 1024 * 1024
"""GitHub's limit for the summary of a step; it shows nothing of a longer one."""

MOST_ANNOTATIONS = 10
"""GitHub's limit for the errors of a step; it silently drops all others."""

_BEGINS = re.compile(r"((?:\A|(?<=[\r\n]))\s*):(?=:)")
_PLACE = re.compile(r"(?P<file>(?:envs|templates)/[^:\s]+)(?::(?P<line>[0-9]+))?(?=:|$)")


class Engine(Struct, frozen=True):
    """What the CI engine supports; nothing outside CI. `workspace` is the folder that it checked out."""

    annotates: bool = False
    folds: bool = False
    summary: Path | None = None
    workspace: str = ""

    @property
    def is_there(self) -> bool:
        """Whether there is an engine: a live table would only clutter its log."""
        return self.annotates or self.folds


def engine(environ: Mapping[str, str]) -> Engine:
    """Return the engine that these environment variables describe."""
    summary = environ.get("GITHUB_STEP_SUMMARY", "")
    return Engine(
        annotates=environ.get("GITHUB_ACTIONS") == "true",
        folds=bool(environ.get("GITLAB_CI")),
        summary=Path(summary) if summary else None,
        workspace=environ.get("GITHUB_WORKSPACE", ""),
    )


def annotations(errors: Sequence[tuple[str, str]], folder: str = "") -> Iterator[str]:
    """Yield the lines that make GitHub show the errors, each a pair of where and what.

    If there are more than it shows, the last line says how many are left out, and where to find them.
    """
    total = len(errors)
    shown = errors if total <= MOST_ANNOTATIONS else errors[: MOST_ANNOTATIONS - 1]
    yield from (annotation(where, message, folder) for where, message in shown)
    if left := total - len(shown):
        yield annotation(f"{left} more errors", f"GitHub shows no more; all {total} stand in this step's log")


def annotation(where: str, message: str, folder: str = "") -> str:
    """Return the line that makes GitHub show an error, at a file and line if `where` names one.

    `folder` is the project's place in the repository, "" for its root.
    """
    place = _PLACE.match(where)
    known = {
        "file": str(PurePath(folder, place["file"])) if place else "",
        "line": place["line"] if place else "",
        "title": where,
    }
    properties = ",".join(f"{name}={_property(value)}" for name, value in known.items() if value)
    return f"::error {properties}::{_data(message)}\n"


def folder_of(root: Path, workspace: str) -> str:
    """Return the project's folder in the checked-out repository; "" if that is its root, or unknown."""
    inside = bool(workspace) and root.is_relative_to(workspace)
    return str(root.relative_to(workspace)).removeprefix(".") if inside else ""


def _data(text: str) -> str:
    return harmless(text).replace("##[", "## [").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def defused(text: str) -> str:
    """Return the text with the commands of GitHub's runner broken up: `: :error::`, `## [error]`."""
    return _BEGINS.sub(r"\1: ", text).replace("##[", "## [")


def defused_json(text: str) -> str:
    """Return JSON text of the same document without commands of GitHub's runner."""
    return text.replace("##[", r"\u0023#[")


def phase(event: Event, now: str) -> str:
    """Return the section that the event belongs to, "" for none; `now` is the open one."""
    match event:
        case Planned():
            return "plan"
        case Progress() | Ended() | Logged():
            return "rollouts"
        case Told(step="build" | "push"):
            return "build"
        case Told():
            return now if now == "rollouts" else ""


def section_start(name: str, header: str, at: datetime) -> str:
    """Return the line that begins a collapsed section of GitLab's log."""
    return f"\x1b[0Ksection_start:{int(at.timestamp())}:{name}[collapsed=true]\r\x1b[0K{header}\n"


def section_end(name: str, at: datetime) -> str:
    """Return the line that ends a section of GitLab's log."""
    return f"\x1b[0Ksection_end:{int(at.timestamp())}:{name}\r\x1b[0K\n"


def section_names(command: str, at: datetime) -> Iterator[str]:
    """Yield section names that are legal (letters, digits, `_.-`) and unique in a job."""
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "-", command)
    return (f"{legal}-{at.timestamp():.3f}-{number}" for number in count(1))


class Folding(Around):
    """Puts the plan, a build's output and the rollouts into collapsed sections of GitLab's log; the end stands open."""

    def __init__(self, inner: Reporter, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(inner, command, clock)
        self._stream = OutputStream(stdout)
        self._names = section_names(command, clock())
        self._open = self._phase = ""

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not. The first of the two writers to fail knows."""
        return self._stream.lost or super().lost

    def _tell(self, event: Event) -> None:
        self._turn(phase(event, self._phase))
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
            self._stream.write(section_end(self._open, self._clock()))
        self._phase, self._open = phase, next(self._names) if phase else ""
        if phase:
            header = f"{self._command}: {phase}"
            self._stream.write(section_start(self._open, header, self._clock()))


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
    text = markdown(title, sheet, room_in(file, SUMMARY_BYTES))
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
