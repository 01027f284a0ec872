"""Parse and make image tags: commit, tier and release tags, and the order of releases.

A commit tag is the full commit, a tier tag the tier's name, a release tag `<tier>-<UTC>`: name order is time order.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_COMMIT = re.compile(r"[0-9a-f]{40}(-dirty-[0-9a-f]{8})?")
RELEASE = re.compile(r"(?P<tier>[a-z][a-z0-9-]*)-(?P<time>[0-9]{8}T[0-9]{6}Z)")
_TIME = "%Y%m%dT%H%M%SZ"


def is_commit(tag: str) -> bool:
    """Return whether the tag is a commit tag, dirty ones included."""
    return _COMMIT.fullmatch(tag) is not None


def is_dirty(tag: str) -> bool:
    """Return whether the commit tag names an uncommitted tree."""
    return "-dirty-" in tag


def dirty_tag(commit: str, tree: str) -> str:
    """Return the commit tag of an uncommitted tree on top of a commit; `tree` is git's own hash of it."""
    return f"{commit}-dirty-{tree[:8]}"


def short(tag: str) -> str:
    """Return a commit tag as shown to people: seven digits, and whether it is dirty."""
    return tag[:7] + ("-dirty" if is_dirty(tag) else "")


def commits(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the commit tags among an image's tags, sorted, clean ones first."""
    return tuple(sorted(filter(is_commit, tags), key=lambda tag: (is_dirty(tag), tag)))


def release_tag(tier: str, at: datetime) -> str:
    """Return the release tag of a tier at a time, to the second."""
    return f"{tier}-{at.astimezone(UTC).strftime(_TIME)}"


def is_release(tag: str, tier: str) -> bool:
    """Return whether the tag is a release tag of exactly this tier, with a valid time."""
    return certified_at(tag, tier) is not None


def certified_at(tag: str, tier: str) -> datetime | None:
    """Return when the release was certified, in UTC; None if the tag is not a release tag of the tier."""
    match = RELEASE.fullmatch(tag)
    if match is None or match["tier"] != tier:
        return None
    try:
        return datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def time_told(text: str) -> datetime | None:
    """Return the time that an ISO 8601 text gives, in UTC if it has no offset; None if it is not valid."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def releases(tags: Iterable[str], tier: str) -> tuple[str, ...]:
    """Return the tier's release tags among an image's tags, oldest first."""
    return tuple(sorted(tag for tag in tags if is_release(tag, tier)))


def newest_release(tags: Iterable[str], tier: str) -> str | None:
    """Return the tier's newest release tag among an image's tags."""
    return max(releases(tags, tier), default=None)


def next_release(tier: str, now: datetime, newest: str | None) -> str:
    """Return a release tag that sorts after every earlier one of the tier, even if this machine's clock is slow."""
    last = certified_at(newest, tier) if newest else None
    floor = last + timedelta(seconds=1) if last else now
    return release_tag(tier, max(now, floor))
