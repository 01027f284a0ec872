"""ECS's service deployments as values."""

from datetime import datetime, timedelta

from msgspec import Struct

from deploytasks.model import Deployment

CLOCK_SKEW = timedelta(seconds=5)
"""How much earlier than its deployment a service deployment may have been created, by ECS's own clocks."""
UNDER_WAY = ("PENDING", "IN_PROGRESS")


class ServiceDeployment(Struct, frozen=True):
    """One service deployment; `status` and `stage` are ECS's words, `hook` is the PAUSE hook that it waits on.

    `aborted` means that a person stopped it without a rollback; no circuit breaker or alarm did.
    """

    arn: str
    status: str
    reason: str = ""
    stage: str = ""
    hook: str = ""
    aborted: bool = False
    number: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None

    def is_of(self, deployment: Deployment) -> bool:
        """Return whether it belongs to the deployment: its revision's number is that of the id, `ecs-svc/NUMBER`.

        Without a common number, the creation times decide: at most `CLOCK_SKEW` apart.
        """
        if self.number == deployment.id.rpartition("/")[2]:
            return True
        return bool(
            self.created_at and deployment.created_at and abs(self.created_at - deployment.created_at) <= CLOCK_SKEW
        )

    @property
    def is_under_way(self) -> bool:
        """Return whether it may still be stopped."""
        return self.status in UNDER_WAY

    @property
    def goes_back(self) -> bool:
        """Return whether ECS rolls it back already, or is about to."""
        return self.status in ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
