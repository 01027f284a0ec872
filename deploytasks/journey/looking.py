"""What people ask to see: the board of what runs where, and the images on the shelf. Changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from deploytasks import plan, tags
from deploytasks.aws import ecr
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.fleet import each, together
from deploytasks.journey.errand import images, reach, registry_client
from deploytasks.journey.observe import observe
from deploytasks.model import Board, Cell, Image, Live, Project, Service, Shelf, Target


def status(project: Project, targets: Sequence[Target]) -> Board:
    """The tenant × tier board of the targets, from what really runs; one that can't be seen is a cell that says so."""
    clients = reach()
    lives = observe(clients, targets, images(project), reading="all")
    known = _known(project, clients, lives)
    cells = tuple(_cell(project, live, known) for live in lives)
    return Board(project.name, tuple(tier.name for tier in project.tiers), cells)


def shelves(project: Project, services: Sequence[Service]) -> tuple[Shelf, ...]:
    """Every image of each service, newest first, and which environments run it."""
    clients = reach()
    wanted = [target for target in project.targets if target.service in {service.name for service in services}]
    lives, found = together(
        lambda: observe(clients, wanted, images(project), reading="all"),
        lambda: each(lambda one: ecr.every(registry_client(project, clients), one.repository), services),
    )
    return tuple(
        Shelf(service.name, service.repository, on_shelf, _runs(project, service, lives))
        for service, on_shelf in zip(services, found, strict=True)
    )


def _known(project: Project, clients: Clients, lives: Sequence[Live]) -> dict[str, Image]:
    """The images behind the digests that run, by digest; none where the registry can't be read."""
    wanted: dict[str, set[str]] = {}
    for live in lives:
        repository = project.service(live.target.service).repository
        wanted.setdefault(repository, set()).update(plan.what_runs(live, images(project)[live.target.service])[0])
    try:
        client = registry_client(project, clients)
        found = each(lambda item: ecr.find(client, item[0], sorted(item[1])), wanted.items())
    except AwsError:
        return {}
    return {digest: image for one in found for digest, image in one.items()}


def _cell(project: Project, live: Live, known: Mapping[str, Image]) -> Cell:
    target, tier = live.target, live.target.environment.tier
    cell = Cell(target, _state(live), running=live.running, desired=live.desired)
    if live.complaint:
        return replace(cell, complaint=str(live.complaint))
    digests, evidence = plan.what_runs(live, images(project)[target.service])
    image, record = known.get(next(iter(digests), "")), plan.record(live)
    release = (tags.newest_release(image.tags, tier) if image else None) or record.get("release", "")
    return replace(
        cell,
        commit=_commit(image, record),
        release=release,
        digest=", ".join(digests),
        evidence=evidence,
        since=tags.certified_at(release, tier),
    )


def _commit(image: Image | None, record: Mapping[str, str]) -> str:
    """The commit that runs: the record's, unless ECR knows the image and that it is none of this commit."""
    recorded, known = record.get("commit", ""), tags.commits(image.tags) if image else ()
    return recorded if recorded in known or not known else known[0]


def _state(live: Live) -> str:
    """How the target stands, in one word or two."""
    if live.complaint:
        return "unknown"
    if not live.exists or live.primary is None:
        return "missing"
    match live.primary.rollout_state:
        case "IN_PROGRESS":
            return "rolling"
        case "FAILED":
            return "failed"
        case _ if len(live.digests) > 1:
            return "mixed"
        case _:
            return "short" if live.running < live.desired else "steady"


def _runs(project: Project, service: Service, lives: Iterable[Live]) -> dict[str, tuple[str, ...]]:
    runs: dict[str, tuple[str, ...]] = {}
    for live in lives:
        if live.target.service == service.name and not live.complaint:
            for digest in plan.what_runs(live, images(project)[service.name])[0]:
                runs[digest] = (*runs.get(digest, ()), str(live.target.environment))
    return runs
