"""Images in the registry: found, desired, tagged."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.model.project import Image, Target, Tier

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


class EcrImage(Struct, frozen=True):
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
    origin: str = ""
    """Of several commit tags, that of the commit that is the ancestor of the others; "" if not known."""

    @property
    def commits(self) -> tuple[str, ...]:
        """Return its commit tags: first the one that it is shown as, the others sorted, clean ones first."""
        return tuple(sorted(tags.commits(self.tags), key=lambda tag: tag != self.origin))


class Build(Struct, frozen=True):
    """One image to build: `commit_tag` is the tag to push, `commit` the commit to build from."""

    image: Image
    commit: str
    commit_tag: str


class Reuse(Struct, frozen=True):
    """An image in ECR that is a later commit's too: it gets that one's `commit_tag`; `since` is its own."""

    image: str
    repository: str
    digest: str
    commit_tag: str
    since: str


class DesiredImage(Struct, frozen=True):
    """The digest of one image that a tier should run; None until it is built (only in a dry run).

    `commit_tag` is the one that the image is shown as. `asked` is the one that was asked for, if that is another: of
    several commits that have the same image. For a target, `uses` are the further images that its template names.
    """

    name: str
    repository: str
    commit_tag: str
    digest: str | None
    release: str | None = None
    image: EcrImage | None = None
    uses: tuple["DesiredImage", ...] = ()
    asked: str = ""

    @property
    def with_uses(self) -> "tuple[DesiredImage, ...]":
        """Return the image itself, then those in `uses`."""
        return (self, *self.uses)

    @property
    def reuse(self) -> Reuse | None:
        """Return what gives the image the tag of the commit that was asked for; None if it has that."""
        if not self.asked or self.image is None or self.asked in self.image.tags:
            return None
        return Reuse(self.name, self.repository, self.image.digest, self.asked, self.commit_tag)

    @property
    def newest_release(self) -> str:
        """Return the newest release of the image and of those in `uses`: it is the target's; "" if none has one."""
        return max(each.release or "" for each in self.with_uses)

    def is_met_by(self, digests: Iterable[str]) -> bool:
        """Return whether every digest is the desired image's own or a child of its index; False without digests."""
        known = tuple(digests)
        ours = {self.digest, *(self.image.children if self.image else ())}
        return bool(known) and ours.issuperset(known)


def desired_by(target: Target, desired_images: Iterable[DesiredImage]) -> DesiredImage:
    """Return the desired image of the target, with the further images that its template names."""
    by_name = {desired.name: desired for desired in desired_images}
    return joined(by_name[name] for name in target.images)


def joined(images: Iterable[DesiredImage]) -> DesiredImage:
    """Return the first image with the others as its `uses`; there must be one."""
    own, *uses = images
    return replace(own, uses=tuple(uses))


NOBODY = DesiredImage("", "", commit_tag="0" * 40, digest=f"sha256:{'0' * 64}")
"""An image that nobody built."""


def placeholder(image: Image) -> DesiredImage:
    """Return a placeholder for the desired image, with which templates are tried before there is one."""
    return replace(NOBODY, name=image.name, repository=image.repository)


def image_name(target: Target, tier: Tier, desired: DesiredImage) -> str:
    """Return the image's name in the target's definition: its repository's URI with the digest, or the tier's tag.

    Before the release tag of an immutable tier is minted, the commit tag is used instead.
    """
    uri = target.images[desired.name]
    if tier.pin == "digest":
        return f"{uri}@{desired.digest}"
    return f"{uri}:{tier.name if tier.tag == 'mutable' else desired.release or desired.commit_tag}"


class TagStep(Struct, frozen=True):
    """Points an image's tier at a digest: mints `release` if `mint` is set, then moves `tier_tag` if `move` is."""

    image: str
    repository: str
    digest: str | None
    commit_tag: str
    release: str
    tier_tag: str
    mint: bool
    move: bool
    before: str | None = None
    """The commit tag that the tier tag named before, None if it named nothing."""
