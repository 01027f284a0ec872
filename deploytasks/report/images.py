"""Lay out what ECR has of each image, newest first, with all their tags and where they run."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from deploytasks import tags
from deploytasks.model import EcrImage, RepositoryImages
from deploytasks.report.sheet import Column, Sheet, Span, entry, line, stacked, table
from deploytasks.report.text import iso, lines_of, minute, short_commit

_COLUMNS = (
    Column("commit", "whole"),
    Column("tiers"),
    Column("releases", "whole"),
    Column("other tags"),
    Column("pushed (UTC)"),
    Column("runs in"),
)


class Labels(Struct, frozen=True):
    """An image's tags by kind."""

    commits: tuple[str, ...]
    tiers: tuple[str, ...]
    releases: tuple[str, ...]
    other: tuple[str, ...]


def sheet(listings: Sequence[RepositoryImages], tiers: Sequence[str]) -> Sheet:
    """Return one table per repository, then each note once; `tiers` are the project's, in promotion order."""
    notes = dict.fromkeys(note for listing in listings for note in listing.notes)
    said = tuple(line(Span(each, "warn")) for note in notes for each in lines_of(note))
    return stacked(*(_listing(listing, tiers) for listing in listings), said) or (line("no services"),)


def as_json(listings: Sequence[RepositoryImages], tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the repositories' images for programs."""
    return [
        {
            "image": listing.image,
            "repository": listing.repository,
            "read": listing.is_read,
            "images": [_image_json(image, listing, tiers) for image in listing.images],
            "notes": listing.notes,
        }
        for listing in listings
    ]


def labels(image: EcrImage, tiers: Sequence[str]) -> Labels:
    """Return the image's tags by kind; releases newest first, whatever their tier."""
    commits = image.commits
    releases = tuple(sorted(filter(_is_release, image.tags), key=lambda tag: tag.rpartition("-")[2], reverse=True))
    known = {*commits, *releases, *tiers}
    return Labels(
        commits=commits,
        tiers=tuple(tier for tier in tiers if tier in image.tags),
        releases=releases,
        other=tuple(tag for tag in image.tags if tag not in known),
    )


def _is_release(tag: str) -> bool:
    return tags.is_release(tag, tag.rpartition("-")[0])


def _listing(listing: RepositoryImages, tiers: Sequence[str]) -> Sheet:
    heading = line(Span(listing.image, "strong"), f" in {listing.repository}")
    rows = [_row(image, listing, tiers) for image in listing.images]
    none = "no images" if listing.is_read else "not read"
    return (heading, table(_COLUMNS, rows) if rows else line(none, indent=4))


def _row(image: EcrImage, listing: RepositoryImages, tiers: Sequence[str]) -> list[Span | tuple[Span, ...]]:
    known = labels(image, tiers)
    return [
        entry(*map(short_commit, known.commits or (image.digest,))),
        Span(", ".join(known.tiers), "good"),
        entry(*known.releases),
        entry(*known.other),
        Span(minute(image.pushed_at), "dim"),
        Span(", ".join(listing.runs.get(image.digest, ())), "strong"),
    ]


def _image_json(image: EcrImage, listing: RepositoryImages, tiers: Sequence[str]) -> dict[str, Any]:
    known = labels(image, tiers)
    return {
        "digest": image.digest,
        "commits": known.commits,
        "tiers": known.tiers,
        "releases": known.releases,
        "other": known.other,
        "pushed_at": iso(image.pushed_at),
        "runs_in": listing.runs.get(image.digest, ()),
    }
