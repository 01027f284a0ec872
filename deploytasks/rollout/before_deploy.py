"""Run a service's `before_deploy` steps: one-off tasks, once per image, each of which must exit 0.

AWS is the only record of what has run. A tag of the revision counts the steps that succeeded and the attempts at the
next one. It is written before each attempt, and each attempt's RunTask carries a client token of its own. A task that
outlived its release is found by its `startedBy` or by that token and followed, not started a second time.
"""

import shlex
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from threading import Lock
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.aws import ecs, follow_task, run_task
from deploytasks.aws.lock_holders import LockLost
from deploytasks.aws.run_task import OneOff, Started
from deploytasks.errors import AwsError, Complaint, contained
from deploytasks.model import DeadTask, Definition, Environment, Event, Exited, Logged, Rollout, Steps, Target, Told
from deploytasks.rollout.resources import Resources, announce, record
from deploytasks.rules.observed import container_of, given, has_begun, ours

_LOG_LINES = 10
_SEARCHED = 50
"""How many revisions are searched for the record of the steps."""


class StepFailed(AwsError):
    """A step did not exit 0: its command, and in `tasks` how it ended."""

    def __init__(self, complaint: Complaint, explained: DeadTask, step: tuple[str, ...] = ()) -> None:
        self.tasks, self.step = (explained,), step
        super().__init__(complaint)


class Step(Struct, frozen=True):
    """One step about to run: its name in messages, its one-off task and the definition it runs with."""

    name: str
    one_off: OneOff
    definition: Definition


def known(client: Any, rollout: Rollout, steps: Steps) -> Steps:
    """Return the steps as recorded at AWS: how many have succeeded, and which attempt may have begun.

    The record is on our newest begun revision of the image, or on a later one that got no further than its steps.
    Revisions that others registered in the family are ignored.

    Raises:
        AwsError: the revisions could not be read.

    """
    if rollout.request is None:
        return _counted(steps, rollout.live.revision_tags if rollout.live else {})
    for arn in islice(ecs.revision_arns(client, rollout.target), _SEARCHED):
        record = ecs.revision(client, rollout.target, arn).record
        found = _counted(steps, record)
        if found.done or found.attempt or _ends_search(rollout, record):
            return found
    return steps


def _ends_search(rollout: Rollout, record: Mapping[str, str]) -> bool:
    """Return whether no older revision can carry the record.

    True for a begun revision of this project that has the image, or any begun one if the image was never released.
    """
    if not has_begun(record) or record.get("project", "") != rollout.tags.get("project"):
        return False
    desired, tier = rollout.desired, rollout.target.environment.tier
    carried = desired.image.tags if desired.image else ()
    was_released = any(tag != desired.release and tags.is_release(tag, tier) for tag in carried)
    return record.get("digest") == desired.digest or not was_released


def _counted(steps: Steps, record: Mapping[str, str]) -> Steps:
    key, _, counts = record.get("steps", "").partition(":")
    done, _, attempt = counts.partition(":")
    if key != steps.key or not done.isdigit():
        return steps
    return replace(steps, done=int(done), attempt=int(attempt) if attempt.isdigit() else 0)


def record_of(steps: Steps) -> dict[str, str]:
    """Return the tag that records the succeeded steps and the attempt that may have begun; {} if there are none."""
    attempt = f":{steps.attempt}" if steps.attempt else ""
    return {"steps": f"{steps.key}:{steps.done}{attempt}"} if steps.done or attempt else {}


def run(rollout: Rollout, resources: Resources) -> None:
    """Run every step that has not succeeded yet, with the revision that will run, and record each success.

    Raises:
        StepFailed: a step failed; the ones after it were not started.
        AwsError: an AWS call failed, or the command was interrupted.

    """
    if rollout.steps is None:
        return
    client = resources.clients.of("ecs", rollout.target.access)
    running = rollout.live.primary if rollout.live else None
    revision = rollout.revision or (running.revision if running else "")
    steps, count = known(client, rollout, rollout.steps), len(rollout.steps.commands)
    if steps.done == count:
        if rollout.request:
            record(resources, rollout.target, revision, record_of(steps))
        return
    service = ecs.service_of(client, rollout.target) if rollout.action != "create" else {}
    work = _Running(client, rollout, resources, revision, run_task.place(service or rollout.create or {}))
    while steps.done < count:
        steps = work.next(steps)


class _Running(Struct, frozen=True):
    """The steps of a rollout under way: the revision that they run with, and the place in which its tasks will run."""

    client: Any
    rollout: Rollout
    resources: Resources
    revision: str
    place: Mapping[str, Any]

    def next(self, steps: Steps) -> Steps:
        """Run the next step, or follow the task that an earlier attempt started; return the steps with it done."""
        self.resources.fence.check()
        steps = replace(steps, attempt=max(steps.attempt, 1))
        while (started := run_task.marked(self.client, self._step(steps).one_off)) and started.has_failed:
            steps = replace(steps, attempt=steps.attempt + 1)
        step, target = self._step(steps), self.rollout.target
        if started is None:
            unless = "it runs, but cannot be recorded, so that a release more than an hour later runs it again"
            announce(self.resources, target, self.revision, record_of(steps), f"{step.name}: {unless}")
            started = run_task.start(self.client, step.one_off, self.resources.author, {})
        try:
            _follow(self.client, step, started, self.resources)
        except StepFailed:
            # without a request, the revision is the running one
            ended = {"ended": "failed"} if self.rollout.request else {}
            failed = record_of(replace(steps, attempt=steps.attempt + 1))
            record(self.resources, target, self.revision, {**failed, **ended})
            raise
        steps = replace(steps, done=steps.done + 1, attempt=0)
        record(self.resources, target, self.revision, record_of(steps))
        return steps

    def _step(self, steps: Steps) -> Step:
        rollout, target, number = self.rollout, self.rollout.target, steps.done + 1
        definition = rollout.request or (rollout.live.definition if rollout.live else None) or {}
        listed, words = definition.get("containerDefinitions", []), steps.commands[steps.done]
        uri, tier = target.images[target.image], target.environment.tier
        container = container_of(
            given(listed, rollout.image) or ours(listed, uri, tier, rollout.desired.digest or ""), target.name
        )
        one_off = OneOff(
            target=target,
            revision=self.revision,
            container=container,
            words=words,
            place=self.place,
            essential=run_task.is_essential(definition, container),
            mark=f"deploytasks/step/{steps.key}/{number}/{steps.attempt}",
            token=f"{steps.key}-{number}-{steps.attempt}",
        )
        return Step(f"step {number} of {len(steps.commands)}, {shlex.join(words)}", one_off, definition)


def _follow(client: Any, step: Step, started: Started, resources: Resources) -> None:
    """Follow the step's task until it exits 0.

    Raises:
        StepFailed: it did not exit 0.
        AwsError: it can no longer be seen, or the command was interrupted.

    """
    heard: deque[Logged] = deque(maxlen=_LOG_LINES)
    tell = _hearing(resources, heard)
    tell(Told("step", f"{step.name}: task {started.id}", str(step.one_off.target)))
    watching = follow_task.FollowResources(client, tell, resources.clock, _until_stopped(resources, started))
    log = follow_task.log_of(resources.clients, started, step.definition, tell)
    exited = follow_task.Following(watching, started, log).to_end()
    if exited.code != 0:
        raise StepFailed(_failed(step, exited), _explained(exited, heard), step.one_off.words)


def _hearing(resources: Resources, heard: deque[Logged]) -> Callable[[Event], None]:
    """Return a reporter that also keeps the last lines of the log in `heard`."""

    def tell(event: Event) -> None:
        if isinstance(event, Logged):
            heard.append(event)
        resources.tell(event)

    return tell


def _until_stopped(resources: Resources, started: Started) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        resources.sleep(seconds)
        if resources.stopped.is_set():
            what = f"interrupted: task {started.id} goes on at AWS, and the same command follows it to its end"
            raise AwsError.of(str(started.one_off.target), f"{what}; the service was not touched")

    return sleep


def _failed(step: Step, exited: Exited) -> Complaint:
    ended = "never started" if not exited.began else f"ended with exit code {exited.code}"
    if exited.began and exited.code is None:
        ended = "ended with an unknown exit code"
    why = f": {exited.reason}" if exited.reason else ""
    return Complaint(str(step.one_off.target), f"{step.name} {ended}{why}; its service was not touched")


def _explained(exited: Exited, heard: deque[Logged]) -> DeadTask:
    code, lines = "-" if exited.code is None else exited.code, tuple(each.message for each in heard)
    return DeadTask(exited.task, exited.reason or "its command failed", (f"exit {code}",), lines)


class Held(AwsError):
    """Another service's `before_deploy` failed, so this service is not touched."""


class Before:
    """The `before_deploy` steps of a plan: each environment's run once, one after the other, in the plan's order.

    Thread-safe: the first rollout of an environment runs the steps, the others wait for them to end.
    """

    def __init__(self, rollouts: Iterable[Rollout]) -> None:
        self._waiting: dict[Environment, list[Rollout]] = {}
        for rollout in rollouts:
            if rollout.steps:
                self._waiting.setdefault(rollout.target.environment, []).append(rollout)
        self._locks = {environment: Lock() for environment in self._waiting}
        self._failed: dict[Environment, tuple[Target, AwsError]] = {}

    def run(self, rollout: Rollout, resources: Resources) -> None:
        """Run every step of the rollout's environment, or wait until another thread has.

        Raises:
            AwsError: a step of this rollout failed, the lock was lost, or the command was interrupted.
            Held: a step of another service failed.

        """
        environment = rollout.target.environment
        if environment in self._locks:
            with self._locks[environment]:
                self._run_all(environment, resources)
        self.raise_if_failed(rollout)

    def raise_if_failed(self, rollout: Rollout) -> None:
        """Raise the error if a step of the rollout's environment has failed.

        Raises:
            AwsError: a step of this rollout failed, the lock was lost, or the command was interrupted.
            Held: a step of another service failed.

        """
        environment = rollout.target.environment
        if environment not in self._failed:
            return
        target, error = self._failed[environment]
        if target == rollout.target or isinstance(error, LockLost):
            raise error
        what = f"not touched, because before_deploy of {target.name} failed in {environment}"
        raise Held.of(str(rollout.target), what)

    def _run_all(self, environment: Environment, resources: Resources) -> None:
        waiting = self._waiting[environment]
        while waiting and environment not in self._failed:
            rollout = waiting.pop(0)
            try:
                with contained(str(rollout.target)):
                    run(rollout, resources)
            except AwsError as error:
                self._failed[environment] = rollout.target, error
