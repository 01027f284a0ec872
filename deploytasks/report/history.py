"""Lay out a tier's releases, newest first: image, time, author and where each runs now.

Deploys that changed only config stand among them, with the keys that changed.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from deploytasks.errors import listed
from deploytasks.model import ConfigDeploy, History, Named, Release
from deploytasks.report.masking import masked_keys
from deploytasks.report.sheet import Column, Entry, Sheet, Span, Words, entry, line, stacked, table
from deploytasks.report.text import MOST_NAMES, counted, iso, lines_of, minute, short_commit, target_json

_COLUMNS = (
    Column("release", "whole"),
    Column("of"),
    Column("commit"),
    Column("config"),
    Column("time (UTC)", "whole"),
    Column("by"),
    Column("runs in"),
)
_NOTHING: Mapping[str, str] = MappingProxyType({})


def sheet(history: History, environ: Mapping[str, str] = _NOTHING) -> Sheet:
    """Return the history for people, with how many releases are shown, and notes on what could not be seen.

    `environ` holds the variables that templates may have read: secret values among them are masked in keys.
    """
    return stacked(
        (line(Span(history.tier, "strong"), f": {_counted(history)}"),),
        (table(_COLUMNS, _rows(history, environ)),) if history.releases else (),
        tuple(line(Span(each, "warn")) for note in history.notes for each in lines_of(note)),
    )


def as_json(history: History, environ: Mapping[str, str] = _NOTHING) -> dict[str, Any]:
    """Return the history for programs; what is unknown is null."""
    return {
        "tier": history.tier,
        "images": history.images,
        "releases": [_release_json(release) for release in history.releases],
        "config_only": [_config_json(deploy, environ) for deploy in history.config_deploys],
        "older": history.older,
        "notes": history.notes,
    }


def _counted(history: History) -> str:
    """Return how many releases are shown, and the flag that shows all; or the command that makes the first."""
    shown = len({release.tag for release in history.releases})
    if not shown:
        return f"no release of {', '.join(history.images)} yet; inv release.{history.tier} makes the first"
    if not history.older:
        return counted(shown, "release")
    return f"{shown} of {shown + history.older} releases, the newest; --last {shown + history.older} shows all"


def _rows(history: History, environ: Mapping[str, str]) -> Iterator[list[Words | Entry]]:
    """Yield the releases' rows, each below the config-only deploys that came after it."""
    deploys = list(history.config_deploys)
    for release in history.releases:
        while deploys and release.certified_at and deploys[0].at >= release.certified_at:
            yield _config_row(deploys.pop(0), history, environ)
        yield _row(release, history)
    yield from (_config_row(deploy, history, environ) for deploy in deploys)


def _row(release: Release, history: History) -> list[Words | Entry]:
    images = ", ".join(release.digests) if set(release.digests) != set(history.images) else ""
    commit = short_commit(release.commit or next(iter(release.digests.values())))
    override = f'--override "{release.override}"' if release.override else ""
    return [
        entry(Span(release.tag, "strong" if release.runs_in else "plain"), Span("rollback" * release.rollback, "warn")),
        Span(images),
        entry(Span(f"{commit} {release.subject}".strip())),
        _config(release.config),
        Span(minute(release.certified_at), "dim"),
        entry(Span(release.by), Span(release.ci, "dim"), Span(override, "warn")),
        Span(", ".join(release.runs_in), "strong"),
    ]


def _config_row(deploy: ConfigDeploy, history: History, environ: Mapping[str, str]) -> list[Words | Entry]:
    kind = "rollback" if deploy.rollback else "config only"
    is_one_of_several = len(history.images) > 1 or len({each.service for each in history.config_deploys}) > 1
    return [
        entry(Span(kind, "warn" if deploy.rollback else "plain"), Span(deploy.ended, "bad")),
        Span(deploy.service if is_one_of_several else ""),
        entry(Span(short_commit(deploy.commit)), Span(listed(_keys(deploy, environ), MOST_NAMES))),
        _config(deploy.config),
        Span(minute(deploy.at), "dim"),
        entry(Span(deploy.by), Span(deploy.ci, "dim")),
        entry(Span(listed(deploy.runs_in, MOST_NAMES), "strong"), Span(_replaced(deploy), "dim")),
    ]


def _replaced(deploy: ConfigDeploy) -> str:
    """Return the targets of the deploy that run something else by now."""
    gone = [str(each) for each in deploy.targets if str(each) not in deploy.runs_in]
    return f"was in {listed(gone, MOST_NAMES)}" if gone else ""


def _config(name: str) -> Span:
    config = Named.parse(name)
    return Span(config.short if config else name, "dim")


def _keys(deploy: ConfigDeploy, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that changed, masked as by `deploy.diff`."""
    settings = [each for target in deploy.targets[:1] for each in (target.env, target.vars)]
    return masked_keys(deploy.keys, [deploy.before, deploy.after, environ, *settings])


def _release_json(release: Release) -> dict[str, Any]:
    return {
        "release": release.tag,
        "certified_at": iso(release.certified_at),
        "rollback": release.rollback,
        "images": list(release.digests),
        "digests": release.digests,
        "commit": release.commit or None,
        "subject": release.subject or None,
        "config": release.config or None,
        "by": release.by or None,
        "ci": release.ci or None,
        "override": release.override or None,
        "runs_in": release.runs_in,
    }


def _config_json(deploy: ConfigDeploy, environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "at": iso(deploy.at),
        "rollback": deploy.rollback,
        "service": deploy.service,
        "release": deploy.release or None,
        "commit": deploy.commit or None,
        "config": deploy.config or None,
        "keys": _keys(deploy, environ),
        "ended": deploy.ended or None,
        "by": deploy.by or None,
        "ci": deploy.ci or None,
        "targets": [target_json(target) for target in deploy.targets],
        "runs_in": deploy.runs_in,
    }
