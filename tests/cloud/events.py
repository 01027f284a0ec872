"""EventBridge: rules of the default event bus, each region's by themselves, and their targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.accounts import REGION, Account, Answer, Ask, AwsError, Operation

_MOST_TARGETS = 5


@dataclass(slots=True)
class Rule:
    """A rule, its targets by their ids, and those ids whose next replacement fails."""

    name: str
    expression: str = ""
    is_enabled: bool = True
    managed_by: str = ""
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)


def add_rule(account: Account, rule: Rule, *targets: dict[str, Any], region: str = REGION) -> Rule:
    """The rule is there, with these targets."""
    rule.targets |= {target["Id"]: target for target in targets}
    account.rules[region, rule.name] = rule
    return rule


def describe_rule(account: Account, ask: Ask) -> Answer:
    """Source: DescribeRule."""
    rule = _rule(account, ask["Name"])
    told = {"ScheduleExpression": rule.expression, "ManagedBy": rule.managed_by}
    return {
        "Name": rule.name,
        "Arn": f"arn:aws:events:{account.asked_in}:{account.id}:rule/{rule.name}",
        "State": "ENABLED" if rule.is_enabled else "DISABLED",
        "EventBusName": "default",
        **{name: value for name, value in told.items() if value},
    }


def list_targets_by_rule(account: Account, ask: Ask) -> Answer:
    """Source: ListTargetsByRule: 100 a page at most, and a NextToken if there is more."""
    listed = list(_rule(account, ask["Rule"]).targets.values())
    limit = int(ask.get("Limit", 100))
    if not 1 <= limit <= 100:  # Source: botocore's model, Limit
        raise AwsError("ValidationException", "1 validation error detected: Value at 'limit'")
    start = int(ask.get("NextToken", 0))
    more = {"NextToken": str(start + limit)} if start + limit < len(listed) else {}
    return {"Targets": listed[start : start + limit], **more}


def put_targets(account: Account, ask: Ask) -> Answer:
    """Source: PutTargets: a target replaces that of its id; five a rule; an entry may fail though the call does not.

    Source for managed rules: botocore's documentation of ManagedRuleException.
    """
    rule, entries = _rule(account, ask["Rule"]), []
    if rule.managed_by:
        raise AwsError("ManagedRuleException", f"Rule {rule.name} is managed by {rule.managed_by}.")
    if len({*rule.targets, *(target["Id"] for target in ask["Targets"])}) > _MOST_TARGETS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    for target in ask["Targets"]:
        if target["Id"] in rule.failing:
            message = "Too many requests were made at the same time."  # the words are a guess
            code = "ConcurrentModificationException"
            entries.append({"TargetId": target["Id"], "ErrorCode": code, "ErrorMessage": message})
        else:
            rule.targets[target["Id"]] = dict(target)
    return {"FailedEntryCount": len(entries), "FailedEntries": entries}


def _rule(account: Account, name: str) -> Rule:
    """Source: turbot/steampipe-plugin-aws#1591, for the words."""
    rule: Rule | None = account.rules.get((account.asked_in, name))
    if rule is None:
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus default.")
    return rule


OPERATIONS: Mapping[str, Operation] = {
    "DescribeRule": describe_rule,
    "ListTargetsByRule": list_targets_by_rule,
    "PutTargets": put_targets,
}
