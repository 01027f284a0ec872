"""Registered revisions of a family: which there are, and what our tags on each record.

Every function takes an ECS client of the target's account.
"""

from collections.abc import Iterator
from typing import Any

from deploytasks.aws import audit
from deploytasks.aws.failures import translated
from deploytasks.model import Revision, Target


def arns(client: Any, target: Target, *, at_once: int = 100, status: str = "ACTIVE") -> Iterator[str]:
    """The ARNs of the target's usable revisions, newest first, read so many a call as far as they are taken.

    With `status` "INACTIVE" those that were deregistered.

    Raises:
        AwsError: AWS said no.

    Source: ecs ListTaskDefinitions, whose `familyPrefix` is the family's whole name.

    """
    pages = client.get_paginator("list_task_definitions").paginate(
        familyPrefix=target.family, status=status, sort="DESC", PaginationConfig={"PageSize": at_once}
    )
    with translated(str(target)):
        for page in pages:
            yield from (arn for arn in page["taskDefinitionArns"] if _family(arn) == target.family)


def described(client: Any, target: Target, arn: str) -> Revision:
    """One revision with what our tags on it record.

    Raises:
        AwsError: AWS said no.

    Source: ecs DescribeTaskDefinition.

    """
    with translated(str(target)):
        answer = client.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    tags, definition = answer.get("tags", []), answer["taskDefinition"]
    return Revision(arn, audit.from_ecs(tags), definition.get("registeredAt"), {**definition, "tags": tags})


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].rpartition(":")[0]
