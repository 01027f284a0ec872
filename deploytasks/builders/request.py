"""The input of a builder: the request, and the registry's login."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from msgspec import Struct

from deploytasks.model import Build, OnEvent, Platform, Told


@dataclass(frozen=True, slots=True)
class Login:
    """One registry's credentials; they stay in memory, and out of every repr."""

    host: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image to build: `context` is the directory that it is built from, `ref` the reference it is pushed under.

    `laid_at` is the Dockerfile's path, if it is not where the image says, below the context.
    """

    build: Build
    context: Path
    ref: str
    labels: Mapping[str, str] = field(default_factory=dict)
    laid_at: Path | None = None

    @property
    def image(self) -> str:
        """The image's name, under which progress is reported."""
        return self.build.image.name

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile's path, inside the context or not."""
        return self.laid_at or self.context / self.build.image.dockerfile

    @property
    def shown_dockerfile(self) -> str:
        """The Dockerfile's path as shown to people, from the root."""
        return str(PurePosixPath(self.build.image.context, self.build.image.dockerfile))

    @property
    def platform(self) -> Platform:
        """The platform, of a builder that makes one."""
        return Platform.parse(self.build.image.platforms[0])


class BuildLog(Struct, frozen=True):
    """Report the progress of one image."""

    image: str
    tell: OnEvent

    def build(self, message: str) -> None:
        """Report a line of the build."""
        self.tell(Told("build", message, self.image))

    def push(self, message: str) -> None:
        """Report a line of the push."""
        self.tell(Told("push", message, self.image))


def labels(commit: str, created: datetime, source: str) -> Mapping[str, str]:
    """Return the OCI labels of an image made from a commit; an unknown source is left out."""
    known = {"revision": commit, "created": created.astimezone(UTC).isoformat(), "source": source}
    return {f"org.opencontainers.image.{name}": value for name, value in known.items() if value}
