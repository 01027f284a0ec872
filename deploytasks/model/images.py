"""Images in the registry: found, desired, tagged."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from deploytasks.model.project import Service

_SPELLINGS = {"x86_64": "amd64", "aarch64": "arm64"}
_NO_VARIANT = {"amd64": "v1", "arm64": "v8", "arm": "v7"}


class Platform(Struct, frozen=True):
    """A platform such as `linux/arm64/v8`; `variant` may be empty."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Parse the platform's name. Spell the architecture as images do: `amd64` for `x86_64`."""
        system, architecture, variant = (*text.lower().split("/"), "", "")[:3]
        return cls(system, _SPELLINGS.get(architecture, architecture), variant)

    def accepts(self, other: "Platform") -> bool:
        """Return whether an image for `other` runs on this platform; an image that names no variant always does.

        Source: containerd's platforms package: a processor runs what was built for its variant and for lower ones.
        """
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not other.variant or other.level <= self.level)

    @property
    def level(self) -> str:
        """Return the variant, or the architecture's default if it names none."""
        return self.variant or _NO_VARIANT.get(self.architecture, "")


class Image(Struct, frozen=True):
    """One image in ECR. `children` are the digests of a multi-arch index's manifests, empty for a plain image.

    `platforms` are those that an index names; `config` is the digest of the config blob, which names a plain image's
    platform. Both are empty if the manifest was not read.
    """

    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    pushed_at: datetime | None = None
    platforms: tuple[Platform, ...] = ()
    config: str = ""


class Build(Struct, frozen=True):
    """One image to build: `commit_tag` is the tag to push, `commit` the commit to build from."""

    service: Service
    commit: str
    commit_tag: str


class DesiredImage(Struct, frozen=True):
    """The image that one service of a tier should run. `digest` is None until it is built (only in a dry run)."""

    service: str
    repository: str
    commit_tag: str
    digest: str | None
    release: str | None = None
    image: Image | None = None

    def is_met_by(self, digests: Iterable[str]) -> bool:
        """Return whether every digest is the desired image's own or a child of its index; False without digests."""
        known = tuple(digests)
        ours = {self.digest, *(self.image.children if self.image else ())}
        return bool(known) and ours.issuperset(known)


class TagStep(Struct, frozen=True):
    """Points a service's tier at a digest: mints `release` if `mint` is set, then moves `tier_tag` if `move` is."""

    service: str
    repository: str
    digest: str | None
    commit_tag: str
    release: str
    tier_tag: str
    mint: bool
    move: bool
    before: str | None = None
    """The commit tag that the tier tag named before, None if it named nothing."""
