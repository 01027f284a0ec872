"""Client-side rate limits: a token bucket for each account, region and group of operations, as AWS keeps them.

Waiting for a token is cheaper than being throttled, which costs a round trip and a retry.
"""

import threading
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError

from deploytasks.aws import operations
from deploytasks.aws.operations import Rate
from deploytasks.model import Access


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

    def wait(self, access: Access, service: str, name: str) -> None:
        """Wait until the operation of that name may be called."""
        row = operations.OPERATIONS.get((service, name))
        rate = row.rate if row else None
        if rate is None:
            return
        with self._lock:
            bucket = self._buckets.setdefault((access.account, access.region, rate), Bucket(rate))
        wait_s = bucket.take()
        if wait_s and self._stopped.wait(wait_s):
            raise Interrupted()
