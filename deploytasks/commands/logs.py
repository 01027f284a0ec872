"""Print and follow the log lines of a tier's targets. Read-only.

A stream's name consists of prefix, container and task. Where targets of one account share group, prefix and container,
each target gets only the lines of tasks that ECS lists as its own.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.aws import logs as cloudwatch
from deploytasks.aws import tasks
from deploytasks.aws.errors import may_pass
from deploytasks.aws.logs import Source, Streams, Tail
from deploytasks.aws.session import Clients
from deploytasks.commands.context import reach
from deploytasks.commands.observe import no_service, observe
from deploytasks.commands.rollouts import kept_back
from deploytasks.concurrency import MAX_THREADS
from deploytasks.errors import AwsError, Complaint, Interrupted
from deploytasks.model import Definition, Live, Logged, OnEvent, Project, Target, Told
from deploytasks.template.render import Renderer

_TASK_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f-]{36}")
"""DescribeTasks refuses any other id as invalid, together with all ids of the same request."""
POLL_S = 2.0
_REMEMBERED = timedelta(hours=1)
"""How long ECS lists a stopped task."""
_NO_CLUSTER = "ClusterNotFoundException"
_FIRST_S = 10.0
"""How long following waits for the recent lines of all sources before it shows those that arrived."""


class Watched(Struct, frozen=True):
    """The log sources to read, and the definitions that they come from.

    `complaints` are about targets without any readable log, `notes` about single containers.
    """

    clients: Clients
    sources: tuple[Source, ...]
    definitions: tuple[Definition, ...]
    complaints: tuple[Complaint, ...] = ()
    notes: tuple[Complaint, ...] = ()


def watch(project: Project, targets: Sequence[Target]) -> Watched:
    """Return the log sources of the targets' containers, from their live definitions."""
    clients, renderer = reach(project), Renderer(project)
    lives = observe(clients, targets, renderer=renderer, reading="none")
    lives = tuple(kept_back(project, renderer, live) for live in lives)
    found = {live.target: cloudwatch.sources(live.target, live.definition or {}) for live in lives}
    return Watched(
        clients=clients,
        sources=_told_apart(clients, project, renderer, [source for sources in found.values() for source in sources]),
        definitions=tuple(live.definition for live in lives if live.definition),
        complaints=tuple(_unreadable(live) for live in lives if not found[live.target]),
        notes=tuple(note for live in lives if found[live.target] for note in _elsewhere(live)),
    )


def logs(
    watched: Watched,
    since: timedelta,
    tell: OnEvent,
    *,
    follow: Callable[[], bool] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Complaint, ...]:
    """Report every line of the last `since`, oldest first; return what could not be read, also reported once each.

    With `follow`, continue with new lines for as long as it returns true.

    Raises:
        Interrupted: Ctrl-C, which ends following.

    """
    reader = _Reader(watched, tell, following=follow is not None)
    if since > _REMEMBERED:
        reader.warn(_forgotten(watched.sources))
    try:
        with reader.reading(watched, datetime.now(UTC) - since):
            reader.read(_FIRST_S if follow else None)
            while follow and follow() and reader.tails:
                sleep(POLL_S)
                reader.read(POLL_S)
    except KeyboardInterrupt:
        raise Interrupted.of("deploy.logs", "interrupted") from None
    return tuple(reader.complaints)


class _Reader:
    """Reads all sources in parallel, so that a slow account does not delay the lines of others."""

    def __init__(self, watched: Watched, tell: OnEvent, *, following: bool) -> None:
        self._tell, self._following = tell, following
        self.tails: list[Tail] = []
        self.complaints: list[Complaint] = []
        self._asked: dict[Tail, Future[list[Logged]]] = {}
        self._said: set[Complaint] = set()
        for each in watched.complaints:
            self._complain(each)
        self.warn(watched.notes)

    def warn(self, notes: Iterable[Complaint]) -> None:
        """Report notes that are not failures, each once."""
        for each in notes:
            self._say(each)

    @contextmanager
    def reading(self, watched: Watched, since: datetime) -> Iterator[None]:
        """Provide the thread pool that reads the sources; on exit do not wait for pending reads."""
        for source in watched.sources:
            try:
                self.tails.append(_tail(watched.clients, source, since))
            except AwsError as error:
                self._complain(error.complaints[0])
        self._pool = ThreadPoolExecutor(max_workers=max(1, min(len(self.tails), MAX_THREADS)))
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, within_s: float | None) -> None:
        """Report the lines that arrive within that time, sorted by time; None waits for every source."""
        for tail in self.tails:
            if tail not in self._asked:
                self._asked[tail] = self._pool.submit(tail.read)
        done, _ = wait(self._asked.values(), timeout=within_s)
        answered = [tail for tail, asked in self._asked.items() if asked in done]
        lines = [line for tail in answered for line in self._lines(tail, self._asked.pop(tail))]
        for line in sorted(lines, key=lambda line: line.at):
            self._tell(line)

    def _lines(self, tail: Tail, asked: "Future[list[Logged]]") -> list[Logged]:
        """Return the lines that arrived; on an error, none.

        While following, ask again after a transient error. A log group that may still be created is asked again too,
        any other source is dropped.
        """
        try:
            return asked.result()
        except AwsError as error:
            if self._following and may_pass(error):
                what = f"log group {tail.source.group} does not answer; asking again: {error.complaints[0].what}"
                self._say(Complaint(str(tail.source.target), what))
                return []
            self._complain(_about(tail, error))
            if not cloudwatch.is_missing(error):
                self.tails.remove(tail)
            return []

    def _complain(self, complaint: Complaint) -> None:
        if complaint not in self.complaints:
            self.complaints.append(complaint)
            self._say(complaint)

    def _say(self, complaint: Complaint) -> None:
        """Report the complaint once, formatted as an error."""
        if complaint not in self._said:
            self._said.add(complaint)
            self._tell(Told("logs", complaint.text, complaint.where))


def _told_apart(
    clients: Clients, project: Project, renderer: Renderer, sources: Sequence[Source]
) -> tuple[Source, ...]:
    """Return the sources, each with the names of other targets of any tier that write to the same streams.

    Other targets in these accounts are observed with the credentials of the targets whose lines are read: their own
    may not be available.
    """
    reached = {source.access.account: source.target.access for source in sources}
    known = {source.target for source in sources}
    others = [
        replace(each, access=replace(reached[each.access.account], region=each.access.region))
        for each in project.targets
        if each not in known and each.access.account in reached
    ]
    writers: dict[Streams | str, set[str]] = {}
    for source in sources:
        writers.setdefault(source.streams, set()).add(str(source.target))
    for live in observe(clients, others, renderer=renderer, reading="none"):
        for place in _written(live):
            writers.setdefault(place, set()).add(str(live.target))
    return tuple(replace(source, shared_with=_others(writers, source)) for source in sources)


def _written(live: Live) -> list[Streams | str]:
    """Return the streams a target writes to; its whole account if it can't be observed, since they may be any."""
    if live.complaint:
        return [] if live.error_code == _NO_CLUSTER else [live.target.access.account]
    return [source.streams for source in cloudwatch.sources(live.target, live.definition or {})]


def _others(writers: Mapping[Streams | str, set[str]], source: Source) -> tuple[str, ...]:
    names = writers[source.streams] | writers.get(source.access.account, set())
    return tuple(sorted(names - {str(source.target)}))


class _OwnTasks:
    """Tells a target's own tasks from those of others, by their ids; each id is asked for once.

    Its own are the tasks of its service, and one-off tasks of its family in its cluster. A task that ECS does not know
    there is not its own: it belongs to another cluster, or stopped more than an hour ago.
    """

    def __init__(self, client: Any, source: Source) -> None:
        self._client, self._target, self._family = client, source.target, source.family
        self._own: dict[str, bool] = {}

    def among(self, ids: Iterable[str]) -> set[str]:
        """Return those of the ids that are the target's own.

        Raises:
            AwsError: ECS does not answer.

        """
        named = set(ids)
        asked = sorted(each for each in named - self._own.keys() if _TASK_ID.fullmatch(each))
        found = tasks.described(self._client, self._target.cluster, asked)
        own = {task["taskArn"].rpartition("/")[2] for task in found if self._is_own(task)}
        self._own |= {each: each in own for each in asked}
        return {each for each in named if self._own.get(each)}

    def _is_own(self, task: Mapping[str, Any]) -> bool:
        """Return whether the service or the family is the target's.

        Source: ECS's documentation of a task's `group`: `service:` and its name, if a service runs the task.
        """
        group: str = task.get("group", "")
        if group.startswith("service:"):
            return group == f"service:{self._target.ecs_service}"
        family: str = task["taskDefinitionArn"].rpartition("/")[2].rpartition(":")[0]
        return family == self._family


def _tail(clients: Clients, source: Source, since: datetime) -> Tail:
    own = _OwnTasks(clients.of("ecs", source.target.access), source).among if source.shared_with else None
    return Tail(clients.of("logs", source.access), source, since, own=own)


def _forgotten(sources: Iterable[Source]) -> Iterator[Complaint]:
    """Yield notes on shared streams, for lines older than the stopped tasks that ECS still lists."""
    for source in sources:
        if source.shared_with:
            names = ", ".join(source.shared_with)
            what = (
                f"without the lines of tasks that stopped more than an hour ago: {names} may write to the same streams"
            )
            yield Complaint(str(source.target), what, "an `awslogs-stream-prefix` of its own tells all of them apart")


def _about(tail: Tail, error: AwsError) -> Complaint:
    """Return what is wrong with a target's log, in the same words each time, so that it is reported once."""
    said, where = error.complaints[0], str(tail.source.target)
    if cloudwatch.is_missing(error):
        to_do = "it comes with the first line, where the definition has `awslogs-create-group`; else make it"
        return Complaint(where, f"there is no log group {tail.source.group}", to_do)
    return Complaint(where, f"log group {tail.source.group} can't be read: {said.what}", said.to_do)


def _unreadable(live: Live) -> Complaint:
    if live.complaint:
        return live.complaint
    where = str(live.target)
    if not live.exists:
        return Complaint(where, no_service(live.target), "inv status shows what there is")
    to_do = "give its logConfiguration `awslogs` with an `awslogs-stream-prefix`, or look where its log goes"
    return Complaint(where, "no container of its definition writes to CloudWatch Logs", to_do)


def _elsewhere(live: Live) -> Iterable[Complaint]:
    names = cloudwatch.elsewhere(live.definition or {})
    if names:
        what = f"without the lines of {', '.join(names)}, which writes elsewhere than to CloudWatch Logs"
        yield Complaint(str(live.target), what)
