"""A tier's releases, newest first: what each named, when it was certified and by whom, and where it runs now."""

from typing import Any

from deploytasks.model import History, Release
from deploytasks.report.sheet import Column, Entry, Sheet, Span, Words, entry, line, stacked, table
from deploytasks.report.text import counted, iso, lines_of, minute, short_commit

_COLUMNS = (
    Column("release", "whole"),
    Column("services"),
    Column("commit"),
    Column("certified (UTC)", "whole"),
    Column("by"),
    Column("runs in"),
)


def sheet(history: History) -> Sheet:
    """The releases for people; below them how many older ones there are, and what could not be seen."""
    return stacked(
        (line(Span(history.tier, "strong"), f": {_counted(history)}"),),
        (table(_COLUMNS, (_row(release, history) for release in history.releases)),) if history.releases else (),
        tuple(line(Span(each, "warn")) for note in history.notes for each in lines_of(note)),
    )


def as_json(history: History) -> dict[str, Any]:
    """The releases for programs; what is not known is null."""
    return {
        "tier": history.tier,
        "services": history.services,
        "releases": [_release_json(release) for release in history.releases],
        "older": history.older,
        "notes": history.notes,
    }


def _counted(history: History) -> str:
    """How much there is to see; of nothing, what would make a first release."""
    shown = len({release.tag for release in history.releases})
    if not shown:
        return f"no release of {', '.join(history.services)} yet; inv release.{history.tier} makes the first"
    if not history.older:
        return counted(shown, "release")
    return f"{shown} of {shown + history.older} releases, the newest; --last {shown + history.older} shows all"


def _row(release: Release, history: History) -> list[Words | Entry]:
    services = ", ".join(release.digests) if set(release.digests) != set(history.services) else ""
    commit = short_commit(release.commit or next(iter(release.digests.values())))
    override = f'--override "{release.override}"' if release.override else ""
    return [
        Span(release.tag, "strong" if release.runs_in else "plain"),
        Span(services),
        entry(Span(f"{commit} {release.subject}".strip())),
        Span(minute(release.certified_at), "dim"),
        entry(Span(release.by), Span(release.ci, "dim"), Span(override, "warn")),
        Span(", ".join(release.runs_in), "strong"),
    ]


def _release_json(release: Release) -> dict[str, Any]:
    return {
        "release": release.tag,
        "certified_at": iso(release.certified_at),
        "services": list(release.digests),
        "digests": release.digests,
        "commit": release.commit or None,
        "subject": release.subject or None,
        "by": release.by or None,
        "ci": release.ci or None,
        "override": release.override or None,
        "runs_in": release.runs_in,
    }
