"""The log lines of a tier's targets, as they come. Changes nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from deploytasks.aws import logs as cloudwatch
from deploytasks.aws.logs import Source, Tail
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet import each
from deploytasks.journey.errand import images, reach
from deploytasks.journey.observe import observe
from deploytasks.model import Definition, Live, Logged, OnEvent, Project, Target

_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The places that are read, the definitions that name them, and which targets have none to read."""

    clients: Clients
    sources: tuple[Source, ...]
    definitions: tuple[Definition, ...]
    complaints: tuple[Complaint, ...]


def watch(project: Project, targets: Sequence[Target]) -> Watched:
    """Where the targets' containers write to, by their live definitions; who can't be read is among the complaints."""
    clients = reach()
    lives = observe(clients, targets, images(project), reading="none")
    found = {live.target: cloudwatch.sources(live.target, live.definition or {}) for live in lives}
    return Watched(
        clients=clients,
        sources=tuple(source for sources in found.values() for source in sources),
        definitions=tuple(live.definition for live in lives if live.definition),
        complaints=tuple(_unreadable(live) for live in lives if not found[live.target]),
    )


def logs(
    watched: Watched, since: timedelta, tell: OnEvent, *, follow: bool, sleep: Callable[[float], None] = time.sleep
) -> tuple[Complaint, ...]:
    """Every line since then was told, oldest first; with `follow` for ever, until Ctrl-C. Returns what went wrong.

    What cannot be read is said once and not asked again; the others go on.
    """
    start = datetime.now(UTC) - since
    tails = [Tail(_client(watched, source), source, start) for source in watched.sources]
    wrong: tuple[Complaint, ...] = ()
    while tails:
        answers = each(_read, tails)
        for line in sorted((line for lines in answers if isinstance(lines, list) for line in lines), key=_time):
            tell(line)
        wrong += tuple(answer for answer in answers if isinstance(answer, Complaint))
        tails = [tail for tail, answer in zip(tails, answers, strict=True) if isinstance(answer, list)]
        if not follow:
            break
        sleep(_POLL_S)
    return tuple(dict.fromkeys(wrong))


def _read(tail: Tail) -> list[Logged] | Complaint:
    try:
        return tail.read()
    except AwsError as error:
        return error.complaints[0]


def _client(watched: Watched, source: Source) -> Any:
    return watched.clients.of("logs", source.access)


def _time(line: Logged) -> datetime:
    return line.at


def _unreadable(live: Live) -> Complaint:
    if live.complaint:
        return live.complaint
    if live.definition is None:
        return Complaint(str(live.target), f"there is no ECS service {live.target.ecs_service} to read a log of")
    to_do = "give its logConfiguration `awslogs` with an `awslogs-stream-prefix`, or look where its log goes"
    return Complaint(str(live.target), "no container of its definition writes to CloudWatch Logs", to_do)
