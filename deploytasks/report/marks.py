"""The meaning of each word on the board: the one source of every legend."""

from collections.abc import Mapping

from deploytasks.model import Cell, Evidence, Mark, Standing, Stranger

LEGEND: Mapping[Mark, str] = {
    "behind": "the tier's tag names another image",
    "mixed": "tenants of this tier, or tasks of this service, run different images",
    "drifted": "the live definition differs from the rendered one",
    "foreign": "the image is not in ECR, or the revision is not ours",
    "crashing": "tasks keep dying since the last rollout completed",
    "short": "fewer tasks run than are desired",
    "failed": "the last rollout failed, or was rolled back and what runs is not what is wanted",
    "inactive": "the revision that runs was deregistered; the next rollout registers a copy",
    "rolling": "a rollout is under way",
}
"""The meaning of each mark."""

STRANGERS: Mapping[Stranger, str] = {
    "image": "the image is not in ECR",
    "revision": "no release of this project registered the revision",
}
"""What `foreign` may mean for a target."""

STANDINGS: Mapping[Standing, str] = {
    "deployed by CODE_DEPLOY": "its ECS service has CodeDeploy as deployment controller; deploytasks leaves it alone",
    "deployed by EXTERNAL": "its ECS service has an external deployment controller; deploytasks leaves it alone",
    "missing": "the environment has no such ECS service yet",
    "unseen": "it could not be looked at; its place on the board says why",
}
"""The standings that deserve a second look and have no mark."""

EVIDENCE: Mapping[Evidence, str] = {
    "seen": "the running tasks report this image",
    "recorded": "no task showed its digest; our own tags name it",
    "defined": "no task showed its digest; the definition that runs pins it",
}
"""How the image that a target runs is known."""


def foreign(cell: Cell) -> str:
    """Return why the target is `foreign`, in one phrase; "" if it is not."""
    return ", and ".join(STRANGERS[each] for each in cell.foreign)
