"""What of a live definition is ours: containers that were given an image of ours, tags that a template named.

Also what a target runs, and what our tags on its service and revision record of it.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from deploytasks import tags
from deploytasks.model import Definition, DesiredImage, EcrImage, Evidence, Live

Container = Mapping[str, Any]
"""A container definition, or a container of a described task: both have a `name` and an `image`."""


def given(containers: Iterable[Container], image: str) -> tuple[Container, ...]:
    """Return the containers of a rendered request whose image is `{{ image }}`."""
    return tuple(each for each in containers if each.get("image") == image)


def ours(
    containers: Iterable[Container], repository: str, tier: str, digest: str = "", names: Collection[str] = ()
) -> tuple[Container, ...]:
    """Return the containers of a registered definition, or of a task, that were given `{{ image }}`.

    `repository` is `host/repository`, `digest` the recorded one; `names` are our containers' names, where a definition
    tells. A sidecar may use the same repository, so only the containers with the most reliable sign are returned. If
    there is no such sign, as in a definition that another tool registered, return all that name a digest of the
    repository, else all of the repository.
    """
    known = [(each, *named) for each in containers if (named := _named(each, repository))]
    for sign in _signs(tier, digest, names):
        if found := tuple(each for each, tag, at in known if sign(each, tag, at)):
            return found
    return ()


def container_of(containers: Sequence[Container], name: str) -> str:
    """Return the name of the only container, or if there are several the one of that name, else ""."""
    names = [str(each["name"]) for each in containers]
    return names[0] if len(names) == 1 else name if name in names else ""


def marks(keys: Iterable[str]) -> str:
    """Return the value of the tag that remembers which tag keys a template named: five hex digits each, sorted."""
    return "".join(sorted({_mark(key) for key in keys}))


def is_marked(key: str, marks: str) -> bool:
    """Return whether the tag's key is among the remembered ones."""
    return _mark(key) in (marks[at : at + _DIGITS] for at in range(0, len(marks), _DIGITS))


_DIGITS = 5  # the keys of all 50 tags of a resource must fit into one value of 256 characters


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _signs(tier: str, digest: str, names: Collection[str]) -> tuple[Callable[[Container, str, str], bool], ...]:
    """Return the tests for a container of ours, by container, image tag and image digest; the most reliable first."""
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
    """Return the tag and digest by which the container names an image of the repository; None for another's."""
    name, _, digest = str(container.get("image", "")).partition("@")
    if name == repository and digest:
        return "", digest
    return (name.removeprefix(f"{repository}:"), digest) if name.startswith(f"{repository}:") else None


def what_runs(live: Live, image: str) -> tuple[tuple[str, ...], Evidence | None]:
    """Return the digests that the target runs of the image, and how they are known; empty if unknown."""
    if seen := live.digests.get(image):
        return seen, "seen"
    if defined := pinned(live, image):
        return defined, "defined"
    if image != live.target.image and live.definition is not None and not our_containers(live, image):
        return (), None  # a further image is recorded for the target, whether its definition names it or not
    recorded = record(live).get(digest_key(image, live.target.image))
    return ((recorded,), "recorded") if recorded else ((), None)


def pinned(live: Live, image: str) -> tuple[str, ...]:
    """Return the digests that the definition itself names for the image; empty if it names a tag."""
    digests = (each["image"].partition("@")[2] for each in our_containers(live, image))
    return tuple(filter(None, digests))


def is_vague(live: Live) -> bool:
    """Return whether only the target's tasks tell what it runs.

    That is so if its definition names a tag of an image that may have moved, and no record names its digest.
    """
    return any(_moves(live, image) and not what_runs(live, image)[0] for image in live.target.images)


def _moves(live: Live, image: str) -> bool:
    uri = live.target.images[image]
    return any(not tags.is_commit(name.removeprefix(f"{uri}:")) for name in tagged(live, image))


def is_pinned(live: Live) -> bool:
    """Return whether the definition names the digest of every image that it gives to a container."""
    return all(pinned(live, image) for image in images_of(live))


def images_of(live: Live) -> tuple[str, ...]:
    """Return the target's own image, and of the further ones those that its definition gives to a container."""
    own, *further = live.target.images
    return (own, *(image for image in further if our_containers(live, image)))


def tagged(live: Live, image: str) -> list[str]:
    """Return the names by which the definition names the image by tag."""
    return [each["image"] for each in our_containers(live, image) if "@" not in each["image"]]


def our_containers(live: Live, image: str) -> tuple[Container, ...]:
    """Return the containers of the live definition that were given the image."""
    containers, target = (live.definition or {}).get("containerDefinitions", []), live.target
    return ours(containers, target.images[image], target.environment.tier, recorded_digest(live, image))


def digest_key(image: str, own: str) -> str:
    """Return the key of the record under which an image's digest stands; `own` is the target's own image."""
    return "digest" if image == own else f"digest.{image}"


def recorded_digest(live: Live, image: str) -> str:
    """Return the image's digest that the running definition was registered for, "" if none is recorded."""
    key = digest_key(image, live.target.image)
    return live.revision_tags.get(key) or live.service_tags.get(key, "")


def record(live: Live) -> Mapping[str, str]:
    """Return the newer of the two records: the service's if a rollout registered no revision, else the revision's."""
    if _service_is_newer(live):
        return live.service_tags
    return live.revision_tags or live.service_tags


def recorded_at(live: Live) -> datetime | None:
    """Return when that record was written; None if unknown."""
    if _service_is_newer(live):
        return tags.time_told(live.service_tags["at"])
    return begun_at(live.revision_tags, _registered_at(live))


def is_inactive(definition: Definition | None) -> bool:
    """Return whether the described revision was deregistered: what runs it continues, nothing new can start with it.

    Source: "Deregistering an Amazon ECS task definition revision" in ECS's documentation.
    """
    return (definition or {}).get("status") == "INACTIVE"


def has_begun(record: Mapping[str, str]) -> bool:
    """Return whether a revision with this record counts as having run.

    `at` is written when its rollout begins. A revision without `version` predates that rule, and counts.
    """
    return "at" in record or "version" not in record


def begun_at(record: Mapping[str, str], registered_at: datetime | None) -> datetime | None:
    """Return when the rollout of a revision with this record began, None if it has not.

    A revision without `version` was registered when its rollout began.
    """
    return tags.time_told(record.get("at", "")) or (registered_at if "version" not in record else None)


def is_alone(live: Live) -> bool:
    """Return whether the service has only one deployment."""
    return len(live.deployments) == 1


def has_failed(live: Live) -> bool:
    """Return whether the last rollout failed, even if ECS has rolled it back."""
    return bool(live.failure) or (live.primary is not None and live.primary.rollout_state == "FAILED")


def named_by(live: Live, desired: DesiredImage) -> tuple[DesiredImage, ...]:
    """Return the target's desired image, and of the further ones those that its definition gives to a container."""
    images = images_of(live)
    return (desired, *(each for each in desired.uses if each.name in images))


def has_arrived(live: Live, desired: DesiredImage) -> bool:
    """Return whether the target runs all its desired images, and no rollout of them is under way or failed."""
    for each in named_by(live, desired):
        digests, evidence = what_runs(live, each.name)
        if not each.is_met_by(digests) or (live.failure and evidence == "recorded"):
            return False
    return live.primary is not None and live.primary.rollout_state in ("COMPLETED", "")


def commit_of(image: EcrImage | None, kept: Mapping[str, str]) -> str:
    """Return the recorded commit; if ECR knows the image and it has no such commit tag, the one it is shown as."""
    recorded, known = kept.get("commit", ""), image.commits if image else ()
    return recorded if recorded in known or not known else known[0]


def brought_by(live: Live, project: str) -> bool:
    """Return whether a release of this project brought what runs, rather than a manual change or another tool."""
    kept = live.service_tags if _service_is_newer(live) else live.revision_tags
    return kept.get("project") == project


def _service_is_newer(live: Live) -> bool:
    if live.primary and live.service_tags.get("after") == live.primary.id:
        return False  # the rollout that the tag was written for has not begun
    at, revised = (
        tags.time_told(live.service_tags.get("at", "")),
        tags.time_told(live.revision_tags.get("at", "")) or _registered_at(live),
    )
    return at is not None and (revised is None or at >= revised.replace(microsecond=0))


def _registered_at(live: Live) -> datetime | None:
    registered: datetime | None = (live.definition or {}).get("registeredAt")
    return registered
