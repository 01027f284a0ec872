"""The holder of a tier's lock: what it writes, how it shows that it lives, and how it notices that the lock is lost.

Neither SSM nor ECS has a compare-and-set: what remains open is the time of the one call after the fence's check.
"""

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploytasks.aws import parameters, tags
from deploytasks.aws.parameters import Parameter, cut
from deploytasks.errors import AwsError
from deploytasks.model import Author, LockState

SURE_S = (0.5, 1.0, 2.0)
"""Pauses between reads that do not find a lock which was written: SSM may show a write only some time later."""
_FRESH_S = 1.0
"""How old the last read may be for `Fence.check_again` to rely on it."""
BEAT_S = 30.0
"""Seconds between two heartbeats."""
_LAST_S = 5.0
"""How long to wait for a heartbeat that is being written when its lock is released."""
STALE_S = 120.0
"""How long without a heartbeat until a job of the same CI run on another host takes a holder for dead."""


def lock_record(tier: str, author: Author, command: str, *, commit: str = "", reason: str = "") -> LockState:
    """Return what this process writes into a lock that it takes."""
    return LockState(
        tier=tier,
        by=author.by,
        since=tags.stamp(datetime.now(UTC)),
        command=command,
        commit=commit,
        reason=cut(reason),
        ci=author.ci,
        run=author.run,
        machine=_machine(),
        pid=os.getpid(),
        token=new_token(),
    )


def new_token() -> str:
    """Return a unique token, which identifies a lock."""
    return uuid.uuid4().hex


def by_hand(mine: LockState) -> LockState:
    """Return the same record without a process: it outlives this one, and jobs of the same CI run work under it."""
    return replace(mine, pid=0, machine="")


def by_nobody(mine: LockState) -> LockState:
    """Return the same record without a process or CI run: it blocks everyone until it is released by hand."""
    return replace(mine, pid=0, machine="", run="")


def is_shared(holder: LockState, mine: LockState) -> bool:
    """Return whether our CI run itself holds the lock, and no process of it: its jobs work under it and keep it."""
    return bool(mine.run) and holder.run == mine.run and not holder.pid and bool(mine.pid)


def is_left(client: Any, project: str, holder: LockState, mine: LockState, kind: str = "lock") -> bool:
    """Return whether the lock may be taken over: its process died here, or is of our CI run elsewhere and is stale.

    If the CI run itself holds it, only the run takes it anew. `kind` is that of the parameter with the holder's record.
    """
    if holder.pid > 0 and holder.machine == _machine():
        return not _is_alive(holder.pid)
    if not mine.run or holder.run != mine.run:
        return False
    return _is_stale(client, project, holder, kind) if holder.pid > 0 else not mine.pid


def _is_stale(client: Any, project: str, holder: LockState, kind: str) -> bool:
    """Return whether the holder shows no life: neither its record nor its heartbeat was written within `STALE_S`.

    Ages are measured by SSM's own clock. If an answer carries no time, the holder counts as alive.
    """
    ages = [sign.age_s for sign in _signs(client, project, holder, kind)]
    return bool(ages) and all(age is not None and age >= STALE_S for age in ages)


def _is_alive(pid: int) -> bool:
    """Return whether the process is alive; a zombie is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in ("Z", "X")


def _machine() -> str:
    """Return the host's boot id and the process namespace, within which a pid identifies one process."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    known = (boot.read_text().strip(), namespace.readlink().name) if boot.exists() and namespace.is_symlink() else ()
    return " ".join([platform.node(), *known])


class LockLost(AwsError):
    """The command's lock is gone, or another command holds it: nothing more may be started."""


class Fence:
    """Checks whether the command still holds its lock; safe to use from many threads.

    Before `arm` is called, and in a dry run, every check passes. `lost` says why checks no longer pass.
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
        """Start checking: `look` returns the lock's holder, which must be `held`."""
        self._held, self._look, self._sleep = held, look, sleep

    def check(self) -> None:
        """Read the lock again; callers that arrive during a read share the next one.

        Raises:
            LockLost: it is not ours any more; the message names its holder.
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
        """Read the lock again if the last read is older than `_FRESH_S`. Raise as `check` does."""
        self.raise_if_lost()
        if time.monotonic() - self._read_at > _FRESH_S:
            self.check()

    def raise_if_lost(self) -> None:
        """Raise LockLost if an earlier read has shown that the lock is not ours any more."""
        if self.lost:
            raise LockLost.of(self._held.tier, self.lost)

    def _why(self, look: Callable[[], LockState | None]) -> str:
        """Return why nothing more may be started, "" while the lock is ours; a single read proves no loss."""
        for pause_s in (*SURE_S, 0.0):
            holder = look()
            if holder and holder.token == self._held.token:
                return ""
            if pause_s:
                self._sleep(pause_s)
        now = f"{holder.by} holds it since {holder.since} ({holder.command})" if holder else "nobody holds it now"
        return f"the lock of {self._held.tier} is no longer this command's: {now}"


class Heartbeat:
    """Writes the holder's heartbeat between `start` and `stop`, in a thread that deletes it as its last act."""

    def __init__(
        self, client: Any, project: str, mine: LockState, tell: Callable[[str], None], beat_s: float | None = None
    ) -> None:
        self._client, self._project, self._mine, self._tell = client, project, mine, tell
        self._beat_s = BEAT_S if beat_s is None else beat_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start to write the heartbeat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop writing, and wait up to `_LAST_S` until the heartbeat is deleted.

        The lock is released before this, so that a slow write does not keep it: a heartbeat without a lock means
        nothing. If the write takes longer, it is deleted once it has landed, as long as the process lives.
        """
        self._over.set()
        if self._thread.ident is None:
            return
        self._thread.join(_LAST_S)
        if self._thread.is_alive():
            self._tell(f"AWS does not answer; {_name(self._project, self._mine)} may stay, and means nothing any more")

    def _run(self) -> None:
        has_beaten = has_failed = False
        while not self._over.wait(self._beat_s):
            has_beaten = True
            why = self._beat()
            if why and not has_failed:
                self._tell(f"the heartbeat could not be written: {why}")
            has_failed = has_failed or bool(why)
        if has_beaten:
            try:
                forget(self._client, self._project, self._mine)
            except AwsError as error:
                self._tell(f"the heartbeat could not be deleted: {error.complaints[0].what}")

    def _beat(self) -> str:
        """Write the heartbeat; return why that failed, "" if it did not."""
        name, now = _name(self._project, self._mine), tags.stamp(datetime.now(UTC))
        try:
            parameters.write(self._client, name, now, f"heartbeat of {self._mine.tier}")
        except AwsError as error:
            return error.complaints[0].what
        return ""


def last_sign(client: Any, project: str, holder: LockState) -> datetime | None:
    """Return when the holder last wrote its lock or its heartbeat, by SSM's clock; None if SSM does not say."""
    written = (sign.modified_at for sign in _signs(client, project, holder, "lock"))
    return max(filter(None, written), default=None)


def _signs(client: Any, project: str, holder: LockState, kind: str) -> list[Parameter]:
    names = parameters.path(project, holder.tier, kind), _name(project, holder)
    found = (parameters.find(client, name, f"lock of {holder.tier}") for name in names)
    return [each for each in found if each]


def forget(client: Any, project: str, holder: LockState) -> None:
    """Delete the holder's heartbeat, if there is one."""
    parameters.delete(client, _name(project, holder), f"heartbeat of {holder.tier}")


def _name(project: str, holder: LockState) -> str:
    return parameters.path(project, holder.tier, f"heartbeats/{holder.token or 'unnamed'}")
