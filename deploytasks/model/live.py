"""What runs, as AWS tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from deploytasks.errors import Complaint
from deploytasks.model.project import Target

Evidence = Literal["seen", "recorded", "defined"]
"""How a digest is known: seen on tasks, recorded in our tags, or pinned in the definition that runs."""

Reading = Literal["none", "vague", "unpinned", "all"]
"""Of which targets the tasks are read too: where nothing else tells the image, where no digest is pinned, or all."""

Definition = Mapping[str, Any]
"""A RegisterTaskDefinition request, or a task definition as ECS describes it; camelCase, as AWS writes it."""
IDENTIFYING = ("name", "key", "containerName", "sourceContainer", "containerPath", "containerPort", "namespace", "type")
"""Which member of an object of a definition tells it from the others of its list."""


@dataclass(frozen=True, slots=True)
class Deployment:
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
    """So many of its tasks failed one after the other."""
    pending: int = 0
    ended_at: datetime | None = None
    """When ECS called it complete; None where it has not, or nothing tells."""
    is_born: bool = False
    """A service's very first deployment, COMPLETED from the start, of which nothing runs yet: an emulator's."""

    @property
    def is_complete(self) -> bool:
        """Whether ECS calls it complete, however many of its tasks run."""
        return self.rollout_state == "COMPLETED" and not self.is_born


@dataclass(frozen=True, slots=True)
class Revision:
    """One registered task definition; `record` is what our tags on it say, without their prefix."""

    arn: str
    record: Mapping[str, str] = field(default_factory=dict)
    registered_at: datetime | None = None
    definition: Definition = field(default_factory=dict)


def primary_of(deployments: Iterable[Deployment]) -> Deployment | None:
    """The deployment that ECS works towards, None where there is none."""
    return next((each for each in deployments if each.status == "PRIMARY"), None)


@dataclass(frozen=True, slots=True)
class Live:
    """One target as observed. `complaint` says why it could not be; `digests` is empty where no task was read.

    `error_code` is AWS's, where it was AWS that answered with an error when its service was looked at.

    `failure` says why the last rollout was given up, if it was and no later one began; `took_s` how long the last
    completed one took, None where nothing tells.
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
    digests: tuple[str, ...] = ()
    failure: str = ""
    arn: str = ""
    took_s: float | None = None
    restarted: bool = False
    """ECS tells of tasks that it started since the last rollout ended: some may have died."""
    service: Mapping[str, Any] = field(default_factory=dict)
    """What DescribeServices tells of the keys that a CreateService request has."""
    crashing: str = ""
    """How tasks of the PRIMARY deployment keep dying since it completed; empty where they don't, or nobody looked."""

    @property
    def primary(self) -> Deployment | None:
        """The deployment that ECS works towards, None where the service is not there."""
        return primary_of(self.deployments)
