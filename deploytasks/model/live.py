"""What runs, as AWS reports it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from deploytasks.errors import Complaint
from deploytasks.model.jobs import Schedule
from deploytasks.model.project import Target

Evidence = Literal["seen", "recorded", "defined"]
"""How a digest is known: seen on tasks, recorded in our tags, or pinned in the running definition."""

Reading = Literal["none", "vague", "unpinned", "all"]
"""Whose tasks to read as well: targets whose image is otherwise unknown, those without a pinned digest, or all."""

Definition = Mapping[str, Any]
"""A RegisterTaskDefinition request, or a task definition as ECS describes it; camelCase, as AWS writes it."""
IDENTIFYING = ("name", "key", "containerName", "sourceContainer", "containerPath", "containerPort", "namespace", "type")
"""The members that identify an object among the others of its list in a definition."""


class Deployment(Struct, frozen=True):
    """One deployment of an ECS service as DescribeServices lists it; `revision` is a task definition's ARN."""

    id: str
    status: str
    rollout_state: str
    revision: str
    desired: int = 0
    running: int = 0
    reason: str = ""
    created_at: datetime | None = None
    failed: int = 0
    """How many of its tasks failed consecutively."""
    pending: int = 0
    ended_at: datetime | None = None
    """When ECS reported it complete; None if it has not, or if the time is unknown."""
    is_born: bool = False
    """A service's very first deployment, COMPLETED from the start though nothing runs yet: an emulator's."""

    @property
    def is_complete(self) -> bool:
        """Return whether ECS reports it complete, however many of its tasks run."""
        return self.rollout_state == "COMPLETED" and not self.is_born


class Revision(Struct, frozen=True):
    """One registered task definition; `record` holds our tags on it, without their prefix."""

    arn: str
    record: Mapping[str, str] = field(default_factory=dict)
    registered_at: datetime | None = None
    definition: Definition = field(default_factory=dict)


def primary_of(deployments: Iterable[Deployment]) -> Deployment | None:
    """Return the PRIMARY deployment, which ECS works towards; None if there is none."""
    return next((each for each in deployments if each.status == "PRIMARY"), None)


class Live(Struct, frozen=True):
    """One target as observed. `complaint` says why it could not be observed; `digests` is empty if no task was read.

    `error_code` is AWS's code, if AWS answered with an error when the role was assumed, or the service, its
    definition or tasks were read.

    `failure` says why the last rollout failed, if it failed and no later one began; `took_s` is how long the last
    completed one took, None if unknown.
    """

    target: Target
    exists: bool = False
    complaint: Complaint | None = None
    error_code: str = ""
    controller: str = "ECS"
    desired: int = 0
    running: int = 0
    deployments: tuple[Deployment, ...] = ()
    definition: Definition | None = None
    revision_tags: Mapping[str, str] = field(default_factory=dict)
    service_tags: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Image → the digests that its tasks run of it."""
    failure: str = ""
    arn: str = ""
    took_s: float | None = None
    restarted: bool = False
    """ECS reports that it started tasks after the last rollout ended: some may have died."""
    service: Mapping[str, Any] = field(default_factory=dict)
    """What DescribeServices reports for the keys of a CreateService request."""
    crashing: str = ""
    """How the PRIMARY deployment's tasks keep dying since it completed; empty if they don't, or it was not checked."""
    schedule: Schedule | None = None
    """What starts the job; None for a service, and for a job that nothing starts by itself."""
    newest: Revision | None = None
    """The newest ACTIVE revision of its family; None if there is none, or if it was not or may not be read."""

    @property
    def primary(self) -> Deployment | None:
        """Return the deployment that ECS works towards, None if the service does not exist."""
        return primary_of(self.deployments)
