"""What people ask to see of all tiers at once: the board of what runs where. Changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from deploytasks import board, git
from deploytasks.aws import ecr
from deploytasks.aws.session import Clients
from deploytasks.board import Evidences, Stock
from deploytasks.errors import Complaint, DeployError
from deploytasks.fleet import each, together
from deploytasks.journey.drift import drifted
from deploytasks.journey.errand import guard_registry, images, reach, registry_client
from deploytasks.journey.observe import observe
from deploytasks.model import Board, Project, Target


def status(project: Project, targets: Sequence[Target]) -> Board:
    """The tenant × tier board of the targets, from what really runs; one that can't be seen is a cell that says so.

    What could not be judged for want of the registry, or of a template's variable, is said in its notes.
    """
    clients, at = reach(), datetime.now(UTC)
    lives, (stocks, unread) = together(
        lambda: observe(clients, targets, images(project), reading="all"), lambda: _stocks(project, clients, targets)
    )
    changed, unjudged = drifted(project, lives, images(project))
    known = Evidences(project.name, stocks, changed)
    seen = board.board([tier.name for tier in project.tiers], lives, known, at)
    seen = board.titled(seen, git.subjects(project.root, {cell.commit for cell in seen.cells}))
    return replace(seen, notes=tuple(_notes(unread, unjudged)))


def _stocks(
    project: Project, clients: Clients, targets: Iterable[Target]
) -> tuple[dict[str, Stock], tuple[Complaint, ...]]:
    """Each service's stock, one sweep a repository, and why the registry could not be read, if it could not."""
    services = [project.service(name) for name in dict.fromkeys(target.service for target in targets)]
    names = images(project)
    try:
        guard_registry(project, clients)
        client = registry_client(project, clients)
        swept = each(lambda service: ecr.every(client, service.repository), services)
    except DeployError as error:
        return {service.name: Stock(names[service.name]) for service in services}, error.complaints
    pairs = zip(services, swept, strict=True)
    return {service.name: board.stock(names[service.name], found) for service, found in pairs}, ()


def _notes(unread: Iterable[Complaint], unjudged: Iterable[Complaint]) -> Iterable[str]:
    yield from (f"the registry could not be read, so behind and foreign are not told: {each}" for each in unread)
    yield from (f"drift could not be judged: {each}" for each in unjudged)
