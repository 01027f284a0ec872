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


class Following:
    """A one-off task that is followed: its states and log lines are reported as they arrive."""

    def __init__(self, resources: FollowResources, started: Started, log: TaskLog) -> None:
        self._client, self._tell = resources.client, resources.tell
        self._clock, self._sleep = resources.clock, resources.sleep
        self._started, self._target, self._log = started, started.one_off.target, log
        self.task = started.id
        self._watch_anew()

    def to_end(self) -> Exited:
        """Return how the task ended; report what arrives until its end, and the lines that arrive after it.

        Wait out a lost connection, since the task runs on meanwhile.

        Raises:
            AwsError: the task can no longer be observed.

        """
        self._watch_anew()
        ended = None
        with named(self._started):
            while ended is None:
                ended = self._look()
                self._log.hear()
                self._sleep(0 if ended else POLL_S)
            self._finish()
            if ended.began and self._log.is_open:
                self._read_trailing()
            self._log.close()
        return ended

    def stop(self, reason: str, *, within_s: float) -> Exited | None:
        """Tell the task to stop; return how it ended, None if that takes longer than `within_s`.

        Raises:
            AwsError: the request failed, and the task runs on.

        Source: ecs StopTask: SIGTERM, and after the container's stopTimeout SIGKILL.

        """
        self._stop(reason)
        self._watch_anew()
        until, ended = self._clock() + within_s, None
        while ended is None and self._clock() < until:
            self._sleep(POLL_S)
            ended = self._look()
            self._log.hear()
        return ended

    def already_over(self) -> Exited | None:
        """Return how the task ended, by a single poll and without waiting for late log lines.

        None if it is still running, or can't be observed.
        """
        try:
            task = self._described()
        except AwsError:
            return None
        ended = ending(task, self._started) if task else None
        if ended:
            self._finish()
            self._log.hear()
            self._log.close()
        return ended

    def _watch_anew(self) -> None:
        self._state, self._seen_at, self._refused, self._lost = "", self._clock(), 0, False

    def _look(self) -> Exited | None:
        """Return how the task ended, None while it runs; report its state, and when AWS can't be reached.

        Raises:
            AwsError: it can't be observed, and that is not about to change.

        """
        try:
            task = self._described()
        except AwsError as error:
            self._tolerate(error)
            return None
        if self._lost:
            self._say("AWS answers again")
        self._lost, self._refused = False, 0
        return self._forgotten() if task is None else self._judged(task)

    def _judged(self, task: Mapping[str, Any]) -> Exited | None:
        self._seen_at = self._clock()
        state = task.get("lastStatus", "")
        if state != self._state and state in _GOING:
            self._say(f"task {self.task} is {state.lower()}")
        self._state = state
        return ending(task, self._started)

    def _forgotten(self) -> Exited | None:
        if self._clock() - self._seen_at < _UNKNOWN_S:
            return None
        return Exited(self._target, self.task, None, "ECS does not know the task any more")

    def _tolerate(self, error: AwsError) -> None:
        """Tolerate the error up to a limit: a permanent one for some polls too, as permissions spread slowly in AWS."""
        passes = may_pass(error)
        self._refused = 0 if passes else self._refused + 1
        if self._refused >= _REFUSALS or self._clock() - self._seen_at >= _OUTAGE_S:
            complaint = _out_of_sight(self._started, error)
            raise AwsError(complaint, error_code=error.error_code, operation=error.operation) from error
        if passes and not self._lost:
            self._lost = True
            self._say(f"AWS does not answer; asking again; the task goes on: {error.complaints[0].what}")

    def _described(self) -> Mapping[str, Any] | None:
        """Source: ecs DescribeTasks."""
        with translated(str(self._target)):
            found = self._client.describe_tasks(cluster=self._target.cluster, tasks=[self._started.arn])["tasks"]
        return next(iter(found), None)

    def _stop(self, reason: str) -> None:
        with translated(str(self._target)):
            self._client.stop_task(cluster=self._target.cluster, task=self._started.arn, reason=reason[:255])

    def _finish(self) -> None:
        """Stop a task whose other containers would run on forever; report a failure to do so."""
        if self._started.one_off.essential:
            return
        try:
            self._stop("the command of this one-off task has ended")
        except AwsError as error:
            self._say(f"task {self.task} goes on without its command: {error.complaints[0].what}")

    def _read_trailing(self) -> None:
        """Report the lines that still arrive, until the log has been silent for `QUIET_S`."""
        ended_at = heard_at = self._clock()
        while self._clock() - ended_at < _LATEST_S and self._clock() - heard_at < QUIET_S:
            self._sleep(POLL_S)
            if self._log.hear():
                heard_at = self._clock()

    def _say(self, message: str) -> None:
        self._tell(Told("run", message, str(self._target)))


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
