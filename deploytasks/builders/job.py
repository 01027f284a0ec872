"""What a builder is given: the job, the registry's login, and the platform that the image must be for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from deploytasks.errors import Refusal
from deploytasks.model import Build, OnEvent, Told

BuilderName = Literal["docker", "append"]

_SPELLINGS = {"x86_64": "amd64", "aarch64": "arm64"}

_NO_VARIANT = {"amd64": "v1", "arm64": "v8", "arm": "v7"}


@dataclass(frozen=True, slots=True)
class Login:
    """One registry's credentials; they stay in memory, and out of every repr."""

    host: str
    username: str
    password: str = field(repr=False)


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
class Job:
    """One image to be made: `context` is the directory that it is made from, `ref` what it is pushed as.

    `laid_at` is where the Dockerfile lies, where that is not where the service says, below the context.
    """

    build: Build
    context: Path
    ref: str
    labels: Mapping[str, str] = field(default_factory=dict)
    laid_at: Path | None = None

    @property
    def service(self) -> str:
        """The service's name, by which people know the image."""
        return self.build.service.name

    @property
    def dockerfile(self) -> Path:
        """Where the Dockerfile lies, inside the context or not."""
        return self.laid_at or self.context / self.build.service.dockerfile

    @property
    def shown_dockerfile(self) -> str:
        """The Dockerfile as people know it, from the root."""
        return str(PurePosixPath(self.build.service.context, self.build.service.dockerfile))

    @property
    def platform(self) -> Platform:
        """The one platform. Raises: Refusal where there are several."""
        if complaint := self.build.service.unbuildable:
            raise Refusal(complaint)
        return Platform.parse(self.build.service.platforms[0])


@dataclass(frozen=True, slots=True)
class Voice:
    """Tells what happens to one service's image."""

    service: str
    tell: OnEvent

    def build(self, message: str) -> None:
        """Tell of the build."""
        self.tell(Told("build", message, self.service))

    def push(self, message: str) -> None:
        """Tell of the push."""
        self.tell(Told("push", message, self.service))


def labels(commit: str, created: datetime, source: str) -> Mapping[str, str]:
    """The OCI labels of an image made from a commit; an unknown source is left out."""
    known = {"revision": commit, "created": created.astimezone(UTC).isoformat(), "source": source}
    return {f"org.opencontainers.image.{name}": value for name, value in known.items() if value}
