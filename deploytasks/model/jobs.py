"""What starts jobs: what their schedules are to be, and what AWS has."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

DEFAULT_GROUP = "default"
"""The group of a schedule that names none."""


LONGEST_SCHEDULE_NAME = 64
"""The most characters of a schedule's name. Source: botocore's model of Scheduler, Name."""


class JobSchedule(Struct, frozen=True):
    """What a job's schedule is made of. `template` is the object that its template renders; None without one.

    `family` is the job's, `cluster` a name or ARN, `revision` the ARN of the definition to run. `expression` and `role`
    are the settings, empty if they are not set. `ecs` are the EcsParameters of a job without a template.
    """

    family: str
    cluster: str
    revision: str
    expression: str = ""
    role: str = ""
    template: Mapping[str, Any] | None = None
    ecs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named(self) -> Mapping[str, Any]:
        """Return the keys that the template names."""
        return self.template or {}

    @property
    def name(self) -> str:
        """Return the schedule's name: the family's, unless the template names another."""
        return str(self.named.get("Name", self.family))

    @property
    def group(self) -> str:
        """Return the group that the schedule is in."""
        return str(self.named.get("GroupName", DEFAULT_GROUP))


class Schedule(Struct, frozen=True):
    """What starts a job, as AWS has it: its schedule, or with `is_rule` the target of a rule.

    `told` is the UpdateSchedule request that would repeat the schedule, or the rule's whole target. `name` is the
    schedule's or the rule's, `expression` is empty for a rule that events trigger.
    """

    name: str
    expression: str
    is_enabled: bool
    told: Mapping[str, Any]
    is_rule: bool = False


class LastRun(Struct, frozen=True):
    """How the last run of a job that ECS still knows ended; `exit_code` is None if its container never exited."""

    at: datetime | None
    exit_code: int | None
    reason: str = ""


class JobStand(Struct, frozen=True):
    """A job on the board: what starts it, "" for nothing; whether that is enabled; how its last run ended, if known."""

    starts: str
    is_enabled: bool = True
    last: LastRun | None = None
