"""Client-side rate limits: a token bucket for each account, region and group of operations, as AWS keeps them.

Waiting for a token is cheaper than being throttled, which costs a round trip and a retry.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError

from deploytasks.model import Access


@dataclass(frozen=True, slots=True)
class Rate:
    """The limit of a group of operations: a burst of calls, and a refill rate per second."""

    group: str
    burst: float
    refill_per_s: float


# Source: "Request throttling for the Amazon ECS API" in ECS's documentation; service quotas of ECR and Systems Manager.
_RATES = (
    (Rate("definitions changed", 20, 1), "RegisterTaskDefinition"),
    (Rate("definitions read", 50, 20), "DescribeTaskDefinition ListTaskDefinitions"),
    (Rate("services changed", 50, 5), "UpdateService CreateService"),
    (Rate("services read", 100, 20), "DescribeServices"),
    (Rate("deployments read", 50, 20), "ListServiceDeployments DescribeServiceDeployments DescribeServiceRevisions"),
    (Rate("tasks read", 100, 20), "ListTasks DescribeTasks"),
    (Rate("tasks changed", 100, 40), "RunTask StopTask"),
    (Rate("tags", 20, 10), "TagResource"),
    (Rate("images", 10, 10), "PutImage"),
    (Rate("parameters read", 40, 40), "GetParameters"),
)
RATES: dict[str, Rate] = {operation: rate for rate, operations in _RATES for operation in operations.split()}
"""The rate of each operation; operations not listed are not limited."""


class Interrupted(BotoCoreError):
    """The command was interrupted while the call waited for its turn."""

    fmt = "interrupted before AWS was asked"


class Bucket:
    """A token bucket; safe to use from many threads, each of which gets its own waiting time."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._tokens, self._at = rate.burst, clock()

    def take(self) -> float:
        """Take a token. Return the seconds to wait until it is valid; 0 if it is now."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.refill_per_s) - 1
            self._at = now
            return max(0.0, -self._tokens / self._rate.refill_per_s)


class Buckets:
    """The buckets of every account and region; once `stopped` is set, nothing waits any more."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._buckets: dict[tuple[str, str, Rate], Bucket] = {}
        self._lock = threading.Lock()

    def guard(self, client: Any, access: Access) -> None:
        """Make every request of the client, retries included, wait for its turn."""

        def wait(event_name: str, **_: Any) -> None:
            self._wait(access, event_name.rpartition(".")[2])

        client.meta.events.register("before-send", wait)

    def _wait(self, access: Access, operation: str) -> None:
        rate = RATES.get(operation)
        if rate is None:
            return
        with self._lock:
            bucket = self._buckets.setdefault((access.account, access.region, rate), Bucket(rate))
        wait_s = bucket.take()
        if wait_s and self._stopped.wait(wait_s):
            raise Interrupted()
