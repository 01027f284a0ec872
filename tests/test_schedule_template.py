"""A job's templates, checked offline: what AWS would refuse of a schedule, and what is not for jobs."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Access, Environment, JobSchedule, Origin, Target
from deploytasks.template import schedule
from deploytasks.template.schedule import (
    definition_problems,
    placeholder_revision,
    schedule_problems,
    unchecked,
    without_template,
)
from deploytasks.template.shape import Problem, dotted, request_shape

REGION, ACCOUNT = "eu-central-1", "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/schedule"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/mb-prod"
ROLES = request_shape("CreateSchedule", "scheduler").members["Target"].members["RoleArn"].metadata["pattern"]
NAMES = request_shape("CreateSchedule", "scheduler").members["Name"].metadata["pattern"]
VPC = "Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration"


def target(family: str = "shop-mb-prod-nightly", region: str = REGION) -> Target:
    images = {"app": "registry.example/shop/app"}
    return Target(Environment("mb", "prod"), "nightly", images, Access(ACCOUNT, region), "mb-prod", "", family)


def job(template: Any = None, **members: Any) -> JobSchedule:
    settings: dict[str, Any] = {"expression": "cron(0 3 * * ? *)", "role": ROLE}
    revision = placeholder_revision(target())
    return JobSchedule("shop-mb-prod-nightly", "mb-prod", revision, template=template, **(settings | members))


def ecs(**members: Any) -> dict[str, Any]:
    return {"Target": {"EcsParameters": members}}


def network(**members: Any) -> dict[str, Any]:
    return {"NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-1"], **members}}}


def overrides(*containers: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"Target": {"Input": json.dumps({"containerOverrides": list(containers), **members})}}


TAKEN: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"Name": "n" * 64, "GroupName": "nightly", "State": "DISABLED", "Description": ""},
    {"ScheduleExpression": "rate(1 day)", "ScheduleExpressionTimezone": "Europe/Berlin"},
    {"FlexibleTimeWindow": {"Mode": "OFF"}},
    {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}},
    {"Target": {"Arn": CLUSTER, "RoleArn": ROLE, "RetryPolicy": {"MaximumRetryAttempts": 0}}},
    {"StartDate": "2027-01-01T00:00:00Z", "EndDate": "2027-01-02T00:00:00"},
    {"StartDate": 1800000000, "EndDate": "2027-01-02"},
    ecs(TaskCount=10, LaunchType="FARGATE", **network(AssignPublicIp="ENABLED")),
    ecs(CapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}], **network(AssignPublicIp="ENABLED")),
    overrides({"name": "nightly", "command": ["report"]}, cpu="512"),
)

REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"Target": []}, "Target", "a list where an object is due"),
    ({"Target": {"EcsParameters": "x"}}, "Target.EcsParameters", '"x" where an object is due'),
    ({"FlexibleTimeWindow": "OFF"}, "FlexibleTimeWindow", '"OFF" where an object is due'),
    (
        {"Target": {"Input": {"containerOverrides": []}}},
        "Target.Input",
        "an object where a string that holds JSON is due",
    ),
    ({"Name": "a b"}, "Name", f"'a b' does not match {NAMES}"),
    ({"Name": 5}, "Name", "5 where a string is due"),
    ({"Name": "n" * 65}, "Name", f"'{'n' * 65}' has 65 characters, and a schedule's name at most 64"),
    ({"GroupName": "a/b"}, "GroupName", f"'a/b' does not match {NAMES}"),
    ({"Arn": "x"}, "Arn", "only EventBridge Scheduler writes this"),
    ({"State": "ON"}, "State", "'ON' is none of its values"),
    ({"Sate": "ENABLED"}, "Sate", "unknown key"),
    ({"desiredCount": 1}, "desiredCount", "is a key of CreateService; a job has no service"),
    ({"containerDefinitions": []}, "containerDefinitions", "is a key of RegisterTaskDefinition"),
    ({"ClientToken": "x"}, "ClientToken", "each call has a token of its own"),
    (
        {"ScheduleExpression": "cron(0 3 * * * *)"},
        "ScheduleExpression",
        "day-of-month '*' and day-of-week '*' are both given, and one of them must be ?",
    ),
    (
        {"ScheduleExpression": "at(2027-01-01T00:00:00)"},
        "ScheduleExpression",
        "'at(2027-01-01T00:00:00)' runs once, and a job's schedule again and again",
    ),
    (
        {"ScheduleExpressionTimezone": "Europe/Berln"},
        "ScheduleExpressionTimezone",
        "there is no time zone 'Europe/Berln'",
    ),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "FlexibleTimeWindow", "the key 'MaximumWindowInMinutes' is missing"),
    (
        {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
        "FlexibleTimeWindow.MaximumWindowInMinutes",
        "only the mode FLEXIBLE has it",
    ),
    ({"StartDate": "tomorrow"}, "StartDate", "'tomorrow' is not a valid time"),
    ({"StartDate": True}, "StartDate", "true where a time is due"),
    ({"StartDate": "2027-01-02T00:00:00Z", "EndDate": "2027-01-01T00:00:00Z"}, "EndDate", "it is not after StartDate"),
    (
        {"Target": {"Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/mb-prod/web"}},
        "Target.Arn",
        "an ECS service can't be started by a schedule",
    ),
    ({"Target": {"Arn": f"{CLUSTER}-2"}}, "Target.Arn", f"'{CLUSTER}-2', but envs/ says '{CLUSTER}'"),
    ({"Target": {"SqsParameters": {"MessageGroupId": "x"}}}, "Target.SqsParameters", "a job's schedule runs ECS tasks"),
    (
        {"Target": {"SageMakerPipelineParameters": {}}},
        "Target.SageMakerPipelineParameters",
        "a job's schedule runs ECS tasks",
    ),
    ({"Target": {"RoleArn": "schedule"}}, "Target.RoleArn", f"'schedule' does not match {ROLES}"),
    (
        {"Target": {"RoleArn": f"arn:aws-cn:iam::{ACCOUNT}:role/schedule"}},
        "Target.RoleArn",
        "an ARN of partition aws-cn, but the target is in eu-central-1, of partition aws",
    ),
    (ecs(TaskDefinitionArn="nightly:1"), "Target.EcsParameters.TaskDefinitionArn", "the revision is set here"),
    (ecs(TaskCount=0), "Target.EcsParameters.TaskCount", "0 where at least 1 is due"),
    (ecs(TaskCount=11), "Target.EcsParameters.TaskCount", "11 where at most 10 is due"),
    (ecs(TaskCount="2"), "Target.EcsParameters.TaskCount", '"2" where a whole number is due'),
    (ecs(launchType="FARGATE"), "Target.EcsParameters.launchType", "unknown key"),
    (ecs(NetworkConfiguration={"awsvpcConfiguration": {}}), VPC, "the key 'Subnets' is missing"),
    (
        ecs(LaunchType="EC2", **network(AssignPublicIp="ENABLED")),
        f"{VPC}.AssignPublicIp",
        "ENABLED is for the launch type FARGATE alone",
    ),
    (
        ecs(LaunchType="FARGATE", CapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}]),
        "Target.EcsParameters.LaunchType",
        "it excludes CapacityProviderStrategy",
    ),
    (
        {"Target": {"Input": "run"}},
        "Target.Input",
        "what it holds is not JSON: Expecting value: line 1 column 1 (char 0)",
    ),
    ({"Target": {"Input": "[]"}}, "Target.Input", "a list where an object is due"),
    ({"Target": {"Input": "{}"}, "State": ""}, "State", "'' is none of its values"),
    (overrides({"name": "nightly", "comand": []}), "Target.Input.containerOverrides[0].comand", "unknown key"),
    (
        overrides({"name": "nihgtly"}),
        "Target.Input.containerOverrides[0]",
        "the job's definition has no container 'nihgtly'",
    ),
    (
        overrides({"command": ["x"]}),
        "Target.Input.containerOverrides[0]",
        "the job's definition has no container 'None'",
    ),
)


@pytest.mark.parametrize("template", TAKEN, ids=str)
def test_what_scheduler_takes_is_let_through(template: dict[str, Any] | None):
    assert list(schedule_problems(job(template), REGION, ["nightly"])) == []


@pytest.mark.parametrize(("template", "path", "what"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_would_refuse_is_told_with_its_place(template: dict[str, Any], path: str, what: str):
    (found,) = schedule_problems(job(template), REGION, ["nightly", "log"])
    assert (dotted(found.path), found.what) == (path, what)


def test_all_that_is_wrong_is_told_at_once():
    template = {"ScheduleExpression": "rate(0 days)", "ScheduleExpressionTimezone": "x", **ecs(TaskDefinitionArn="a")}
    assert [dotted(each.path) for each in schedule_problems(job(template), REGION)] == [
        "Target.EcsParameters.TaskDefinitionArn",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
    ]


def test_what_nobody_names_is_missing():
    found = [each.what for each in schedule_problems(job({}, expression="", role=""), REGION)]
    assert found == ["the key 'ScheduleExpression' is missing", "the key 'RoleArn' is missing"]


def test_without_a_template_the_place_is_the_setting():
    long = job(expression="rate(x days)")
    long = JobSchedule("f" * 65, long.cluster, long.revision, long.expression, long.role)
    there = replace(target(), origins={"schedule_role": Origin("envs/mb.toml", "schedule_role")})
    role = Problem(("Target", "RoleArn"), "c")
    complaints = without_template([*schedule_problems(long, REGION), Problem((), "a", "b"), role], there)
    assert [each.where for each in complaints[:-1]] == ["schedule: mb-prod/nightly"] * 3
    assert str(complaints[-1]) == "envs/mb.toml: schedule_role: mb-prod/nightly: Target.RoleArn: c"
    assert complaints[0].what.startswith("Name: 'ffff") and complaints[1].what.startswith(
        "ScheduleExpression: the value"
    )
    assert complaints[2] == Complaint("schedule: mb-prod/nightly", "a", "b", file="schedule")


def test_without_names_of_containers_none_is_unknown():
    assert list(schedule_problems(job(overrides({"name": "any"})), REGION)) == []


@pytest.mark.parametrize(
    "zone", ["Europe", "posix/UTC", "localtime", "../etc/passwd", "/etc/passwd", "a\0b", "utc+1", "x" * 50]
)
def test_what_is_no_time_zone_is_refused_whatever_file_it_names(zone: str):
    (found,) = schedule_problems(job({"ScheduleExpressionTimezone": zone}), REGION)
    assert found.what == f"there is no time zone '{zone}'"


def test_a_time_zone_is_not_checked_without_a_database_and_that_is_said(monkeypatch: pytest.MonkeyPatch):
    unknown = job({"ScheduleExpressionTimezone": "Mars/Base"})
    assert unchecked(unknown) == ""
    monkeypatch.setattr(schedule, "_is_zone", lambda name: False)
    assert list(schedule_problems(unknown, REGION)) == []
    assert unchecked(unknown) == "time zone Mars/Base: this machine has no tz database"
    assert unchecked(job()) == ""


@pytest.mark.parametrize(("region", "partition"), [(REGION, "aws"), ("cn-north-1", "aws-cn"), ("eu-nowhere-9", "aws")])
def test_a_placeholder_revision_is_of_the_targets_partition(region: str, partition: str):
    expected = f"arn:{partition}:ecs:{region}:{ACCOUNT}:task-definition/shop-mb-prod-nightly:1"
    assert placeholder_revision(target(region=region)) == expected


def test_a_jobs_definition_has_no_key_of_a_service_or_a_schedule():
    container = {"name": "nightly", "image": "x"}
    asked = {"family": "f", "containerDefinitions": [container], "desiredCount": 1, "ScheduleExpression": "rate(1 day)"}
    found = {dotted(each.path): each.what for each in definition_problems({**asked, "serviceName": "x", "odd": 1})}
    assert found == {
        "desiredCount": "is a key of CreateService; a job has no service",
        "serviceName": "is a key of CreateService; a job has no service",
        "ScheduleExpression": "is a key of CreateSchedule",
        "odd": "unknown key",
    }
    assert list(definition_problems({"family": "f", "containerDefinitions": [container]})) == []


def test_keys_that_services_and_definitions_share_are_a_definitions():
    """`tags` and `runtimePlatform`, say; what botocore adds to either later is told apart by itself."""
    both = set(request_shape("CreateService").members) & set(request_shape("RegisterTaskDefinition").members)
    assert "tags" in both
    assert not [each for each in definition_problems(dict.fromkeys(both)) if "CreateService" in each.what]
