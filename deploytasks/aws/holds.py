"""A tier's hold: after a rollback no new commit goes there until somebody lifts it. Beside the lock, and no lock."""

from typing import Any

from deploytasks.aws import claims, locks, parameters
from deploytasks.model import LockState

KIND = "hold"


def put(client: Any, project: str, hold: LockState) -> None:
    """The tier is held, with this reason; a hold that was there is replaced."""
    value = claims.written(claims.by_nobody(hold))
    parameters.write(client, parameters.path(project, hold.tier, KIND), value, f"hold of {hold.tier}")


def status(client: Any, project: str, tier: str) -> LockState | None:
    """The tier's hold, None where there is none."""
    return locks.status(client, project, tier, KIND)
