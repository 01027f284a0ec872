"""The fence around a command that holds a tier's lock: before each write it looks whether the lock is still its own.

Neither SSM nor ECS has a compare-and-set: what is left open is the time of the one call that follows the look.
"""

import threading
import time
from collections.abc import Callable

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
