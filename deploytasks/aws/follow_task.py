"""A one-off task under way: its states and lines are told, its end is judged, and it can be stopped before it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deploytasks.aws import logs
from deploytasks.aws.errors import may_pass, translated
from deploytasks.aws.logs import Tail, TaskLog
from deploytasks.aws.run_task import Started
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint, Unforeseen, contained
from deploytasks.model import Definition, Exited, OnEvent, Told

POLL_S, QUIET_S = 1.0, 3.0
"""Between two looks; and how long a log must have been silent, once its task has ended: CloudWatch is late."""
_LATEST_S = 20.0
_OUTAGE_S = 1800.0
"""How long AWS may be out of reach while a task goes on."""
_REFUSALS = 5
"""Looks, one after the other, that AWS may refuse before the task is given up."""
_UNKNOWN_S = 60.0
"""How long ECS may not know a task: it comes to know new ones late, and forgets stopped ones after an hour."""
_GOING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"})


@dataclass(frozen=True, slots=True)
class FollowResources:
    """What following needs. A `sleep` that raises ends it; the task goes on until it is stopped."""

    client: Any
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def log_of(clients: Clients, started: Started, definition: Definition, tell: OnEvent) -> TaskLog:
    """What tells the lines of the command's container; where they can't be read, it says so and tells none."""
    target, container = started.one_off.target, started.one_off.container
    source = next((each for each in logs.sources(target, definition) if each.container == container), None)
    if source is None:
        why = "its definition sends it elsewhere than to CloudWatch Logs, or without a stream prefix"
        return TaskLog(target, why, tell)
    since = started.at - timedelta(minutes=5)  # the container's clock may differ from ECS's
    try:
        client = clients.of("logs", source.access)
    except AwsError as error:
        return TaskLog(target, error.complaints[0].what, tell)
    return TaskLog(target, Tail(client, logs.of_task(source, started.id), since), tell)


def follow(resources: FollowResources, started: Started, log: TaskLog) -> Exited:
    """How the task ended; its states and its lines are told as they come, those too that come after its end.

    A connection that is lost is waited out, since the task goes on meanwhile.

    Raises:
        AwsError: the task can no longer be seen.

    """
    watch = Watch(resources, started)
    ended = None
    with named(started):
        while ended is None:
            ended = watch.look()
            log.hear()
            resources.sleep(0 if ended else POLL_S)
        _finish(resources, started)
        if ended.began and log.is_open:
            _read_trailing(resources, log)
        log.close()
    return ended


@contextmanager
def named(started: Started) -> Iterator[None]:
    """Name the task, which goes on, in whatever unforeseen is raised inside.

    Raises:
        AwsError: instead of an Unforeseen, or of any other exception.

    """
    try:
        with contained(str(started.one_off.target)):
            yield
    except Unforeseen as error:
        raise AwsError(_out_of_sight(started, error)) from error


def stop(resources: FollowResources, started: Started, log: TaskLog, reason: str, *, within_s: float) -> Exited | None:
    """The task is told to stop; how it ended, None where that takes longer.

    Raises:
        AwsError: it could not be told, and goes on.

    Source: ecs StopTask: SIGTERM, and after the container's stopTimeout SIGKILL.

    """
    _stop(resources, started, reason)
    watch, until, ended = Watch(resources, started), resources.clock() + within_s, None
    while ended is None and resources.clock() < until:
        resources.sleep(POLL_S)
        ended = watch.look()
        log.hear()
    return ended


def already_over(resources: FollowResources, started: Started, log: TaskLog) -> Exited | None:
    """How the task ended, by one look, after which no late line is waited for.

    None where it goes on, or can't be seen.
    """
    try:
        task = _described(resources.client, started)
    except AwsError:
        return None
    ended = ending(task, started) if task else None
    if ended:
        _finish(resources, started)
        log.hear()
        log.close()
    return ended


class Watch:
    """Looks at one task again and again; tells its states, and when AWS can't be reached."""

    def __init__(self, resources: FollowResources, started: Started) -> None:
        self._resources, self._started = resources, started
        self._state = ""
        self._seen_at = resources.clock()
        self._refused = 0
        self._lost = False

    def look(self) -> Exited | None:
        """How the task ended, None while it goes on.

        Raises:
            AwsError: it can't be seen, and that is not about to change.

        Source: ecs DescribeTasks.

        """
        try:
            task = _described(self._resources.client, self._started)
        except AwsError as error:
            self._put_up_with(error)
            return None
        if self._lost:
            self._say("AWS answers again")
        self._lost, self._refused = False, 0
        return self._forgotten() if task is None else self._judged(task)

    def _judged(self, task: Mapping[str, Any]) -> Exited | None:
        self._seen_at = self._resources.clock()
        state = task.get("lastStatus", "")
        if state != self._state and state in _GOING:
            self._say(f"task {self._started.id} is {state.lower()}")
        self._state = state
        return ending(task, self._started)

    def _forgotten(self) -> Exited | None:
        if self._resources.clock() - self._seen_at < _UNKNOWN_S:
            return None
        return Exited(self._started.one_off.target, self._started.id, None, "ECS does not know the task any more")

    def _put_up_with(self, error: AwsError) -> None:
        """Nothing happens yet; what does not pass is put up with for some looks, as rights spread slowly in AWS."""
        passes = may_pass(error)
        self._refused += 0 if passes else 1
        silent_s = self._resources.clock() - self._seen_at
        if self._refused >= _REFUSALS or silent_s >= _OUTAGE_S:
            raise AwsError(_out_of_sight(self._started, error), error_code=error.error_code) from error
        if passes and not self._lost:
            self._lost = True
            self._say(f"AWS does not answer, and is asked again; the task goes on: {error.complaints[0].what}")

    def _say(self, message: str) -> None:
        self._resources.tell(Told("run", message, str(self._started.one_off.target)))


def ending(task: Mapping[str, Any], started: Started) -> Exited | None:
    """How a described task ended, None while it goes on; an exit code counts as soon as it is there. Pure.

    A task takes half a minute from the end of its containers to STOPPED, where its network is taken down.
    """
    name = started.one_off.container
    ours: Mapping[str, Any] = next((each for each in task.get("containers", []) if each["name"] == name), {})
    stopped, code = task.get("lastStatus") == "STOPPED", ours.get("exitCode")
    if not stopped and (code is None or ours.get("lastStatus") != "STOPPED"):
        return None
    began = bool(task.get("startedAt")) and task.get("stopCode") != "TaskFailedToStart"
    return Exited(started.one_off.target, started.id, code, _reason(task, ours), began=code is not None or began)


def _stop(resources: FollowResources, started: Started, reason: str) -> None:
    target = started.one_off.target
    with translated(str(target)):
        resources.client.stop_task(cluster=target.cluster, task=started.arn, reason=reason[:255])


def _finish(resources: FollowResources, started: Started) -> None:
    """A task whose other containers would run on for ever is told to stop; it is said where that fails."""
    if started.one_off.essential:
        return
    try:
        _stop(resources, started, "the command of this one-off task has ended")
    except AwsError as error:
        what = f"task {started.id} goes on without its command: {error.complaints[0].what}"
        resources.tell(Told("run", what, str(started.one_off.target)))


def _read_trailing(resources: FollowResources, log: TaskLog) -> None:
    """What the log still brings is told, until it has been silent for a while."""
    ended_at = heard_at = resources.clock()
    while resources.clock() - ended_at < _LATEST_S and resources.clock() - heard_at < QUIET_S:
        resources.sleep(POLL_S)
        if log.hear():
            heard_at = resources.clock()


def _described(client: Any, started: Started) -> Mapping[str, Any] | None:
    target = started.one_off.target
    with translated(str(target)):
        found = client.describe_tasks(cluster=target.cluster, tasks=[started.arn])["tasks"]
    return next(iter(found), None)


def _reason(task: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Why it ended, where there is more to say than that it did."""
    ordinary = task.get("stopCode") == "EssentialContainerExited"
    said = [ours.get("reason"), None if ordinary else task.get("stoppedReason")]
    if ours.get("exitCode") is None:
        said += [task.get("stoppedReason"), *(each.get("reason") for each in task.get("containers", []))]
    return "; ".join(dict.fromkeys(filter(None, said)))


def _out_of_sight(started: Started, error: AwsError) -> Complaint:
    where = f"--cluster {started.one_off.target.cluster} --task"
    to_do = f"aws ecs describe-tasks {where}s {started.id} shows it\naws ecs stop-task {where} {started.id} ends it"
    what = f"task {started.arn} can no longer be seen, and goes on: {error.complaints[0].what}"
    return Complaint(str(started.one_off.target), what, to_do)
