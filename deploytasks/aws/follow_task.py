"""Following a one-off task: report its states and log lines, judge its end, and stop it on request."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from msgspec import Struct

from deploytasks.aws import logs
from deploytasks.aws.errors import may_pass, translated
from deploytasks.aws.logs import Tail, TaskLog
from deploytasks.aws.run_task import Started
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint, Unforeseen, contained
from deploytasks.model import Definition, Exited, OnEvent, Told

POLL_S, QUIET_S = 1.0, 3.0
"""Seconds between two polls; and how long the log of an ended task must be silent: CloudWatch delivers late."""
_LATEST_S = 20.0
_OUTAGE_S = 1800.0
"""How long AWS may be unreachable while a task runs."""
_REFUSALS = 5
"""How many consecutive polls AWS may refuse before following is given up."""
_UNKNOWN_S = 60.0
"""How long ECS may not know a task: it lists new ones late, and forgets stopped ones after an hour."""
_GOING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"})


class FollowResources(Struct, frozen=True):
    """The dependencies of following. A `sleep` that raises ends the following; the task runs on until it is stopped."""

    client: Any
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def log_of(clients: Clients, started: Started, definition: Definition, tell: OnEvent) -> TaskLog:
    """Return the log of the command's container; if it can't be read, report why and return one without lines."""
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
    """Return how the task ended; report its states and lines as they arrive, and those that arrive after its end.

    Wait out a lost connection, since the task runs on meanwhile.

    Raises:
        AwsError: the task can no longer be observed.

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
    """Name the task, which runs on, in whatever unforeseen error is raised inside.

    Raises:
        AwsError: instead of an Unforeseen, or of any other exception.

    """
    try:
        with contained(str(started.one_off.target)):
            yield
    except Unforeseen as error:
        raise AwsError(_out_of_sight(started, error)) from error


def stop(resources: FollowResources, started: Started, log: TaskLog, reason: str, *, within_s: float) -> Exited | None:
    """Tell the task to stop; return how it ended, None if that takes longer than `within_s`.

    Raises:
        AwsError: the request failed, and the task runs on.

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
    """Return how the task ended, by a single poll and without waiting for late log lines.

    None if it is still running, or can't be observed.
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
    """Polls one task; reports its states, and when AWS can't be reached."""

    def __init__(self, resources: FollowResources, started: Started) -> None:
        self._resources, self._started = resources, started
        self._state = ""
        self._seen_at = resources.clock()
        self._refused = 0
        self._lost = False

    def look(self) -> Exited | None:
        """Return how the task ended, None while it runs.

        Raises:
            AwsError: it can't be observed, and that is not about to change.

        Source: ecs DescribeTasks.

        """
        try:
            task = _described(self._resources.client, self._started)
        except AwsError as error:
            self._tolerate(error)
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

    def _tolerate(self, error: AwsError) -> None:
        """Tolerate the error up to a limit: a permanent one for some polls too, as permissions spread slowly in AWS."""
        passes = may_pass(error)
        self._refused = 0 if passes else self._refused + 1
        silent_s = self._resources.clock() - self._seen_at
        if self._refused >= _REFUSALS or silent_s >= _OUTAGE_S:
            complaint = _out_of_sight(self._started, error)
            raise AwsError(complaint, error_code=error.error_code, operation=error.operation) from error
        if passes and not self._lost:
            self._lost = True
            self._say(f"AWS does not answer; asking again; the task goes on: {error.complaints[0].what}")

    def _say(self, message: str) -> None:
        self._resources.tell(Told("run", message, str(self._started.one_off.target)))


def ending(task: Mapping[str, Any], started: Started) -> Exited | None:
    """Return how a described task ended, None while it runs; an exit code counts as soon as it is known. Pure.

    A task takes half a minute from the end of its containers to STOPPED, while its network is removed.
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
    """Stop a task whose other containers would run on forever; report a failure to do so."""
    if started.one_off.essential:
        return
    try:
        _stop(resources, started, "the command of this one-off task has ended")
    except AwsError as error:
        what = f"task {started.id} goes on without its command: {error.complaints[0].what}"
        resources.tell(Told("run", what, str(started.one_off.target)))


def _read_trailing(resources: FollowResources, log: TaskLog) -> None:
    """Report the lines that still arrive, until the log has been silent for `QUIET_S`."""
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
    """Return why the task ended; "" if there is nothing to add."""
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
