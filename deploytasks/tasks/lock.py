"""`inv lock.status`, `inv lock.acquire TIER` and `inv lock.release TIER`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import LockState

_ACQUIRE_HELP = {"tier": "the tier to lock", "reason": "why, for all who meet it"} | flags.helped("lock-wait")
_RELEASE_HELP = flags.TIER | {"yes": "do not ask"}


def collection(root: Path) -> Collection:
    """The namespace `lock`."""
    return Collection("lock", _status(root), _acquire(root), _release(root))


def _status(root: Path) -> Task[Any]:
    @task(name="status", auto_shortflags=False, help=flags.helped("json"))
    def status(c: Context, json: bool = False) -> None:
        """Show who holds each tier's lock, and which are on hold after a rollback."""
        from deploytasks import journey
        from deploytasks.project.load import load
        from deploytasks.report import locks

        project = load(root)
        states = journey.lock_status(project, [tier.name for tier in project.tiers])
        sheet = tuple(block for each in states for block in locks.sheet(*each))
        shell.show(sheet, [locks.as_json(*each) for each in states], as_json=json)

    return status


def _acquire(root: Path) -> Task[Any]:
    @task(name="acquire", auto_shortflags=False, help=_ACQUIRE_HELP)
    def acquire(c: Context, tier: str, reason: str = "", lock_wait: str | None = None) -> None:
        """Lock a tier by hand: no release of it starts until lock.release, but those of this CI run."""
        from deploytasks import journey
        from deploytasks.project import select
        from deploytasks.project.load import load

        wait_s, project = flags.wait_s(lock_wait), load(root)
        name = select.tier(project, tier).name
        state = journey.lock_acquire(project, name, reason, wait_s=wait_s, tell=shell.say_told)
        shell.say(f"{state.tier}: locked by {state.by}; inv lock.release {state.tier} ends it")

    return acquire


def _release(root: Path) -> Task[Any]:
    @task(name="release", auto_shortflags=False, positional=["tier"], help=_RELEASE_HELP)
    def release(c: Context, tier: str, yes: bool = False) -> None:
        """Free a tier's lock, whoever holds it, and end its hold; asks, or takes --yes."""
        from deploytasks import journey
        from deploytasks.project import select
        from deploytasks.project.load import load

        project = load(root)
        agreed = journey.without_asking if yes else _asked
        states = journey.lock_release(project, select.tier(project, tier).name, agreed)
        for state in states:
            shell.say(f"{state.tier}: free; {state.by} had held it since {state.since}")

    return release


def _asked(kind: str, state: "LockState") -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        Refusal: there is no terminal to ask on.

    """
    from deploytasks.errors import NotReady

    what, holds = ("free the lock", "the lock") if kind == "lock" else ("end the hold", "the tier")
    why = f" ({state.command}{f': {state.reason}' if state.reason else ''})"
    answer = shell.ask(f"{state.tier}: {what} of {state.by} since {state.since}{why}?")
    if answer is None:
        unasked = f"{state.by} holds {holds} since {state.since}, and there is no terminal to ask on"
        raise NotReady.of(state.tier, unasked, f"inv lock.release {state.tier} --yes")
    return answer
