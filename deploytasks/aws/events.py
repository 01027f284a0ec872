"""EventBridge rules whose targets run jobs: their state, and their targets. Rules are never created.

Every function takes a client of the target's account, and `where`, the target as messages name it.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError, Complaint


class Rule(Struct, frozen=True):
    """A rule of the default event bus; `expression` is empty if it is triggered by events alone."""

    name: str
    is_enabled: bool
    expression: str = ""


def describe_rule(client: Any, where: str, name: str) -> Rule | None:
    """Return the rule; None if there is none of that name.

    Source: events DescribeRule.

    """
    with translated(where):
        try:
            told = client.describe_rule(Name=name)
        except client.exceptions.ResourceNotFoundException:
            return None
        return Rule(name, told["State"] != "DISABLED", told.get("ScheduleExpression", ""))


def rule_targets(client: Any, where: str, rule: str) -> tuple[Mapping[str, Any], ...]:
    """Return all targets of a rule.

    Raises:
        AwsError: among others, there is no such rule.

    Source: events ListTargetsByRule.

    """
    with translated(where):
        pages = client.get_paginator("list_targets_by_rule").paginate(Rule=rule)
        return tuple(target for page in pages for target in page["Targets"])


def put_target(client: Any, where: str, rule: str, target: Mapping[str, Any]) -> None:
    """Replace the rule's target of the same id by this one, which names all that is to stay.

    Raises:
        AwsError: among others, the answer lists the target as failed.

    Source: events PutTargets, whose answer may be a success and its FailedEntryCount not zero.

    """
    with translated(where):
        answer = client.put_targets(Rule=rule, Targets=[target])
        if not answer["FailedEntryCount"]:
            return
    entry = next(iter(answer.get("FailedEntries") or [{}]))
    code, message = entry.get("ErrorCode", ""), entry.get("ErrorMessage", "no reason given")
    complaint = Complaint(
        where, f"PutTargets: {code}: {message}", "the target is as it was; run the same command again"
    )
    raise AwsError(complaint, error_code=code, operation="PutTargets")
