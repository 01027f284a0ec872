"""A tier's hold: after a rollback no new commit goes there until somebody lifts it. Beside the lock, and no lock."""

from typing import Any

from deploytasks.aws import claims, locks
from deploytasks.aws.failures import translated
from deploytasks.model import LockState

KIND = "hold"


def put(client: Any, project: str, hold: LockState) -> None:
    """The tier is held, with this reason; a hold that was there is replaced.

    Source: ssm PutParameter.

    """
    name, value = locks.path(project, hold.tier, KIND), claims.written(claims.by_nobody(hold))
    with translated(f"hold of {hold.tier}"):
        client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def status(client: Any, project: str, tier: str) -> LockState | None:
    """The tier's hold, None where there is none."""
    return locks.status(client, project, tier, KIND)
