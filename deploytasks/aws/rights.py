"""The IAM policies that allow what this package does, derived from the operations that it calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploytasks.aws import operations, parameters
from deploytasks.aws.iam import EVENTS, SCHEDULER
from deploytasks.aws.operations import Resource, Right, Role, Use
from deploytasks.aws.secrets import ECS_TASKS
from deploytasks.regions import partition_name

_PUSHED = Right("registry", "change", "repository")
BESIDES = (
    (_PUSHED, "ecr:BatchCheckLayerAvailability"),
    (_PUSHED, "ecr:CompleteLayerUpload"),
    (_PUSHED, "ecr:InitiateLayerUpload"),
    (_PUSHED, "ecr:UploadLayerPart"),
    (Right("registry", "notify", "webhook parameter"), "ssm:GetParameter"),
    (Right("registry", "notify", "webhook key"), "kms:Decrypt"),
    (Right("tenant", "change", "named role", passed_to=ECS_TASKS), "iam:PassRole"),
    (Right("tenant", "change", "schedule role", passed_to=SCHEDULER), "iam:PassRole"),
    (Right("tenant", "change", "schedule role", passed_to=EVENTS), "iam:PassRole"),
)
"""The actions without a row in the table of operations: those of a push, and those that AWS asks for besides."""


def needed() -> dict[Right, tuple[str, ...]]:
    """Return the actions of each right, sorted."""
    found: dict[Right, list[str]] = {}
    for right, action in (*((row.right, row.action) for row in operations.OPERATIONS.values()), *BESIDES):
        if right:
            found.setdefault(right, []).append(action)
    return {right: tuple(sorted(actions)) for right, actions in found.items()}


def statements(role: Role, use: Use, arns: Mapping[Resource, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the statements, in IAM's JSON, that give the role its rights for one use; `arns` names the resources."""
    return [
        _statement(right, actions, arns[right.resource])
        for right, actions in needed().items()
        if (right.role, right.use) == (role, use)
    ]


def own_arns(project: str, account: str, region: str) -> dict[Resource, Sequence[str]]:
    """Return the ARNs of the resources that follow from the project and its registry, in the region's partition."""
    begin = f"arn:{partition_name(region)}"
    return {
        "any": ["*"],
        "repository": [f"{begin}:ecr:{region}:{account}:repository/*"],
        "own parameter": [f"{begin}:ssm:{region}:{account}:parameter{parameters.folder(project, '*')}"],
    }


def _statement(right: Right, actions: Sequence[str], arns: Sequence[str]) -> dict[str, Any]:
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": right.passed_to}}} if right.passed_to else {}
    return {"Effect": "Allow", "Action": [*actions], "Resource": [*arns], **condition}
