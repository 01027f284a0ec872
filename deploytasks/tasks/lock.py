"""`inv lock.status`, `inv lock.acquire TIER` and `inv lock.release TIER`."""

from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell


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
        with shell.interruptible():
            states = journey.lock_status(project, [tier.name for tier in project.tiers])
        sheet = tuple(block for each in states for block in locks.sheet(*each))
        shell.show(sheet, [locks.as_json(*each) for each in states], as_json=json)

    return status


def _acquire(root: Path) -> Task[Any]:
    @task(
        name="acquire", auto_shortflags=False, help={"tier": "the tier to lock", "reason": "why, for all who meet it"}
    )
    def acquire(c: Context, tier: str, reason: str = "") -> None:
        """Lock a tier by hand: no release of it starts until lock.release."""
        from deploytasks import journey
        from deploytasks.project import select
        from deploytasks.project.load import load

        project = load(root)
        with shell.interruptible():
            state = journey.lock_acquire(project, select.tier(project, tier).name, reason)
        shell.say(f"{state.tier}: locked by {state.by}; inv lock.release {state.tier} ends it")

    return acquire


def _release(root: Path) -> Task[Any]:
    @task(name="release", auto_shortflags=False, positional=["tier"], help=flags.TIER)
    def release(c: Context, tier: str) -> None:
        """Free a tier's lock, whoever holds it, and end its hold."""
        from deploytasks import journey
        from deploytasks.project import select
        from deploytasks.project.load import load

        project = load(root)
        with shell.interruptible():
            states = journey.lock_release(project, select.tier(project, tier).name)
        for state in states:
            shell.say(f"{state.tier}: free; {state.by} had held it since {state.since}")

    return release
