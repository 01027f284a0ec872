"""List the images that ECR has of each service, and where each runs. Read-only."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from deploytasks.aws import ecr
from deploytasks.aws.session import Clients
from deploytasks.commands.context import guard_registry, images, reach, registry_client
from deploytasks.commands.observe import observe
from deploytasks.concurrency import each, together
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import Image, Live, Project, RepositoryImages, Service
from deploytasks.rules.image_index import ImageIndex, index_images
from deploytasks.rules.observed import what_runs


def list_images(project: Project, services: Sequence[Service]) -> tuple[RepositoryImages, ...]:
    """Return every tagged image of each service, newest first, and the environments that run it.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    clients, names = reach(project), images(project)
    targets = [target for target in project.targets if target.service in {service.name for service in services}]
    lives, swept = together(
        lambda: observe(clients, targets, names, reading="all"), lambda: sweep(project, clients, services)
    )
    return tuple(_listing(service, swept, lives, names[service.name]) for service in services)


class Sweep(Struct, frozen=True):
    """Every image in ECR by service; `unread` has the services whose repository could not be read."""

    images: Mapping[str, tuple[Image, ...]]
    unread: Mapping[str, Complaint] = field(default_factory=dict)


def sweep(project: Project, clients: Clients, services: Sequence[Service]) -> Sweep:
    """Return all images in ECR, with one listing per repository; one that can't be read does not hide the others.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    guard_registry(project, clients)
    client = registry_client(project, clients)

    def listed(service: Service) -> tuple[Image, ...] | Complaint:
        try:
            return ecr.every(client, service.repository)
        except AwsError as error:
            return error.complaints[0]

    answers = each(listed, services)
    swept = dict(zip((service.name for service in services), answers, strict=True))
    unread = {name: answer for name, answer in swept.items() if isinstance(answer, Complaint)}
    if unread and len(unread) == len(swept):
        raise AwsError(*dict.fromkeys(unread.values()))
    return Sweep({name: answer for name, answer in swept.items() if not isinstance(answer, Complaint)}, unread)


def _listing(service: Service, swept: Sweep, lives: Iterable[Live], name: str) -> RepositoryImages:
    own = [live for live in lives if live.target.service == service.name]
    if complaint := swept.unread.get(service.name):
        notes = (f"{service.name} could not be read: {complaint}", *unseen(own))
        return RepositoryImages(service.name, service.repository, (), notes=notes, is_read=False)
    held = swept.images[service.name]
    tagged = tuple(image for image in held if image.tags)
    return RepositoryImages(service.name, service.repository, tagged, _runs(index_images(name, held), own), unseen(own))


def unseen(lives: Iterable[Live]) -> tuple[str, ...]:
    """Return a note for each environment that could not be observed and each reason; its services usually share one."""
    reasons = {(str(live.target.environment), str(live.complaint)): None for live in lives if live.complaint}
    return tuple(f"{environment} could not be seen: {why}" for environment, why in reasons)


def _runs(held: ImageIndex, lives: Iterable[Live]) -> Mapping[str, tuple[str, ...]]:
    """Return digest of an image → the environments that run it or, for an index, one of its children."""
    runs: dict[str, dict[str, None]] = {}
    for live in lives:
        for digest in what_runs(live, held.name)[0]:
            runs.setdefault(held.whole(digest), {})[str(live.target.environment)] = None
    return {digest: tuple(names) for digest, names in runs.items()}
