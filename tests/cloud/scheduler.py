"""EventBridge Scheduler: schedules in groups, each region's by themselves.

Nothing is ever started by them.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation
from tests.cloud.iam import trusts

_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
_TASKS = range(1, 11)
_NUMBERS, _NAMED = r"[\d,*/-]+", r"[A-Za-z\d,*/-]+"
_DAYS = rf"(?:\?\s+{_NAMED}\s+[A-Za-z\d,*#L-]+|[\d,*/LW-]+\s+{_NAMED}\s+\?)"
_EXPRESSION = re.compile(
    r"rate\(0*[1-9]\d*\s+(?:minute|hour|day)s?\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
    rf"|cron\(\s*{_NUMBERS}\s+{_NUMBERS}\s+{_DAYS}\s+{_NUMBERS}\s*\)"
)
"""The forms of expressions; their numbers are not compared with the fields' bounds. Source: "Schedule types"."""
_DEFAULTS: Mapping[str, Any] = {
    "State": "ENABLED",
    "ScheduleExpressionTimezone": "UTC",
    "ActionAfterCompletion": "NONE",
}
_RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
"""Source: Scheduler's user guide, "Retry policy"; moto shows it of a schedule that names none."""


def create_schedule(account: Account, ask: Ask) -> Answer:
    """Source: CreateSchedule: a request repeated with its ClientToken does no more; names: getmoto/moto#6624."""
    key, token = _key(account, ask), (account.asked_in, ask.get("ClientToken", ""))
    _check(account, ask)
    if account.scheduler_tokens.get(token) != ask:
        if key in account.schedules:
            raise AwsError("ConflictException", f"Schedule {ask['Name']} already exists.", 409)
        _keep(account, ask, created=account.cloud.clock())
    account.scheduler_tokens[token] = ask
    return {"ScheduleArn": account.schedules[key]["Arn"]}


def update_schedule(account: Account, ask: Ask) -> Answer:
    """Source: UpdateSchedule: it uses all values of the request; what is left out is set to its default."""
    held = _schedule(account, ask)
    _check(account, ask)
    _keep(account, ask, created=held["CreationDate"])
    return {"ScheduleArn": held["Arn"]}


def get_schedule(account: Account, ask: Ask) -> Answer:
    """Source: GetSchedule."""
    return dict(_schedule(account, ask))


def _key(account: Account, ask: Ask) -> tuple[str, str, str]:
    """Source: CreateSchedule; the words as moto has them."""
    group = ask.get("GroupName", "default")
    if group != "default" and (account.asked_in, group) not in account.schedule_groups:
        raise AwsError("ResourceNotFoundException", f"Schedule group {group} does not exist.", 404)
    return account.asked_in, group, ask["Name"]


def _schedule(account: Account, ask: Ask) -> dict[str, Any]:
    """Source: aws/aws-sdk-js-v3#5720, for the words."""
    key = _key(account, ask)
    if key not in account.schedules:
        raise AwsError("ResourceNotFoundException", f"Schedule {ask['Name']} does not exist.", 404)
    return account.schedules[key]


def _keep(account: Account, ask: Ask, created: float) -> None:
    region, group, name = key = _key(account, ask)
    given = {name: value for name, value in ask.items() if name != "ClientToken"}
    account.schedules[key] = {
        **_DEFAULTS,
        **json.loads(json.dumps(given)),
        "Arn": f"arn:aws:scheduler:{region}:{account.id}:schedule/{group}/{name}",
        "GroupName": group,
        "Target": {"RetryPolicy": _RETRIES, **ask["Target"]},
        "CreationDate": created,
        "LastModificationDate": account.cloud.clock(),
    }


def _check(account: Account, ask: Ask) -> None:
    """Source: botocore's model, where no other is named; a user's report of AWS's words."""
    target = ask["Target"]
    if not _NAME.fullmatch(ask["Name"]):
        raise _invalid("1 validation error detected: Value at 'name' failed to satisfy constraint")
    if not _EXPRESSION.fullmatch(ask["ScheduleExpression"]):  # localstack/localstack#9284
        raise _invalid(f"Invalid Schedule Expression {ask['ScheduleExpression']}.")
    if not _is_zone(ask.get("ScheduleExpressionTimezone", "UTC")):  # the words are a guess
        raise _invalid(f"Invalid Schedule Expression Timezone {ask['ScheduleExpressionTimezone']}.")
    if ask["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE" and "MaximumWindowInMinutes" not in ask["FlexibleTimeWindow"]:
        raise _invalid("MaximumWindowInMinutes is required in mode FLEXIBLE.")  # the words are a guess
    if target["Arn"].split(":")[2:3] == ["scheduler"]:  # boto/boto3#3558
        raise _invalid("scheduler is not a supported service for a target.")
    if target.get("EcsParameters", {}).get("TaskCount", 1) not in _TASKS:
        raise _invalid("1 validation error detected: Value at 'target.ecsParameters.taskCount'")
    if not trusts(account, target["RoleArn"], "scheduler.amazonaws.com"):  # aws/aws-sdk-js-v3#6494
        raise _invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (OSError, ValueError):
        return False
    except KeyError:  # ZoneInfoNotFoundError
        return False


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


OPERATIONS: Mapping[str, Operation] = {
    "CreateSchedule": create_schedule,
    "GetSchedule": get_schedule,
    "UpdateSchedule": update_schedule,
}
