"""What containers write, read from CloudWatch by the awslogs settings of their definition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws.failures import translated
from deploytasks.model import Access, Definition, Logged, Target

_LATE_MS = 60_000
"""How far behind the newest line another may still arrive: CloudWatch takes them in from many agents."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where one container of a target writes to: a log group, and what its streams' names begin with."""

    target: Target
    container: str
    group: str
    prefix: str
    access: Access


def sources(target: Target, definition: Definition) -> tuple[Source, ...]:
    """The containers of the definition that write to CloudWatch under a stream prefix; () where none does."""
    return tuple(_sources(target, definition))


def of_task(source: Source, task: str) -> Source:
    """The source narrowed to one task, given by its id."""
    return replace(source, prefix=f"{source.prefix}{task}")


class Tail:
    """Reads a source from a time on, each line once: those too that come late, or all at the same moment."""

    def __init__(self, client: Any, source: Source, since: datetime) -> None:
        self._client, self._source = client, source
        self._from_ms = int(since.timestamp() * 1000)
        self._seen: dict[str, int] = {}

    def read(self) -> list[Logged]:
        """The lines that were not read before, oldest first.

        Raises:
            AwsError: among others, there is no such log group.

        Source: logs FilterLogEvents, all pages, since an empty one need not be the last.

        """
        with translated(f"{self._source.target}: log group {self._source.group}"):
            pages = self._client.get_paginator("filter_log_events").paginate(
                logGroupName=self._source.group, logStreamNamePrefix=self._source.prefix, startTime=self._from_ms
            )
            events = [event for page in pages for event in page["events"] if event["eventId"] not in self._seen]
        self._remember({event["eventId"]: event["timestamp"] for event in events})
        return [_logged(self._source, event) for event in sorted(events, key=lambda event: int(event["timestamp"]))]

    def _remember(self, new: Mapping[str, int]) -> None:
        """What was read just now may be told again, as long as late lines are waited for."""
        self._seen |= new
        self._from_ms = max(self._from_ms, max(self._seen.values(), default=0) - _LATE_MS)
        self._seen = {event: at for event, at in self._seen.items() if at >= self._from_ms}


def _sources(target: Target, definition: Definition) -> Iterator[Source]:
    for container in definition.get("containerDefinitions", []):
        config = container.get("logConfiguration", {})
        options = config.get("options", {})
        if config.get("logDriver") == "awslogs" and "awslogs-stream-prefix" in options:
            access = replace(target.access, region=options.get("awslogs-region", target.access.region))
            prefix = f"{options['awslogs-stream-prefix']}/{container['name']}/"
            yield Source(target, container["name"], options["awslogs-group"], prefix, access)


def _logged(source: Source, event: Mapping[str, Any]) -> Logged:
    return Logged(
        target=source.target,
        task=event["logStreamName"].rpartition("/")[2],
        container=source.container,
        message=event["message"].rstrip("\n"),
        at=datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
    )
