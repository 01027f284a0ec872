"""The images on the shelf: what ECR holds of each service, and who runs it. Changes nothing."""

from collections.abc import Iterable, Mapping, Sequence

from deploytasks.aws import ecr
from deploytasks.aws.session import Clients
from deploytasks.fleet import each, together
from deploytasks.journey.errand import guard_registry, images, reach, registry_client
from deploytasks.journey.observe import observe
from deploytasks.model import Image, Live, Project, Service, Shelf
from deploytasks.running import what_runs
from deploytasks.stock import Stock, stock


def shelves(project: Project, services: Sequence[Service]) -> tuple[Shelf, ...]:
    """Every image of each service that has a tag, newest first, and which environments run it.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: the registry can't be read.

    """
    clients, names = reach(), images(project)
    targets = [target for target in project.targets if target.service in {service.name for service in services}]
    lives, swept = together(
        lambda: observe(clients, targets, names, reading="all"), lambda: sweep(project, clients, services)
    )
    return tuple(_shelf(service, swept[service.name], lives, names[service.name]) for service in services)


def sweep(project: Project, clients: Clients, services: Sequence[Service]) -> dict[str, tuple[Image, ...]]:
    """Every image in ECR by service, one sweep a repository.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: the registry can't be read.

    """
    guard_registry(project, clients)
    client = registry_client(project, clients)
    swept = each(lambda service: ecr.every(client, service.repository), services)
    return {service.name: images for service, images in zip(services, swept, strict=True)}


def _shelf(service: Service, swept: Iterable[Image], lives: Iterable[Live], name: str) -> Shelf:
    tagged = tuple(image for image in swept if image.tags)
    own = [live for live in lives if live.target.service == service.name]
    return Shelf(service.name, service.repository, tagged, _runs(stock(name, swept), own), unseen(own))


def unseen(lives: Iterable[Live]) -> tuple[str, ...]:
    """One note for each environment and reason: the services of one are mostly out of sight together."""
    reasons = {(str(live.target.environment), str(live.complaint)): None for live in lives if live.complaint}
    return tuple(f"{environment} could not be seen: {why}" for environment, why in reasons)


def _runs(held: Stock, lives: Iterable[Live]) -> Mapping[str, tuple[str, ...]]:
    """Digest of an image → the environments that run it, be it by one of its children."""
    runs: dict[str, dict[str, None]] = {}
    for live in lives:
        for digest in what_runs(live, held.name)[0]:
            runs.setdefault(held.whole(digest), {})[str(live.target.environment)] = None
    return {digest: tuple(names) for digest, names in runs.items()}
