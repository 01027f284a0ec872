"""The AWS operations that this package calls, one row each.

Derived from it: the IAM policies (`rights.py`, docs/rights.md), the models of clients (`botocore_session.py`), rate
limits, timeouts and retries, and which members an answer must have. An operation without a row can't be called.
"""

from typing import Any, Literal

from msgspec import Struct

from deploytasks.errors import Unlisted

Role = Literal["caller", "registry", "tenant"]
"""Whose right it is: the registry's role, each tenant's role, or the caller that assumes them: CI or a person."""
Use = Literal["assume", "read", "check", "change", "bootstrap", "notify"]
"""What a right is for. `read` is enough to look; without `check` a plan says "not checked"; `bootstrap` is for once."""
Resource = Literal[
    "any",
    "log group",
    "named parameter",
    "named role",
    "named secret",
    "own parameter",
    "repository",
    "role",
    "rule",
    "rule role",
    "schedule",
    "schedule role",
    "service",
    "service deployment",
    "service revision",
    "tagged",
    "task",
    "task definition",
    "webhook key",
    "webhook parameter",
    "webhook secret",
]
"""What a right is about. A `role` is assumed; task definitions name the `named` ones; an `own parameter` is a lock.

A `schedule role` is what a job's schedule runs tasks as, a `rule role` what its rule's target does. Of ECS, what its
service authorization reference names for the operation: what is `tagged` are services, tasks and task definitions.
"""
Repeat = Literal["same", "refused"]
"""What AWS does with the second of two equal calls: the same as with one, or it refuses that one.

If it refuses, the code takes the refusal for success, or looks up what the call did whose answer was lost.
"""


class Right(Struct, frozen=True):
    """A statement of an IAM policy: it allows operations on one kind of resource.

    `passed_to` is the one service that a role may be passed to.
    """

    role: Role
    use: Use
    resource: Resource = "any"
    passed_to: str = ""


class Rate(Struct, frozen=True):
    """The limit of a group of operations: a burst of calls, and a refill rate per second."""

    group: str
    burst: float
    refill_per_s: float


class Operation(Struct, frozen=True):
    """An operation by the names of botocore's service model; `right` is None if AWS asks for none.

    `answers` are the members that its answer must have. `once` is the member of a request with which the call is not
    repeated if its answer is lost, because AWS would do it twice. `slow` marks a read that may take as long as a write.
    """

    service: str
    name: str
    right: Right | None
    answers: tuple[str, ...] = ()
    writes: bool = False
    repeat: Repeat = "same"
    once: str = ""
    rate: Rate | None = None
    slow: bool = False

    @property
    def action(self) -> str:
        """Return the name of its right in IAM policies."""
        return f"{self.service}:{self.name}"


_ASSUMED = Right("caller", "assume", "role")
_IMAGES_READ = Right("registry", "read", "repository")
_IMAGES_CHANGED = Right("registry", "change", "repository")
_REPOSITORIES_MADE = Right("registry", "bootstrap", "repository")
_RECORDS_READ = Right("registry", "read", "own parameter")
_RECORDS_CHANGED = Right("registry", "change", "own parameter")
_TENANT_READ = Right("tenant", "read")
_SERVICES_SEEN = Right("tenant", "read", "service")
_SERVICES_MADE = Right("tenant", "change", "service")
_DEPLOYMENTS_STEERED = Right("tenant", "change", "service deployment")
_TASKS_SEEN = Right("tenant", "read", "task")
_DEFINITIONS_USED = Right("tenant", "change", "task definition")
_LOGS_READ = Right("tenant", "read", "log group")
_RULES_READ = Right("tenant", "read", "rule")
_SCHEDULES_CHANGED = Right("tenant", "change", "schedule")

# Source: "Request throttling for the Amazon ECS API" in ECS's documentation; service quotas of ECR and Systems Manager;
# for rules "CloudWatch Events Limits". EventBridge Scheduler allows 250 calls and more a second, so it has no row.
_DEFINITIONS_CHANGED = Rate("definitions changed", 20, 1)
_DEFINITIONS_READ = Rate("definitions read", 50, 20)
_SERVICES_CHANGED = Rate("services changed", 50, 5)
_SERVICES_READ = Rate("services read", 100, 20)
_DEPLOYMENTS_READ = Rate("deployments read", 50, 20)
_TASKS_READ = Rate("tasks read", 100, 20)
_TASKS_CHANGED = Rate("tasks changed", 100, 40)
_TAGS = Rate("tags", 20, 10)
_IMAGES = Rate("images", 10, 10)
_PARAMETERS_READ = Rate("parameters read", 40, 40)
_RULES = Rate("rules", 50, 50)

_ROWS = (
    Operation("ecr", "BatchGetImage", _IMAGES_READ, ("images",)),
    Operation("ecr", "CreateRepository", _REPOSITORIES_MADE, writes=True, repeat="refused"),
    Operation("ecr", "DescribeImages", _IMAGES_READ, ("imageDetails",)),
    Operation("ecr", "DescribeRepositories", _IMAGES_READ, ("repositories",)),
    Operation("ecr", "GetAuthorizationToken", Right("registry", "change"), ("authorizationData",)),
    Operation("ecr", "GetDownloadUrlForLayer", _IMAGES_CHANGED, ("downloadUrl",)),
    Operation("ecr", "GetRepositoryPolicy", _IMAGES_READ, ("policyText",)),
    Operation("ecr", "ListTagsForResource", Right("registry", "check", "repository"), ("tags",)),
    Operation("ecr", "PutImage", _IMAGES_CHANGED, writes=True, repeat="refused", rate=_IMAGES),
    Operation("ecr", "SetRepositoryPolicy", _REPOSITORIES_MADE, writes=True),
    Operation("ecr", "TagResource", _REPOSITORIES_MADE, writes=True),
    Operation("ecs", "ContinueServiceDeployment", _DEPLOYMENTS_STEERED, writes=True, repeat="refused"),
    Operation(
        "ecs", "CreateService", _SERVICES_MADE, ("service",), writes=True, repeat="refused", rate=_SERVICES_CHANGED
    ),
    Operation(
        "ecs",
        "DescribeServiceDeployments",
        Right("tenant", "read", "service deployment"),
        ("serviceDeployments",),
        rate=_DEPLOYMENTS_READ,
    ),
    Operation(
        "ecs",
        "DescribeServiceRevisions",
        Right("tenant", "read", "service revision"),
        ("serviceRevisions",),
        rate=_DEPLOYMENTS_READ,
    ),
    Operation("ecs", "DescribeServices", _SERVICES_SEEN, ("services",), rate=_SERVICES_READ),
    Operation("ecs", "DescribeTaskDefinition", _TENANT_READ, ("taskDefinition",), rate=_DEFINITIONS_READ),
    Operation("ecs", "DescribeTasks", _TASKS_SEEN, ("tasks",), rate=_TASKS_READ),
    Operation("ecs", "ListServiceDeployments", _SERVICES_SEEN, ("serviceDeployments",), rate=_DEPLOYMENTS_READ),
    Operation("ecs", "ListTaskDefinitions", _TENANT_READ, ("taskDefinitionArns",), rate=_DEFINITIONS_READ),
    Operation("ecs", "ListTasks", _TENANT_READ, ("taskArns",), rate=_TASKS_READ),
    Operation(
        "ecs", "RegisterTaskDefinition", _DEFINITIONS_USED, ("taskDefinition",), writes=True, rate=_DEFINITIONS_CHANGED
    ),
    Operation("ecs", "RunTask", _DEFINITIONS_USED, ("tasks",), writes=True, rate=_TASKS_CHANGED),
    Operation("ecs", "StopServiceDeployment", _DEPLOYMENTS_STEERED, writes=True, repeat="refused"),
    Operation("ecs", "StopTask", Right("tenant", "change", "task"), writes=True, rate=_TASKS_CHANGED),
    Operation("ecs", "TagResource", Right("tenant", "change", "tagged"), writes=True, rate=_TAGS),
    Operation(
        "ecs",
        "UpdateService",
        _SERVICES_MADE,
        ("service",),
        writes=True,
        once="forceNewDeployment",
        rate=_SERVICES_CHANGED,
    ),
    Operation("events", "DescribeRule", _RULES_READ, ("Name", "State"), rate=_RULES),
    Operation("events", "ListTargetsByRule", _RULES_READ, ("Targets",), rate=_RULES),
    Operation(
        "events", "PutTargets", Right("tenant", "change", "rule"), ("FailedEntryCount",), writes=True, rate=_RULES
    ),
    Operation("iam", "GetRole", Right("tenant", "check", "named role"), ("Role",)),
    Operation("logs", "FilterLogEvents", _LOGS_READ, ("events",), slow=True),
    Operation("logs", "GetLogEvents", _LOGS_READ, ("events",), slow=True),
    Operation("scheduler", "CreateSchedule", _SCHEDULES_CHANGED, ("ScheduleArn",), writes=True),
    Operation(
        "scheduler",
        "GetSchedule",
        Right("tenant", "read", "schedule"),
        ("Name", "ScheduleExpression", "Target", "FlexibleTimeWindow"),
    ),
    Operation("scheduler", "UpdateSchedule", _SCHEDULES_CHANGED, ("ScheduleArn",), writes=True),
    Operation("secretsmanager", "DescribeSecret", Right("tenant", "check", "named secret"), ("Name",)),
    Operation("secretsmanager", "GetSecretValue", Right("registry", "notify", "webhook secret"), ("Name",)),
    Operation("ssm", "DeleteParameter", _RECORDS_CHANGED, writes=True, repeat="refused"),
    Operation("ssm", "GetParameter", _RECORDS_READ, ("Parameter",)),
    Operation(
        "ssm",
        "GetParameters",
        Right("tenant", "check", "named parameter"),
        ("InvalidParameters",),
        rate=_PARAMETERS_READ,
    ),
    Operation("ssm", "GetParametersByPath", _RECORDS_READ, ("Parameters",)),
    Operation("ssm", "PutParameter", _RECORDS_CHANGED, writes=True, repeat="refused"),
    Operation("sts", "AssumeRole", _ASSUMED, ("Credentials", "AssumedRoleUser")),
    Operation("sts", "AssumeRoleWithWebIdentity", None, ("Credentials",)),  # botocore's own, of a profile or CI's token
    Operation("sts", "GetCallerIdentity", None, ("Account",)),
)

OPERATIONS: dict[tuple[str, str], Operation] = {(row.service, row.name): row for row in _ROWS}
"""The rows by service and name."""


def of_model(model: Any) -> Operation | None:
    """Return the row of botocore's model of an operation; None if it has none, as what botocore itself calls."""
    return OPERATIONS.get((model.service_model.service_name, model.name))


def answers_of(name: str) -> tuple[str, ...]:
    """Return the members that the answer must have; botocore's parsers know no service, only the operation's name."""
    return next((row.answers for row in OPERATIONS.values() if row.name == name), ())


class ListedOnly:
    """A base of every client's class: it says of an operation without a row where to add one."""

    def __getattr__(self, name: str) -> Any:
        raise _unlisted(f"{type(self).__name__}.{name}")

    def can_paginate(self, name: str) -> bool:
        """Return whether the operation's answers come in pages."""
        try:
            return bool(super().can_paginate(name))  # type: ignore[misc]  # botocore's own, which follows in the MRO
        except KeyError:
            raise _unlisted(f"{type(self).__name__}.{name}") from None


def guard(client: Any) -> None:
    """Refuse the calls of operations without a row by a client whose model is whole."""
    client.meta.events.register("before-parameter-build", _refuse)


def _refuse(*, model: Any, **_: Any) -> None:
    if of_model(model) is None:
        raise _unlisted(f"{model.service_model.service_id}.{model.name}")


def _unlisted(call: str) -> Unlisted:
    return Unlisted(f"{call} is not listed: add its row to deploytasks/aws/operations.py")
