"""`inv lock.status`, `inv lock.acquire TIER` and `inv lock.release TIER`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.flags import DRY_RUN
from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import LockState, Project


_ENDED = {"lock": "free", "hold": "on hold no longer"}


def collection(root: Path) -> Collection:
    """Return the namespace `lock`."""
    return Collection("lock", _status(root), _acquire(root), _release(root))


def _status(root: Path) -> Task[Any]:
    @flags.task("lock.status")
    def status(c: Context, **given: Any) -> None:
        """Show who holds each tier's lock, and which are on hold after a rollback."""
        from deploytasks import commands
        from deploytasks.config.load import load
        from deploytasks.report import locks

        project = load(root)
        states = commands.lock_status(project, [tier.name for tier in project.tiers])
        sheet = tuple(block for each in states for block in locks.sheet(each))
        shell.show(sheet, [locks.as_json(each) for each in states], as_json=given["json"])

    return status


def _acquire(root: Path) -> Task[Any]:
    @flags.task("lock.acquire")
    def acquire(c: Context, tier: str, **given: Any) -> None:
        """Lock a tier by hand: no release of it starts until lock.release, but those of this CI run."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.errors import Complaint, Failure

        why, wait_s, project = flags.text("reason", given["reason"]) or "", flags.wait_s(given["lock_wait"]), load(root)
        name = select.tier(project, tier).name
        if flags.is_dry(c, given["dry_run"]):
            shell.say(_would_lock(project, name))
            return
        state = commands.lock_acquire(project, name, why, wait_s=wait_s, tell=shell.say_told)
        try:
            shell.say(f"{state.tier}: locked by {state.by}; inv lock.release {state.tier} ends it")
        except Failure as error:
            held = Complaint(state.tier, "it is locked all the same", f"inv lock.release {state.tier} ends it")
            raise Failure(*error.complaints, held) from error

    return acquire


def _release(root: Path) -> Task[Any]:
    @flags.task("lock.release")
    def release(c: Context, tier: str, **given: Any) -> None:
        """Free a tier's lock, whoever holds it, and end its hold; asks, or takes --yes."""
        from deploytasks.config import select
        from deploytasks.config.load import load

        owner, project = flags.text("run", given["run"]), load(root)
        name = select.tier(project, tier).name
        if flags.is_dry(c, given["dry_run"]):
            lines = _would_free(project, name, owner, asks=not given["yes"])
        else:
            lines = _freed_of(project, name, owner) if owner else _freed(project, name, asks=not given["yes"])
        for line in lines:
            shell.say(line)

    return release


def _would_lock(project: "Project", tier: str) -> str:
    """Return what `lock.acquire` would do now."""
    from deploytasks import commands

    lock = commands.lock_status(project, [tier])[0].lock
    held = f"is held by {lock.by} since {lock.since}, so this would wait or be refused" if lock else "would be locked"
    return f"{tier}: {held}; {DRY_RUN}"


def _would_free(project: "Project", tier: str, run: str | None, *, asks: bool) -> list[str]:
    """Return what `lock.release` would end now, one line each.

    Raises:
        NotReady: there is neither a lock nor a hold.

    """
    from deploytasks import commands
    from deploytasks.errors import NotReady

    (found,) = commands.lock_status(project, [tier])
    if run:
        owned = found.lock is not None and found.lock.run == run
        return [f"{tier}: {'would be free' if owned else f'{run} does not hold the lock'}; {DRY_RUN}"]
    there = [(kind, state) for kind, state in (("lock", found.lock), ("hold", found.hold)) if state]
    if not there:
        raise NotReady.of(tier, "nobody holds the lock", "inv lock.status shows all of them")
    how = "after asking" if asks else "without asking"
    meant = there if asks else there[:1]
    return [f"{tier}: would end the {kind} of {state.by}, {how}" for kind, state in meant] + [DRY_RUN]


def _freed_of(project: "Project", tier: str, run: str) -> list[str]:
    """Release the lock of the CI run; return what to report."""
    from deploytasks import commands

    was = commands.lock_release_of(project, tier, run)
    return [f"{tier}: free; {run} had held it" if was else f"{tier}: nothing to free; {run} does not hold the lock"]


def _freed(project: "Project", tier: str, *, asks: bool) -> list[str]:
    """Release the lock, or end the hold, or both; return what to report."""
    from deploytasks import commands

    ended, left = commands.lock_release(project, tier, _asked if asks else None)
    lines = [f"{tier}: {_ENDED[kind]}; {state.by} had held it since {state.since}" for kind, state in ended]
    return lines + [f"{tier}: the {kind} of {state.by} stays; inv lock.release {tier} ends it" for kind, state in left]


def _asked(kind: str, state: "LockState") -> bool:
    """Ask at the terminal whether to release; return whether the answer is yes.

    Raises:
        NotReady: there is no terminal to ask on.

    """
    from deploytasks.errors import NotReady

    what, holds = ("free the lock", "the lock") if kind == "lock" else ("end the hold", "the tier")
    why = f" ({state.command}{f': {state.reason}' if state.reason else ''})"
    answer = shell.ask(f"{state.tier}: {what} of {state.by} since {state.since}{why}?")
    if answer is None:
        unasked = f"{state.by} holds {holds} since {state.since}, and there is no terminal to ask on"
        raise NotReady.of(state.tier, unasked, f"inv lock.release {state.tier} --yes")
    return answer
