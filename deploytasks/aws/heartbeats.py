"""The heartbeat of a lock's holder: an SSM parameter beside the lock, named by its token and written again and again.

It is a parameter of its own because SSM has no compare-and-set: rewriting the lock could overwrite another holder's.
A command that ends within `BEAT_S` writes none.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import audit, parameters
from deploytasks.errors import AwsError
from deploytasks.model import LockState

BEAT_S = 30.0
"""Seconds between two heartbeats."""
STALE_S = 120.0
"""A holder is taken for dead after so long without a heartbeat, by a job of its own CI run on another host."""


class Heartbeat:
    """Writes the holder's heartbeat from a thread of its own between `start` and `stop`."""

    def __init__(
        self, client: Any, project: str, mine: LockState, tell: Callable[[str], None], beat_s: float | None = None
    ) -> None:
        self._client, self._project, self._mine, self._tell = client, project, mine, tell
        self._beat_s = BEAT_S if beat_s is None else beat_s
        self._over, self._has_beaten = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more, and delete what was written."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        if self._has_beaten:
            self._has_beaten = False
            forget(self._client, self._project, self._mine)

    def _run(self) -> None:
        has_failed = False
        while not self._over.wait(self._beat_s):
            try:
                self._has_beaten = True
                parameters.write(self._client, *self._parameter())
            except AwsError as error:
                if not has_failed:
                    self._tell(f"the heartbeat could not be written: {error.complaints[0].what}")
                has_failed = True

    def _parameter(self) -> tuple[str, str, str]:
        now = audit.stamp(datetime.now(UTC))
        return _name(self._project, self._mine), now, f"heartbeat of {self._mine.tier}"


def is_stale(client: Any, project: str, holder: LockState) -> bool:
    """Return whether the holder shows no life: neither its lock nor its heartbeat was written within `STALE_S`.

    Their age is told by SSM's own clock. Where an answer does not tell the time, the holder counts as alive.
    """
    where = f"lock of {holder.tier}"
    names = parameters.path(project, holder.tier), _name(project, holder)
    ages = [found.age_s for name in names if (found := parameters.find(client, name, where))]
    return bool(ages) and all(age is not None and age >= STALE_S for age in ages)


def forget(client: Any, project: str, holder: LockState) -> None:
    """Delete the holder's heartbeat, if it wrote one."""
    parameters.delete(client, _name(project, holder), f"heartbeat of {holder.tier}")


def _name(project: str, holder: LockState) -> str:
    return parameters.path(project, holder.tier, f"heartbeats/{holder.token or 'unnamed'}")
