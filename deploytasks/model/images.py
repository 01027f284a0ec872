"""Images in the registry: found, wished for, tagged."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from deploytasks.model.project import Service


@dataclass(frozen=True, slots=True)
class Image:
    """One image in ECR. `children` are the digests of a multi-arch index's manifests, empty for a plain image."""

    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    pushed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """One image to be built: `commit_tag` is what it will be called, `commit` what it is built from."""

    service: Service
    commit: str
    commit_tag: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What one service of a tier shall run. `digest` is None until it is built (only a dry run shows that)."""

    service: str
    repository: str
    commit_tag: str
    digest: str | None
    release: str | None = None
    image: Image | None = None

    def is_met_by(self, digests: Iterable[str]) -> bool:
        """Whether every digest is the wished image: its own, or a child of its index. Nothing known is no."""
        known = tuple(digests)
        ours = {self.digest, *(self.image.children if self.image else ())}
        return bool(known) and ours.issuperset(known)


@dataclass(frozen=True, slots=True)
class TagStep:
    """Moves one service's tier to a digest: mints `release` unless it is there, then moves `tier_tag` unless there."""

    service: str
    repository: str
    digest: str | None
    commit_tag: str
    release: str
    tier_tag: str
    mint: bool
    move: bool
    before: str | None = None
    """The commit tag that the tier tag named before, None where it named nothing."""
