"""Container logs, read from CloudWatch by the awslogs settings of their definition."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.aws.errors import may_pass, translated
from deploytasks.errors import AwsError
from deploytasks.model import Access, Definition, Logged, OnEvent, Target, Told

_TRAILING_MS = 30_000
"""How far behind the newest line another may still arrive: CloudWatch receives them from many agents."""
_NO_GROUP = "ResourceNotFoundException"

Streams = tuple[str, str, str, str]
"""Account, region, log group and stream name prefix."""


class Source(Struct, frozen=True):
    """Where one container of a target writes to: a log group, and the prefix of its streams' names.

    `shared_with` names the other targets that write, or may write, to streams with the same prefix.
    """

    target: Target
    container: str
    group: str
    prefix: str
    access: Access
    family: str = ""
    shared_with: tuple[str, ...] = ()

    @property
    def streams(self) -> Streams:
        """Return the key by which to find sources whose streams, judged by their names, may be the same."""
        return self.access.account, self.access.region, self.group, self.prefix


def sources(target: Target, definition: Definition) -> tuple[Source, ...]:
    """Return the containers of the definition that write to CloudWatch under a stream prefix; () if none does."""
    return tuple(_sources(target, definition))


def elsewhere(definition: Definition) -> tuple[str, ...]:
    """Return the names of the other containers: their lines can't be found, or not be told from those of others."""
    listed = definition.get("containerDefinitions", [])
    return tuple(each["name"] for each in listed if not _is_readable(each))


def of_task(source: Source, task: str) -> Source:
    """Return the source narrowed to one task, given by its id."""
    return replace(source, prefix=f"{source.prefix}{task}")


def last_lines(client: Any, source: Source, count: int) -> tuple[str, ...]:
    """Return the last lines of a source that is narrowed to one task.

    Raises:
        AwsError: among others, there is no such log group or stream.

    Source: logs GetLogEvents.

    """
    with translated(f"log {source.group}"):
        answer = client.get_log_events(
            logGroupName=source.group, logStreamName=source.prefix, limit=count, startFromHead=False
        )
    return tuple(event["message"].rstrip() for event in answer["events"])


def is_missing(error: AwsError) -> bool:
    """Return whether the log group does not exist; it may be created with its first line."""
    return error.error_code == _NO_GROUP


class Tail:
    """Reads a source from a time on, each line once, including late lines and lines of the same millisecond.

    A read starts some way behind the newest line (or behind now, if a container's clock is ahead) and skips, by their
    ids, lines that were read before. With `own`, which returns those ids of tasks that are the target's own, it
    skips the lines of others' tasks.
    """

    def __init__(
        self,
        client: Any,
        source: Source,
        since: datetime,
        *,
        own: Callable[[Iterable[str]], set[str]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self._client, self._own, self._clock = client, own, clock
        self._from_ms = max(0, int(since.timestamp() * 1000))
        self._seen: dict[str, int] = {}

    def read(self) -> list[Logged]:
        """Return the lines that were not read before, oldest first.

        Raises:
            AwsError: among others, there is no such log group. The next read returns what this one could not.

        Source: logs FilterLogEvents, all pages, since an empty one need not be the last.

        """
        with translated(f"{self.source.target}: log group {self.source.group}"):
            pages = self._client.get_paginator("filter_log_events").paginate(
                logGroupName=self.source.group, logStreamNamePrefix=self.source.prefix, startTime=self._from_ms
            )
            events = [event for page in pages for event in page["events"] if self._is_new(event)]
        in_order = sorted(events, key=lambda event: event["timestamp"])
        lines = self._owned([_logged(self.source, event) for event in in_order])
        self._remember({event["eventId"]: event["timestamp"] for event in events})
        return lines

    def _is_new(self, event: Mapping[str, Any]) -> bool:
        """Return whether the event is unread and the container's.

        An emulator may ignore prefixes, and a prefix may contain a slash.
        """
        stream, prefix = event["logStreamName"], self.source.prefix
        return event["eventId"] not in self._seen and stream.startswith(prefix) and "/" not in stream[len(prefix) :]

    def _owned(self, lines: list[Logged]) -> list[Logged]:
        if self._own is None:
            return lines
        own = self._own(line.task for line in lines)
        return [line for line in lines if line.task in own]

    def _remember(self, new: Mapping[str, int]) -> None:
        """Remember the new events for as long as late lines may arrive: the next reads return them again."""
        self._seen |= new
        newest = min(max(self._seen.values(), default=0), int(self._clock() * 1000))
        self._from_ms = max(self._from_ms, newest - _TRAILING_MS)
        self._seen = {event: at for event, at in self._seen.items() if at >= self._from_ms}


class TaskLog:
    """Reports the lines of one container of one task; an obstacle to reading is reported once and ends nothing.

    If there is nothing to read, `tail` says why.
    """

    def __init__(self, target: Target, tail: Tail | str, tell: OnEvent) -> None:
        self._target, self._tell = target, tell
        self._tail = None if isinstance(tail, str) else tail
        self._missing: AwsError | None = None
        if isinstance(tail, str):
            self._say(tail)

    @property
    def is_open(self) -> bool:
        """Return whether there is anything to read."""
        return self._tail is not None

    def hear(self) -> bool:
        """Report new lines. Return whether there were any."""
        if self._tail is None:
            return False
        try:
            lines = self._tail.read()
        except AwsError as error:
            self._tolerate(error)
            return False
        self._missing = None
        for line in lines:
            self._tell(line)
        return bool(lines)

    def close(self) -> None:
        """Report if there never was a log group."""
        if self._missing:
            self._say(self._missing.complaints[0].what)

    def _tolerate(self, error: AwsError) -> None:
        """Stop reading, and report why, unless the error may pass: a group is created with its first line."""
        if is_missing(error):
            self._missing = error
        elif not may_pass(error):
            self._tail = None
            self._say(f"{error.complaints[0].what}\n    {error.complaints[0].to_do}".rstrip())

    def _say(self, why: str) -> None:
        self._tell(Told("run", f"its log can't be shown: {why}", str(self._target)))


def _sources(target: Target, definition: Definition) -> Iterator[Source]:
    for container in definition.get("containerDefinitions", []):
        if _is_readable(container):
            options = container["logConfiguration"]["options"]
            access = replace(target.access, region=options.get("awslogs-region", target.access.region))
            prefix = f"{options['awslogs-stream-prefix']}/{container['name']}/"
            family = definition.get("family", "")
            yield Source(target, container["name"], options["awslogs-group"], prefix, access, family)


def _is_readable(container: Mapping[str, Any]) -> bool:
    config = container.get("logConfiguration") or {}
    return config.get("logDriver") == "awslogs" and {"awslogs-group", "awslogs-stream-prefix"} <= {
        *config.get("options", {})
    }


def _logged(source: Source, event: Mapping[str, Any]) -> Logged:
    return Logged(
        target=source.target,
        task=event["logStreamName"].rpartition("/")[2],
        container=source.container,
        message=event["message"].rstrip("\r\n"),
        at=datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
    )
