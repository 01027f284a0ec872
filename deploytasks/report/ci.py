"""What the CI engine around us understands: GitHub's annotations and step summaries, GitLab's folding sections. Pure.

GitHub obeys commands that it finds in a step's output: `::name …::` where a line begins with it, and, still, the older
`##[name …]` anywhere in a line. Text that others wrote must hold neither.
Source: GitHub's "Workflow commands" and the runner's own ActionCommand; GitLab's "Custom collapsible sections".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path, PurePath

from deploytasks.model import Ended, Event, Logged, Planned, Progress, Result, Told
from deploytasks.report.text import harmless, lines_of

SUMMARY_BYTES = 1024 * 1024
"""What GitHub takes of one step's summary; of a longer one it shows nothing."""

MOST_ANNOTATIONS = 10
"""So many errors of one step GitHub shows; it drops all others without a word."""

_BEGINS = re.compile(r"((?:\A|(?<=[\r\n]))\s*):(?=:)")
_PLACE = re.compile(r"(?P<file>(?:envs|templates)/[^:\s]+)(?::(?P<line>[0-9]+))?(?=:|$)")


@dataclass(frozen=True, slots=True)
class Engine:
    """What can be said to the CI engine; nothing of it on a person's machine. `workspace` is what paths begin at."""

    annotates: bool = False
    folds: bool = False
    summary: Path | None = None
    workspace: str = ""

    @property
    def is_there(self) -> bool:
        """Whether an engine reads along: a table that moves would only litter its log."""
        return self.annotates or self.folds


def engine(environ: Mapping[str, str]) -> Engine:
    """The engine that these variables tell of."""
    summary = environ.get("GITHUB_STEP_SUMMARY", "")
    return Engine(
        annotates=environ.get("GITHUB_ACTIONS") == "true",
        folds=bool(environ.get("GITLAB_CI")),
        summary=Path(summary) if summary else None,
        workspace=environ.get("GITHUB_WORKSPACE", ""),
    )


def annotations(errors: Sequence[tuple[str, str]], folder: str = "") -> Iterator[str]:
    """The lines that make GitHub show the errors, each a place and what is wrong with it.

    Of more than it shows, the last line says how many are not among them and where they stand.
    """
    total = len(errors)
    shown = errors if total <= MOST_ANNOTATIONS else errors[: MOST_ANNOTATIONS - 1]
    yield from (annotation(where, message, folder) for where, message in shown)
    if left := total - len(shown):
        yield annotation(f"{left} more errors", f"GitHub shows no more; all {total} stand in this step's log")


def annotation(where: str, message: str, folder: str = "") -> str:
    """The line that makes GitHub show an error, at the file and line where `where` names one.

    `folder` is where the project lies in the repository, "" for its root.
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
    """Where in the checked-out repository the project lies; "" where that is its root, or not known."""
    inside = bool(workspace) and root.is_relative_to(workspace)
    return str(root.relative_to(workspace)).removeprefix(".") if inside else ""


def explained(result: Result) -> str:
    """Why a rollout did not end well: its detail, then its dead tasks with their last log lines."""
    said = lines_of(result.detail) or ["no reason is known"]
    for task in result.tasks:
        said += [f"task {task.id}: {task.reason}", *(f"    {each}" for exits in task.exits for each in lines_of(exits))]
        said += [f"    | {each}" for message in task.log for each in lines_of(message)]
    return "\n".join(said)


def _data(text: str) -> str:
    return harmless(text).replace("##[", "## [").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def defused(text: str) -> str:
    """The text with nothing in it that GitHub's runner obeys: `: :error::`, `## [error]`."""
    return _BEGINS.sub(r"\1: ", text).replace("##[", "## [")


def defused_json(text: str) -> str:
    """The JSON text, the same document, with nothing in it that GitHub's runner obeys."""
    return text.replace("##[", r"\u0023#[")


def phase(event: Event, now: str) -> str:
    """The section that the event belongs in, "" for none; `now` is the one that is open."""
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
    """A section of GitLab's log begins, folded."""
    return f"\x1b[0Ksection_start:{int(at.timestamp())}:{name}[collapsed=true]\r\x1b[0K{header}\n"


def section_end(name: str, at: datetime) -> str:
    """A section of GitLab's log ends."""
    return f"\x1b[0Ksection_end:{int(at.timestamp())}:{name}\r\x1b[0K\n"


def section_names(command: str, at: datetime) -> Iterator[str]:
    """Names that are legal (letters, digits, `_.-`) and never given twice in a job."""
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "-", command)
    return (f"{legal}-{at.timestamp():.3f}-{number}" for number in count(1))
