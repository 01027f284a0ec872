"""Write for CI engines: GitHub's annotations and step summaries, GitLab's collapsible sections. Pure.

GitHub executes commands in a step's output: `::name …::` at the start of a line and, still, the older `##[name …]`
anywhere in a line. Text written by others must contain neither.
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
"""GitHub's limit for the summary of a step; it shows nothing of a longer one."""

MOST_ANNOTATIONS = 10
"""GitHub's limit for the errors of a step; it silently drops all others."""

_BEGINS = re.compile(r"((?:\A|(?<=[\r\n]))\s*):(?=:)")
_PLACE = re.compile(r"(?P<file>(?:envs|templates)/[^:\s]+)(?::(?P<line>[0-9]+))?(?=:|$)")


@dataclass(frozen=True, slots=True)
class Engine:
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


def explained(result: Result) -> str:
    """Explain a rollout that did not end well: its detail, then its dead tasks with their last log lines."""
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
