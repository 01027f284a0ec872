"""Build a request's image and push it; return the pushed image's digest.

    docker      BuildKit or the engine builds, the engine pushes: any Dockerfile
    append      no engine, no root: files on top of a base, pushed by this package; Dockerfiles that run nothing

`deploytasks/model/builders.py` has a row for each, from which `choose` takes one. All push under the one reference they
are given, and report progress line by line.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import PurePosixPath
from typing import Protocol, cast

from deploytasks.builders.base import labels_of
from deploytasks.builders.request import BuildLog, BuildRequest, Login, labels
from deploytasks.errors import Complaint, Refusal
from deploytasks.model import Image, OnEvent, Platform
from deploytasks.model.builders import NEEDS_NONE, Builder, candidates

__all__ = ["BuildRequest", "Login", "build_and_push", "choose", "labels", "labels_of", "missing", "refused"]


class _Module(Protocol):
    """The module of one builder; `check` is that of a builder that does not build any Dockerfile."""

    def missing(self) -> Complaint | None: ...
    def check(self, text: str, name: str, platform: Platform) -> None: ...
    def build_and_push(self, request: BuildRequest, login: Login | None, log: BuildLog) -> str: ...


def build_and_push(request: BuildRequest, login: Login | None, tell: OnEvent) -> str:
    """Build the request's image, push it under its reference, and return the pushed manifest's digest.

    Raises: Refusal if nothing was started (no engine, a Dockerfile that needs one, several platforms),
    BuildFailed if the build or the push failed.
    """
    if complaint := request.build.image.unbuildable:
        raise Refusal(complaint)
    return _module(choose(request.build.image)).build_and_push(request, login, BuildLog(request.image, tell))


def refused(image: Image, text: str) -> tuple[Complaint, ...]:
    """Return why the image's Dockerfile can't be built on this machine, as far as its text shows."""
    try:
        builder = choose(image)
        if not builder.any_dockerfile:
            name = str(PurePosixPath(image.context, image.dockerfile))
            _module(builder).check(text, name, Platform.parse(image.platforms[0]))
    except Refusal as error:
        return error.complaints
    return ()


def missing(builder: Builder) -> Complaint | None:
    """Return what the builder needs and this machine lacks; None if it works here."""
    return _module(builder).missing()


def choose(image: Image, lacks: Callable[[Builder], Complaint | None] = missing) -> Builder:
    """Return the first of the image's builders that works here. Raises: Refusal if none does."""
    complaints = list[Complaint]()
    for builder in candidates(image.builder, len(image.platforms)) or candidates(image.builder):
        complaint = lacks(builder)
        if complaint is None:
            return builder
        complaints.append(replace(complaint, to_do=";\n".join([complaint.to_do, *NEEDS_NONE])))
    raise Refusal(*complaints)


def _module(builder: Builder) -> _Module:
    return cast(_Module, import_module(builder.module))
