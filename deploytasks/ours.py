"""What of a live definition is ours: containers that were given `{{ image }}`, tags that a template named. Pure."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from deploytasks import tags

Container = Mapping[str, Any]
"""A container definition, or a container of a described task: both have a `name` and an `image`."""


def given(containers: Iterable[Container], image: str) -> tuple[Container, ...]:
    """Return the containers of a rendered request whose image is `{{ image }}`."""
    return tuple(each for each in containers if each.get("image") == image)


def ours(
    containers: Iterable[Container], repository: str, tier: str, digest: str = "", names: Collection[str] = ()
) -> tuple[Container, ...]:
    """Return the containers of a registered definition, or of a task, that were given `{{ image }}`.

    `repository` is `host/repository`, `digest` the recorded one; `names` are our containers' where a definition tells.
    A sidecar may come from the same repository, so the surest sign that any container bears decides. Where none bears
    one, as in a definition that another tool registered, all that name a digest of the repository count, else all.
    """
    known = [(each, *named) for each in containers if (named := _named(each, repository))]
    for sign in _signs(tier, digest, names):
        if found := tuple(each for each, tag, at in known if sign(each, tag, at)):
            return found
    return ()


def container_of(containers: Sequence[Container], service: str) -> str:
    """Return the name of the only container; of several, the one called as the service is; else ""."""
    names = [str(each["name"]) for each in containers]
    return names[0] if len(names) == 1 else service if service in names else ""


def marks(keys: Iterable[str]) -> str:
    """Return the value of the tag that remembers which tag keys a template named: five hex digits each, sorted."""
    return "".join(sorted({_mark(key) for key in keys}))


def is_marked(key: str, marks: str) -> bool:
    """Return whether the tag's key is among those that are remembered."""
    return _mark(key) in (marks[at : at + _DIGITS] for at in range(0, len(marks), _DIGITS))


_DIGITS = 5  # so that the keys of all 50 tags of a resource fit into the 256 characters of one value


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _signs(tier: str, digest: str, names: Collection[str]) -> tuple[Callable[[Container, str, str], bool], ...]:
    """Return what tells a container of ours by itself, its image's tag and its image's digest; the surest first."""
    return (
        lambda container, *_: container.get("name") in names,
        lambda _, tag, at: at == digest != "",
        lambda _, tag, at: tag == tier and not at,
        lambda _, tag, at: tags.is_release(tag, tier) and not at,
        lambda _, tag, at: tags.is_commit(tag) and not at,
        lambda _, tag, at: at != "",
        lambda *_: True,
    )


def _named(container: Container, repository: str) -> tuple[str, str] | None:
    """Return the tag and the digest by which the container names an image of the repository, None for another's."""
    name, _, digest = str(container.get("image", "")).partition("@")
    if name == repository and digest:
        return "", digest
    return (name.removeprefix(f"{repository}:"), digest) if name.startswith(f"{repository}:") else None
