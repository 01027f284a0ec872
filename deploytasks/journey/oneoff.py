"""A command run once in an environment, with the definition that its service runs: migrations, consoles, repairs."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deploytasks.aws import logs as cloudwatch
from deploytasks.aws import oneoff
from deploytasks.aws.logs import Tail
from deploytasks.aws.oneoff import Command, TaskState
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, CommandFailed, Interrupted, NotReady
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import images, whoami_here
from deploytasks.journey.observe import observe
from deploytasks.model import Author, Exited, Live, OnEvent, Project, Target, Told

_POLL_S = 1.0
_LATE_LOOKS, _LATE_S = 4, 0.5
"""How often, and how far apart, the log is looked at after the task has stopped: CloudWatch is late."""
_PATIENCE = 30
"""Looks at a task, one after the other, that may fail before it is given up."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What following a task needs."""

    tell: OnEvent
    clients: Clients
    sleep: Callable[[float], None] = field(default=time.sleep)


def run(
    project: Project,
    target: Target,
    words: Sequence[str],
    tell: OnEvent = quiet,
    sleep: Callable[[float], None] = time.sleep,
) -> Exited:
    """The command has run in the target's cluster, with the definition that its service runs; its log was told.

    Raises:
        NotReady: nothing was started, and why.
        CommandFailed: ECS started no task.
        Interrupted: Ctrl-C; the task was told to stop.

    """
    author = whoami_here()
    waiting = Waiting(tell, Clients(author), sleep)
    (live,) = observe(waiting.clients, [target], images(project), reading="none")
    command = Command(tuple(words), _container(project, live), live.primary.revision if live.primary else "")
    try:
        arn = oneoff.start(_ecs(waiting, target), target, command, _audit(project, author))
    except AwsError as error:
        raise CommandFailed(*error.complaints) from error
    tell(Told("run", f"task {_id(arn)} of {_short(command.revision)} in cluster {target.cluster}", str(target)))
    try:
        return _followed(waiting, live, command, arn)
    except KeyboardInterrupt:
        raise Interrupted.of(str(target), _stopped(waiting, target, arn)) from None


def _container(project: Project, live: Live) -> str:
    """The one container of the running definition that runs our image."""
    where = str(live.target)
    if live.complaint:
        raise NotReady(live.complaint)
    if live.primary is None or live.definition is None:
        what = f"there is no ECS service {live.target.ecs_service} in cluster {live.target.cluster}"
        raise NotReady.of(where, what, f"inv deploy.{live.target.environment.tier} makes it, where it has a template")
    names = oneoff.containers_of(live.definition, images(project)[live.target.service])
    if len(names) != 1:
        what = f"{len(names)} containers of {_short(live.primary.revision)} run our image, and one should"
        raise NotReady.of(where, what, "inv deploy.diff shows the definition that runs")
    return names[0]


def _followed(waiting: Waiting, live: Live, command: Command, arn: str) -> Exited:
    target, tail = live.target, _tail(waiting, live, command, arn)
    state, failures = TaskState(stopped=False), 0
    while not state.stopped:
        try:
            state, failures = oneoff.look(_ecs(waiting, target), target, arn, command.container), 0
        except AwsError as error:
            failures += 1
            if failures >= _PATIENCE:
                what = f"task {_id(arn)} can no longer be seen, and goes on: {error.complaints[0].what}"
                raise CommandFailed.of(str(target), what, "look at it in ECS") from error
        _tell_log(waiting, tail)
        waiting.sleep(0 if state.stopped else _POLL_S)
    for _ in range(_LATE_LOOKS if state.exit_code is not None and tail else 0):
        waiting.sleep(_LATE_S)
        _tell_log(waiting, tail)
    return Exited(target, _id(arn), state.exit_code, state.reason)


def _tail(waiting: Waiting, live: Live, command: Command, arn: str) -> Tail | None:
    """What reads the task's log, None where its definition sends it elsewhere."""
    found = cloudwatch.sources(live.target, live.definition or {})
    source = next((each for each in found if each.container == command.container), None)
    if source is None:
        what = "its log can't be shown: the definition sends it elsewhere than to CloudWatch Logs"
        waiting.tell(Told("run", what, str(live.target)))
        return None
    client = waiting.clients.of("logs", source.access)
    return Tail(client, cloudwatch.of_task(source, _id(arn)), datetime.now(UTC) - timedelta(minutes=5))


def _tell_log(waiting: Waiting, tail: Tail | None) -> None:
    """What is new in the log is told. A log that can't be read (yet) does not end the task."""
    if tail:
        with suppress(AwsError):
            for line in tail.read():
                waiting.tell(line)


def _stopped(waiting: Waiting, target: Target, arn: str) -> str:
    try:
        oneoff.stop(_ecs(waiting, target), target, arn, "stopped by the person who ran it")
    except AwsError as error:
        return f"interrupted; task {_id(arn)} could not be stopped, and goes on: {error.complaints[0].what}"
    return f"interrupted; task {_id(arn)} was told to stop"


def _ecs(waiting: Waiting, target: Target) -> Any:
    return waiting.clients.of("ecs", target.access)


def _audit(project: Project, author: Author) -> dict[str, str]:
    return {"project": project.name, "by": author.by, "ci": author.ci}


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]


def _short(revision: str) -> str:
    return revision.rpartition("/")[2]
