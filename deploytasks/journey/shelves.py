"""The images on the shelf: what ECR holds of each service, and who runs it. Changes nothing."""

from collections.abc import Iterable, Mapping, Sequence

from deploytasks.aws import ecr
from deploytasks.board import Stock, stock
from deploytasks.fleet import each, together
from deploytasks.journey.errand import guard_registry, images, reach, registry_client
from deploytasks.journey.observe import observe
from deploytasks.model import Image, Live, Project, Service, Shelf
from deploytasks.running import what_runs


def shelves(project: Project, services: Sequence[Service]) -> tuple[Shelf, ...]:
    """Every image of each service that has a tag, newest first, and which environments run it.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: the registry can't be read.

    """
    clients, names = reach(), images(project)
    wanted = [target for target in project.targets if target.service in {service.name for service in services}]

    def sweep(service: Service) -> tuple[Image, ...]:
        return ecr.every(registry_client(project, clients), service.repository)

    guard_registry(project, clients)
    lives, swept = together(lambda: observe(clients, wanted, names, reading="all"), lambda: each(sweep, services))
    return tuple(
        _shelf(service, found, [live for live in lives if live.target.service == service.name], names[service.name])
        for service, found in zip(services, swept, strict=True)
    )


def _shelf(service: Service, swept: Iterable[Image], lives: Iterable[Live], name: str) -> Shelf:
    held = stock(name, swept)
    tagged = tuple(image for image in swept if image.tags)
    return Shelf(service.name, service.repository, tagged, _runs(held, lives))


def _runs(held: Stock, lives: Iterable[Live]) -> Mapping[str, tuple[str, ...]]:
    """Digest of an image → the environments that run it, be it by one of its children."""
    runs: dict[str, dict[str, None]] = {}
    for live in lives:
        for digest in what_runs(live, held.name)[0]:
            runs.setdefault(held.whole(digest), {})[str(live.target.environment)] = None
    return {digest: tuple(names) for digest, names in runs.items()}
