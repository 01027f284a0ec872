"""The IAM policies that allow what this package does, derived from the operations that it calls."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    (Right("tenant", "check", "schedule role"), "iam:GetRole"),
    (Right("tenant", "change", "named role", passed_to=ECS_TASKS), "iam:PassRole"),
    (Right("tenant", "change", "schedule role", passed_to=SCHEDULER), "iam:PassRole"),
    (Right("tenant", "change", "rule role", passed_to=EVENTS), "iam:PassRole"),
)
"""The actions without a row in the table of operations: of a push, those that AWS asks for besides, and those of
further resources."""
LONGEST_POLICY, LONGEST_TRUST, MOST_POLICIES = 6_144, 2_048, 10
"""Of a managed policy, a trust policy, and the managed policies of a role. Whitespace does not count.

Source: "IAM and AWS STS quotas" in IAM's user guide; the last two can be raised.
"""
_VERSION = "2012-10-17"


def needed() -> dict[Right, tuple[str, ...]]:
    """Return the actions of each right, sorted."""
    found: dict[Right, list[str]] = {}
    for right, action in (*((row.right, row.action) for row in operations.OPERATIONS.values()), *BESIDES):
        if right:
            found.setdefault(right, []).append(action)
    return {right: tuple(sorted(actions)) for right, actions in found.items()}


def statements(role: Role, use: Use, arns: Mapping[Resource, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the statements, in IAM's JSON, that give the role its rights for one use; `arns` names the resources.

    Leave out kinds of resources of which there are none.
    """
    return [
        _statement(right, actions, arns[right.resource])
        for right, actions in needed().items()
        if (right.role, right.use) == (role, use) and arns.get(right.resource)
    ]


def documents(statements: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return the statements in as few policies, in their order, as IAM's limit on a policy's length allows."""
    found: list[list[Mapping[str, Any]]] = [[]]
    for piece in (piece for statement in statements for piece in _pieces(statement)):
        if found[-1] and length(document([*found[-1], piece])) > LONGEST_POLICY:
            found.append([])
        found[-1].append(piece)
    return tuple(document(each) for each in found if each)


def length(document: Mapping[str, Any]) -> int:
    """Return the length of a policy as IAM counts it."""
    return len(json.dumps(document, separators=(",", ":")))


def _pieces(statement: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the statement; in halves, by its resources, if it alone is longer than a policy may be."""
    resources = statement["Resource"]
    if length(document([statement])) <= LONGEST_POLICY or len(resources) < 2:
        yield statement
        return
    for half in (resources[: len(resources) // 2], resources[len(resources) // 2 :]):
        yield from _pieces({**statement, "Resource": half})


def document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the policy of these statements."""
    return {"Version": _VERSION, "Statement": [*statements]}


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
