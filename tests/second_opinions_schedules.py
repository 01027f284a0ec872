"""The calls about schedules and rules, for tests/test_second_opinion.py."""

from collections.abc import Iterator
from typing import Any

from tests.second_opinions import ACCOUNT, Differs, Row, lenient, same

ROLE = f"arn:aws:iam::{ACCOUNT}:role/task"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/c"
DEFINITION = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/nightly"
DAILY = "cron(0 3 * * ? *)"
RESETS = "[Description, ScheduleExpressionTimezone, FlexibleTimeWindow, Target.RetryPolicy, Target.EcsParameters]"
MODEL = "botocore's model of Scheduler"


def target(**members: Any) -> dict[str, Any]:
    return {"Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": f"{DEFINITION}:1"}, **members}


def asked(name: str = "nightly", **members: Any) -> dict[str, Any]:
    usual = {"ScheduleExpression": DAILY, "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target()}
    return {"Name": name, **usual, **members}


def schedules() -> Iterator[Row]:
    """No group but `default`, and the role `task`."""
    yield same("GetSchedule", Name="nightly")
    yield same("UpdateSchedule", **asked())
    told = {"State": "DISABLED", "Description": "d", "ScheduleExpressionTimezone": "Europe/Berlin"}
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
    whole = target(RetryPolicy={"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60}, Input="{}")
    yield same("CreateSchedule", "ScheduleArn", **asked(**told, FlexibleTimeWindow=window, Target=whole))
    taken = Differs("409 ConflictException", "400 ConflictException", f"{MODEL}: its status is 409")
    yield taken("CreateSchedule", **asked())
    yield same("GetSchedule", "[Arn, Name, GroupName, ScheduleExpression, State, Target]", Name="nightly")
    yield same("GetSchedule", RESETS, Name="nightly", GroupName="default")
    yield same("UpdateSchedule", "ScheduleArn", **asked(ScheduleExpression="rate(1 day)"))
    yield same("GetSchedule", RESETS, Name="nightly")
    enabled = "AWS: UpdateSchedule sets what is left out to its default, and ENABLED is that of State"
    yield Differs("ENABLED", None, enabled)("GetSchedule", "State", Name="nightly")
    completed = "AWS: GetSchedule shows NONE, the default; the API reference of ActionAfterCompletion"
    yield Differs("NONE", None, completed)("GetSchedule", "ActionAfterCompletion", Name="nightly")
    yield same("GetSchedule", Name="nightly", GroupName="no")
    yield same("UpdateSchedule", **asked(GroupName="no"))
    missing = Differs("404 ResourceNotFoundException", "KeyError", f"{MODEL}: ResourceNotFoundException; moto breaks")
    yield missing("CreateSchedule", **asked(GroupName="no"))
    expression = lenient("400 ValidationException", "localstack/localstack#9284")
    for number, wrong in enumerate(("garbage", "cron(0 3 * * *)", "cron(0 3 * * * *)", "rate(0 days)", "rate(1 week)")):
        yield expression("CreateSchedule", **asked(f"e{number}", ScheduleExpression=wrong))
    for number, right in enumerate(
        ("cron(0/5 8-17 ? * MON-FRI *)", "cron(0 0 LW * ? 2027)", "at(2027-01-01T00:00:00)")
    ):
        yield same("CreateSchedule", "ScheduleArn", **asked(f"r{number}", ScheduleExpression=right))
    yield lenient("400 ValidationException", f"{MODEL}: 64 characters")("CreateSchedule", **asked("n" * 65))
    zone = lenient("400 ValidationException", "the user guide: zones of the IANA database")
    yield zone("CreateSchedule", **asked("z", ScheduleExpressionTimezone="Mars/Base"))
    count = lenient("400 ValidationException", f"{MODEL}: 1 to 10")
    yield count(
        "CreateSchedule", **asked("t", Target=target(EcsParameters={"TaskDefinitionArn": "a", "TaskCount": 11}))
    )
    window = lenient("400 ValidationException", "the user guide, flexible time windows")
    yield window("CreateSchedule", **asked("w", FlexibleTimeWindow={"Mode": "FLEXIBLE"}))
    service = lenient("400 ValidationException", "boto/boto3#3558")
    yield service("CreateSchedule", **asked("s", Target=target(Arn="arn:aws:scheduler:us-east-1:1:schedule/a/b")))
    trust = lenient("400 ValidationException", "aws/aws-sdk-js-v3#6494")
    yield trust("CreateSchedule", **asked("a", Target=target(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/no")))
    repeated = Differs("200", "400 ConflictException", "AWS: a request with the same ClientToken is carried out once")
    yield same("CreateSchedule", "ScheduleArn", **asked("once", ClientToken="x"))
    yield repeated("CreateSchedule", **asked("once", ClientToken="x"))


def of_rule(identity: str, **members: Any) -> dict[str, Any]:
    return {
        "Id": identity,
        "Arn": CLUSTER,
        "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": f"{DEFINITION}:1"},
        **members,
    }


def rules() -> Iterator[Row]:
    """The rule `nightly`, disabled and without targets."""
    told = "[Name, Arn, State, ScheduleExpression, EventBusName]"
    yield same("DescribeRule", told, Name="nightly")
    yield same("DescribeRule", Name="no")
    yield same("ListTargetsByRule", "[Targets, NextToken]", Rule="nightly")
    yield same("ListTargetsByRule", Rule="no")
    failed = "[FailedEntryCount, FailedEntries]"
    yield same("PutTargets", failed, Rule="nightly", Targets=[of_rule("a", Input="{}"), of_rule("b")])
    yield same("ListTargetsByRule", "Targets", Rule="nightly")
    yield same("PutTargets", failed, Rule="nightly", Targets=[of_rule("a")])
    yield same("ListTargetsByRule", "Targets", Rule="nightly")
    yield same("ListTargetsByRule", "[Targets[].Id, NextToken != null]", Rule="nightly", Limit=1)
    yield same("PutTargets", Rule="no", Targets=[of_rule("a")])
    five = lenient("400 LimitExceededException", "botocore's documentation of PutTargets: five a rule")
    yield five("PutTargets", Rule="nightly", Targets=[of_rule(each) for each in "cdef"])
    limit = lenient("400 ValidationException", "botocore's model of EventBridge: Limit is at most 100")
    yield limit("ListTargetsByRule", Rule="nightly", Limit=101)
