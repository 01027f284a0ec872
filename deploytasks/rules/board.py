"""The board: what runs where, since when, and what needs attention."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.model import (
    NOT_OURS,
    Board,
    Cell,
    EcrImage,
    Evidence,
    JobStand,
    LastRun,
    Live,
    Mark,
    Standing,
    Stranger,
    Target,
    UsedImage,
)
from deploytasks.rules.image_index import ImageIndex
from deploytasks.rules.observed import brought_by, commit_of, images_of, is_inactive, record, tagged, what_runs


class Evidences(Struct, frozen=True):
    """The inputs of the board other than the observed targets: `drifted` targets, and each image's index.

    `overrides` maps a release to the reason it was let past the gate, `older` a drifted target to a note that the
    checkout's age explains the drift, `last_runs` a job to how its last run ended.
    """

    project: str
    indexes: Mapping[str, ImageIndex]
    drifted: Collection[Target] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    older: Mapping[Target, str] = field(default_factory=dict)
    last_runs: Mapping[Target, LastRun] = field(default_factory=dict)
    idle: Collection[Target] = ()
    """The jobs whose template says that their schedule is disabled."""


def board(tiers: Sequence[str], lives: Sequence[Live], known: Evidences, at: datetime) -> Board:
    """Return the board of the targets as observed `at` that time; `tiers` are the project's, in promotion order."""
    lives = [_by_tag(live, known) for live in lives]
    mixed = _mixed(lives, known)
    seen = {live.target.environment.tier for live in lives}
    return Board(
        project=known.project,
        tiers=tuple(tier for tier in tiers if tier in seen),
        cells=tuple(_cell(live, known, mixed=_place(live) in mixed) for live in lives),
        at=at,
    )


def titled(board: Board, subjects: Mapping[str, str]) -> Board:
    """Return the board with the known subjects of its commits."""
    cells = (replace(cell, subject=subjects.get(cell.commit, "")) for cell in board.cells)
    return replace(board, cells=tuple(cells))


def _cell(live: Live, known: Evidences, *, mixed: bool) -> Cell:
    if live.complaint:
        return Cell(live.target, "unseen", complaint=live.complaint)
    if live.exists and live.controller in NOT_OURS:
        return Cell(live.target, NOT_OURS[live.controller], running=live.running, desired=live.desired)
    if live.primary is None:
        return Cell(live.target, "missing")
    index, tier = known.indexes[live.target.image], live.target.environment.tier
    digests, evidence = what_runs(live, live.target.image)
    image, kept = index.by_digest.get(next(iter(digests), "")), record(live)
    commit = commit_of(image, kept)
    told = kept if kept.get("commit") == commit else {}
    release = _release(image, told, tier)
    wanted, uses = _wanted(index, tier, digests), tuple(_uses(live, known))
    foreign = _foreign(live, known)
    return Cell(
        target=live.target,
        standing=_standing(live),
        marks=_marks(
            live, known, behind=bool(wanted or any(each.wanted for each in uses)), mixed=mixed, foreign=bool(foreign)
        ),
        foreign=foreign,
        commit=commit,
        release=release,
        certified_at=tags.certified_at(release, tier),
        by=told.get("by", ""),
        ci=told.get("ci", ""),
        override=told.get("override", "") or known.overrides.get(release, ""),
        digests=digests,
        runs=tuple(dict.fromkeys(_called(index, digest) for digest in digests)),
        evidence=None if live.target.job and evidence == "seen" else evidence,
        wanted=wanted,
        uses=uses,
        revision=live.primary.revision,
        running=live.running,
        desired=live.desired,
        since=live.primary.created_at,
        detail=live.failure,
        crashing=live.crashing,
        checkout=known.older.get(live.target, ""),
        job=_job(live, known),
    )


def _by_tag(live: Live, known: Evidences) -> Live:
    """Return a job with what the tier's tag names of each image that its definition names by that: it will run that."""
    if live.target.job is None or live.complaint:
        return live
    tier, uris = live.target.environment.tier, live.target.images
    moving = [name for name in uris if f"{uris[name]}:{tier}" in tagged(live, name)]
    named = {name: known.indexes[name].by_tag.get(tier) for name in moving}
    return replace(live, digests={name: (image.digest,) for name, image in named.items() if image})


def _job(live: Live, known: Evidences) -> JobStand | None:
    """Return what starts the job; None for a service."""
    if live.target.job is None:
        return None
    last, found = known.last_runs.get(live.target), live.schedule
    if found is None:
        return JobStand("", last=last)
    starts = f"rule {found.name} {found.expression}".rstrip() if found.is_rule else found.expression
    return JobStand(starts, found.is_enabled, last)


def _uses(live: Live, known: Evidences) -> Iterator[UsedImage]:
    """Yield what the target runs of the images beside its own that its definition gives to a container."""
    for name in images_of(live)[1:]:
        index, digests = known.indexes[name], what_runs(live, name)[0]
        runs = tuple(dict.fromkeys(_called(index, digest) for digest in digests))
        yield UsedImage(name, digests, runs, _wanted(index, live.target.environment.tier, digests))


def _marks(live: Live, known: Evidences, *, behind: bool, mixed: bool, foreign: bool) -> tuple[Mark, ...]:
    """Return the target's marks. A rollback is not a mark where the target runs what it should."""
    standing, drifted = _standing(live), live.target in known.drifted
    found: dict[Mark, bool] = {
        "failed": standing == "failed" or (standing == "rolled back" and (behind or drifted or foreign)),
        "behind": behind,
        "mixed": mixed,
        "crashing": bool(live.crashing),
        "short": live.running < live.desired,
        "foreign": foreign,
        "drifted": drifted,
        "disabled": bool(live.schedule and not live.schedule.is_enabled and live.target not in known.idle),
        "inactive": is_inactive(live.definition),
        "rolling": standing == "rolling",
    }
    return tuple(mark for mark, holds in found.items() if holds)


def _foreign(live: Live, known: Evidences) -> tuple[Stranger, ...]:
    """Return what about the target is unknown here; an image whose repository could not be read does not count."""
    runs = ((known.indexes[name], what_runs(live, name)[0]) for name in images_of(live))
    found: dict[Stranger, bool] = {
        "image": any(index.known and not index.by_digest.keys() >= set(digests) for index, digests in runs),
        "revision": not brought_by(live, known.project),
    }
    return tuple(stranger for stranger, holds in found.items() if holds)


def _standing(live: Live) -> Standing:
    match live.primary.rollout_state if live.primary else "":
        case "IN_PROGRESS":
            return "rolling"
        case "FAILED":
            return "failed"
        case _:
            return "rolled back" if live.failure else "completed"


def _wanted(index: ImageIndex, tier: str, digests: Iterable[str]) -> str:
    """Return the commit tag (or digest) that the tier tag names, "" if the target runs it."""
    image = index.by_tag.get(tier)
    if image is None or {index.whole(digest) for digest in digests} <= {image.digest}:
        return ""
    return _called(index, image.digest)


def _called(index: ImageIndex, digest: str) -> str:
    """Return the commit tag of the digest's image, or the image's digest if it has none."""
    image = index.by_digest.get(digest)
    return next(iter(image.commits), image.digest) if image else digest


def _release(image: EcrImage | None, told: Mapping[str, str], tier: str) -> str:
    """Return the recorded release, else the newest release of the tier that the image carries."""
    newest = tags.newest_release(image.tags, tier) if image else None
    return told.get("release", "") or newest or ""


def _mixed(lives: Iterable[Live], known: Evidences) -> set[tuple[str, str]]:
    """Return (tier, service) pairs that run different digests of an image, across tenants or within one target."""
    running: dict[tuple[str, str, str, Evidence | None], set[str]] = {}
    runs = ((live, name) for live in lives if not live.complaint for name in images_of(live))
    for each, name in runs:
        index, (digests, evidence) = known.indexes[name], what_runs(each, name)
        kind = None if index.known else evidence  # a task names a child, a definition its index: ECR relates them
        running.setdefault((*_place(each), name, kind), set()).update(index.whole(digest) for digest in digests)
    return {(tier, service) for (tier, service, *_), digests in running.items() if len(digests) > 1}


def _place(live: Live) -> tuple[str, str]:
    return live.target.environment.tier, live.target.name
