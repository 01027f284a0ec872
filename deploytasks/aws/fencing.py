"""The fence around a command that holds a tier's lock: before each write it looks whether the lock is still its own.

Neither SSM nor ECS has a compare-and-set: what is left open is the time of the one call that follows the look.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import parameters, tags
from deploytasks.errors import AwsError
from deploytasks.model import LockState

SURE_S = (0.5, 1.0, 2.0)
"""Pauses between looks that do not see a lock which was written: SSM may show a write only some time later."""
_FRESH_S = 1.0


class LockLost(AwsError):
    """The command's lock is gone, or somebody else's: nothing may be begun any more."""


class Fence:
    """Knows whether the lock is still the one that the command works under; safe to use from many threads.

    Before `arm` is called, and in a dry run, it lets everything pass. `lost` says why it no longer does.
    """

    def __init__(self) -> None:
        self.lost = ""
        self._look: Callable[[], LockState | None] | None = None
        self._reading = threading.Lock()
        self._begun = self._answered = 0
        self._read_at = 0.0

    def arm(
        self, held: LockState, look: Callable[[], LockState | None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """From now on `look` tells who holds the lock, and has to find this one."""
        self._held, self._look, self._sleep = held, look, sleep

    def check(self) -> None:
        """Read the lock again; callers that come while it is being read share the next reading.

        Raises:
            LockLost: it is not ours any more, and who holds it.
            AwsError: it can't be read.

        """
        if self._look is None:
            return
        wanted = self._begun + 1
        with self._reading:
            if not self.lost and self._answered < wanted:
                self._begun += 1
                self._read_at = time.monotonic()
                self.lost = self._why(self._look)
                self._answered = self._begun
        self.raise_if_lost()

    def check_again(self) -> None:
        """Read the lock again if the last reading is no longer fresh. Raises as `check` does."""
        self.raise_if_lost()
        if time.monotonic() - self._read_at > _FRESH_S:
            self.check()

    def raise_if_lost(self) -> None:
        """Raise LockLost if a reading before has shown that the lock is not ours any more."""
        if self.lost:
            raise LockLost.of(self._held.tier, self.lost)

    def _why(self, look: Callable[[], LockState | None]) -> str:
        """Return why nothing may be begun any more, "" while the lock is ours; one look proves no loss."""
        for pause_s in (*SURE_S, 0.0):
            holder = look()
            if holder and holder.token == self._held.token:
                return ""
            if pause_s:
                self._sleep(pause_s)
        now = f"{holder.by} holds it since {holder.since} ({holder.command})" if holder else "nobody holds it now"
        return f"the lock of {self._held.tier} is no longer this command's: {now}"


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
        now = tags.stamp(datetime.now(UTC))
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
