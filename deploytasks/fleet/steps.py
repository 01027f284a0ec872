"""The one-off tasks that a service wants run before it is touched: each once for an image, and each must exit 0.

What has run is known from AWS alone: a tag of the revision counts the steps that succeeded, and a step's task says in
its `startedBy` which step it is, so that one which outlived its release is followed and not begun a second time.
"""

import shlex
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from deploytasks.aws import ecs, following, oneoff, revisions
from deploytasks.aws.oneoff import OneOff, Started
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet.finish import record
from deploytasks.fleet.means import Means
from deploytasks.model import DeadTask, Definition, Event, Exited, Logged, Rollout, Steps, Told
from deploytasks.ours import container_of, given, ours
from deploytasks.running import has_begun

_LOG_LINES = 10
_SEARCHED = 20
"""So many revisions that never began are looked past for the record of the steps."""


class StepFailed(AwsError):
    """A step did not exit 0; `tasks` explains how it ended."""

    def __init__(self, complaint: Complaint, explained: DeadTask) -> None:
        self.tasks = (explained,)
        super().__init__(complaint)


@dataclass(frozen=True, slots=True)
class Step:
    """One step that is about to run: what people call it, and the definition that it runs with."""

    name: str
    one_off: OneOff
    definition: Definition


def known(client: Any, rollout: Rollout, steps: Steps) -> Steps:
    """Return the steps with how many have succeeded already, by an earlier attempt at the same rollout.

    The record is on the newest revision that has begun, or on one after it that came no further than its steps.

    Raises:
        AwsError: AWS does not tell.

    """
    if rollout.request is None:
        return _counted(steps, rollout.live.revision_tags if rollout.live else {})
    for arn in islice(revisions.arns(client, rollout.target), _SEARCHED):
        record = revisions.described(client, rollout.target, arn).record
        if (found := _counted(steps, record)).done or (has_begun(record) and "project" in record):
            return found
    return steps


def _counted(steps: Steps, record: Mapping[str, str]) -> Steps:
    key, _, count = record.get("steps", "").partition(":")
    return replace(steps, done=int(count)) if key == steps.key and count.isdigit() else steps


def record_of(steps: Steps) -> dict[str, str]:
    """The tag that tells of the steps which have succeeded; none before the first."""
    return {"steps": f"{steps.key}:{steps.done}"} if steps.done else {}


def run(client: Any, rollout: Rollout, means: Means) -> None:
    """Run every step that has not succeeded before, with the revision that will run; it records each success.

    Raises:
        StepFailed: one did not end well, and those after it were not begun.
        AwsError: AWS said no, or somebody interrupted.

    """
    if rollout.steps is None:
        return
    running = rollout.live.primary if rollout.live else None
    revision = rollout.revision or (running.revision if running else "")
    steps = known(client, rollout, rollout.steps)
    if steps.done and rollout.request:
        record(means, rollout.target, revision, record_of(steps))
    place = _place(client, rollout) if steps.done < len(steps.commands) else {}
    for number in range(steps.done + 1, len(steps.commands) + 1):
        step = _step(rollout, steps, number, means.images[rollout.target.service])
        try:
            _run(client, replace(step, one_off=replace(step.one_off, revision=revision, place=place)), means)
        except StepFailed:
            if rollout.request:  # else it is what runs
                record(means, rollout.target, revision, {"ended": "failed"})
            raise
        record(means, rollout.target, revision, record_of(replace(steps, done=number)))


def _place(client: Any, rollout: Rollout) -> Mapping[str, Any]:
    """Where and how the service's own tasks run, or will run."""
    service = ecs.service_of(client, rollout.target) if rollout.action != "create" else {}
    return oneoff.place(service or rollout.create or {})


def _step(rollout: Rollout, steps: Steps, number: int, image: str) -> Step:
    definition = rollout.request or (rollout.live.definition if rollout.live else None) or {}
    listed, tier = definition.get("containerDefinitions", []), rollout.target.environment.tier
    target, words = rollout.target, steps.commands[number - 1]
    mine = given(listed, rollout.image) or ours(listed, image, tier, rollout.wish.digest or "")
    container = container_of(mine, target.service)
    one_off = OneOff(
        target=target,
        revision="",
        container=container,
        words=words,
        essential=oneoff.is_essential(definition, container),
        mark=f"deploytasks/step/{steps.key}/{number}",
    )
    return Step(f"step {number} of {len(steps.commands)}, {shlex.join(words)}", one_off, definition)


def _run(client: Any, step: Step, means: Means) -> None:
    """The step ended well, be it one that an earlier release began."""
    heard: deque[Logged] = deque(maxlen=_LOG_LINES)
    tell = _hearing(means, heard)
    started = oneoff.marked(client, step.one_off) or oneoff.start(client, step.one_off, means.author, {})
    tell(Told("step", f"{step.name}: task {started.id}", str(step.one_off.target)))
    watching = following.Means(client, tell, means.clock, _until_stopped(means, started))
    exited = following.follow(watching, started, following.log_of(means.clients, started, step.definition, tell))
    if exited.code != 0:
        raise StepFailed(_failed(step, exited), _explained(exited, heard))


def _hearing(means: Means, heard: deque[Logged]) -> Callable[[Event], None]:
    """Tells everything, and keeps the last lines of the log."""

    def tell(event: Event) -> None:
        if isinstance(event, Logged):
            heard.append(event)
        means.tell(event)

    return tell


def _until_stopped(means: Means, started: Started) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        means.sleep(seconds)
        if means.stopped.is_set():
            what = f"interrupted: task {started.id} goes on at AWS, and the same command follows it to its end"
            raise AwsError.of(str(started.one_off.target), f"{what}; the service was not touched")

    return sleep


def _failed(step: Step, exited: Exited) -> Complaint:
    ended = "never started" if not exited.began else f"ended with exit code {exited.code}"
    if exited.began and exited.code is None:
        ended = "ended, and nobody knows how"
    why = f": {exited.reason}" if exited.reason else ""
    return Complaint(str(step.one_off.target), f"{step.name} {ended}{why}; its service was not touched")


def _explained(exited: Exited, heard: deque[Logged]) -> DeadTask:
    code, lines = "-" if exited.code is None else exited.code, tuple(each.message for each in heard)
    return DeadTask(exited.task, exited.reason or "its command failed", (f"exit {code}",), lines)
