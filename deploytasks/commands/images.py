"""List what ECR has of each image, and where each runs. Read-only."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from deploytasks.aws import ecr
from deploytasks.aws.session import Clients
from deploytasks.commands.context import guard_registry, reach, registry_client
from deploytasks.commands.observe import observe
from deploytasks.commands.origins import known_origins
from deploytasks.concurrency import each, together
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import EcrImage, Image, Live, Project, RepositoryImages
from deploytasks.rules.image_index import ImageIndex, index_images
from deploytasks.rules.observed import what_runs
from deploytasks.template.render import Renderer


def list_images(project: Project, images: Sequence[Image]) -> tuple[RepositoryImages, ...]:
    """Return everything that ECR has tagged of each image, newest first, and the environments that run it.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    clients, wanted = reach(project), {image.name for image in images}
    targets = [target for target in project.targets if not wanted.isdisjoint(target.images)]
    lives, swept = together(
        lambda: observe(clients, targets, renderer=Renderer(project), reading="all"),
        lambda: sweep(project, clients, images),
    )
    return tuple(_listing(project.root, image, swept, lives) for image in images)


class Sweep(Struct, frozen=True):
    """What ECR has of each image; `unread` has the images whose repository could not be read."""

    images: Mapping[str, tuple[EcrImage, ...]]
    unread: Mapping[str, Complaint] = field(default_factory=dict)


def sweep(project: Project, clients: Clients, images: Sequence[Image]) -> Sweep:
    """Return everything that ECR has of the images, with one listing each; one that can't be read hides no other.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    guard_registry(project, clients)
    client = registry_client(project, clients)

    def listed(image: Image) -> tuple[EcrImage, ...] | Complaint:
        try:
            return ecr.every(client, image.repository)
        except AwsError as error:
            return error.complaints[0]

    answers = each(listed, images)
    swept = dict(zip((image.name for image in images), answers, strict=True))
    unread = {name: answer for name, answer in swept.items() if isinstance(answer, Complaint)}
    if unread and len(unread) == len(swept):
        raise AwsError(*dict.fromkeys(unread.values()))
    return Sweep({name: answer for name, answer in swept.items() if not isinstance(answer, Complaint)}, unread)


def _listing(root: Path, image: Image, swept: Sweep, lives: Iterable[Live]) -> RepositoryImages:
    own = [live for live in lives if image.name in live.target.images]
    if complaint := swept.unread.get(image.name):
        notes = (f"{image.name} could not be read: {complaint}", *unseen(own))
        return RepositoryImages(image.name, image.repository, (), notes=notes, is_read=False)
    held = swept.images[image.name]
    tagged = known_origins(root, (one for one in held if one.tags))
    runs = _runs(image.name, index_images(held), own)
    return RepositoryImages(image.name, image.repository, tagged, runs, unseen(own))


def unseen(lives: Iterable[Live]) -> tuple[str, ...]:
    """Return a note for each environment that could not be observed and each reason; its services usually share one."""
    reasons = {(str(live.target.environment), str(live.complaint)): None for live in lives if live.complaint}
    return tuple(f"{environment} could not be seen: {why}" for environment, why in reasons)


def _runs(image: str, held: ImageIndex, lives: Iterable[Live]) -> Mapping[str, tuple[str, ...]]:
    """Return digest of an image → the environments that run it or, for an index, one of its children."""
    runs: dict[str, dict[str, None]] = {}
    for live in lives:
        for digest in what_runs(live, image)[0]:
            runs.setdefault(held.whole(digest), {})[str(live.target.environment)] = None
    return {digest: tuple(names) for digest, names in runs.items()}
