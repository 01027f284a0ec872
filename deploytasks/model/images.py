"""Images in the registry: found, wished for, tagged."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from deploytasks.model.project import Service

_SPELLINGS = {"x86_64": "amd64", "aarch64": "arm64"}
_NO_VARIANT = {"amd64": "v1", "arm64": "v8", "arm": "v7"}


@dataclass(frozen=True, slots=True)
class Platform:
    """`linux/arm64/v8`; `variant` may be empty."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """The platform of that name, in the spelling of images."""
        system, architecture, variant = (*text.lower().split("/"), "", "")[:3]
        return cls(system, _SPELLINGS.get(architecture, architecture), variant)

    def accepts(self, other: "Platform") -> bool:
        """Whether an image for `other` runs on this; one that names no variant is taken at its word.

        Source: containerd's platforms package: a processor runs what was built for its variant and for lower ones.
        """
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not other.variant or other.level <= self.level)

    @property
    def level(self) -> str:
        """The variant, or the one that no variant stands for."""
        return self.variant or _NO_VARIANT.get(self.architecture, "")


@dataclass(frozen=True, slots=True)
class Image:
    """One image in ECR. `children` are the digests of a multi-arch index's manifests, empty for a plain image.

    `platforms` are those that an index names, `config` is the digest of the blob that names a plain image's; both are
    empty where the manifest was not read.
    """

    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    pushed_at: datetime | None = None
    platforms: tuple[Platform, ...] = ()
    config: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """One image to be built: `commit_tag` is what it will be called, `commit` what it is built from."""

    service: Service
    commit: str
    commit_tag: str


@dataclass(frozen=True, slots=True)
class DesiredImage:
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
