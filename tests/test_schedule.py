"""Schedules of jobs: what is sent, what differs, whose they are, and which target of a rule is a job's."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from deploytasks.aws import events as aws_events
from deploytasks.aws import scheduler as aws_scheduler
from deploytasks.errors import AwsError, Complaint
from deploytasks.rules.schedule import (
    JobSchedule,
    differing_keys,
    ecs_parameters,
    family_of,
    foreign,
    repointed,
    request,
    revision_of,
    rule_target,
    unstartable,
)
from tests.clients import client

ACCOUNT = "arn:aws:ecs:us-east-1:123456789012"
NIGHTLY = f"{ACCOUNT}:task-definition/shop-prod-nightly"
ROLE = "arn:aws:iam::123456789012:role/schedule"
NETWORK = {"awsvpcConfiguration": {"Subnets": ["s-1", "s-2"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "DISABLED"}}
ECS = {"LaunchType": "FARGATE", "NetworkConfiguration": NETWORK}
WHERE = "prod/nightly"


def job(**members: Any) -> JobSchedule:
    settings: dict[str, Any] = {"expression": "cron(0 3 * * ? *)", "role": ROLE, "ecs": ECS}
    return JobSchedule("shop-prod-nightly", "main-prod", f"{NIGHTLY}:8", **(settings | members))


def live(**members: Any) -> dict[str, Any]:
    """What GetSchedule returns, without its read-only members."""
    target = {
        "Arn": f"{ACCOUNT}:cluster/main-prod",
        "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": f"{NIGHTLY}:7"},
    }
    usual = {
        "Name": "shop-prod-nightly",
        "GroupName": "default",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "Description": "by hand",
        "State": "DISABLED",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "Target": {**target, "RetryPolicy": {"MaximumRetryAttempts": 3}},
    }
    return usual | members


def test_a_schedule_is_created_of_the_settings_alone():
    assert request(job()) == {
        "Name": "shop-prod-nightly",
        "GroupName": "default",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"{ACCOUNT}:cluster/main-prod",
            "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": f"{NIGHTLY}:8", **ECS},
        },
    }


def test_what_a_template_names_wins_and_only_it_says_how_tasks_run():
    named = {
        "Name": "report",
        "GroupName": "nightly",
        "State": "DISABLED",
        "ScheduleExpression": "rate(1 day)",
        "Target": {"EcsParameters": {"TaskCount": 2, "TaskDefinitionArn": f"{NIGHTLY}:1"}},
    }
    asked = job(template=named)
    made = request(asked)
    assert (asked.name, asked.group) == (made["Name"], made["GroupName"]) == ("report", "nightly")
    assert (made["State"], made["ScheduleExpression"]) == ("DISABLED", "rate(1 day)")
    assert made["Target"]["EcsParameters"] == {"TaskCount": 2, "TaskDefinitionArn": f"{NIGHTLY}:8"}
    assert made["Target"]["RoleArn"] == ROLE


def test_without_a_role_or_expression_none_is_filled_in():
    made = request(
        job(role="", expression="", template={"Target": {"RoleArn": "arn:own"}, "ScheduleExpression": "rate(1 day)"})
    )
    assert (made["Target"]["RoleArn"], made["ScheduleExpression"]) == ("arn:own", "rate(1 day)")


def test_a_cluster_may_be_an_arn():
    elsewhere = "arn:aws:ecs:eu-west-1:111111111111:cluster/c"
    assert request(JobSchedule("f", elsewhere, f"{NIGHTLY}:8"))["Target"]["Arn"] == elsewhere


def test_an_update_sends_everything_back_but_what_is_named():
    made = request(job(ecs={}), live())
    expected = live()
    expected["Target"]["EcsParameters"]["TaskDefinitionArn"] = f"{NIGHTLY}:8"
    assert made == expected
    assert differing_keys(made, live()) == ("Target.EcsParameters.TaskDefinitionArn",)


def test_no_empty_list_is_sent_back_since_botocore_takes_none_for_security_groups():
    before = live()
    before["Target"]["EcsParameters"] |= {
        "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s-1"], "SecurityGroups": []}}
    }
    before["Target"]["EcsParameters"] |= {"PlacementStrategy": [], "Tags": []}
    made = request(job(ecs={}), before)["Target"]["EcsParameters"]
    assert made["NetworkConfiguration"] == {"awsvpcConfiguration": {"Subnets": ["s-1"]}}
    assert not {"PlacementStrategy", "Tags"} & set(made)


def test_the_live_schedule_is_not_changed_by_laying_keys_over_it():
    before = live()
    request(job(template={"Target": {"RetryPolicy": {"MaximumRetryAttempts": 0}}}), before)
    assert before == live()


@pytest.mark.parametrize(
    ("named", "ecs", "kept", "dropped"),
    [
        ({}, {"CapacityProviderStrategy": [{"capacityProvider": "SPOT"}]}, "CapacityProviderStrategy", "LaunchType"),
        (
            {"LaunchType": "FARGATE"},
            {"CapacityProviderStrategy": [{"capacityProvider": "SPOT"}]},
            "LaunchType",
            "CapacityProviderStrategy",
        ),
        (
            {"CapacityProviderStrategy": [{"capacityProvider": "SPOT"}]},
            {"LaunchType": "FARGATE"},
            "CapacityProviderStrategy",
            "LaunchType",
        ),
    ],
)
def test_a_launch_type_and_capacity_providers_exclude_each_other_and_the_named_one_stays(
    named: dict[str, Any], ecs: dict[str, Any], kept: str, dropped: str
):
    before = live()
    before["Target"]["EcsParameters"] |= ecs
    made = request(job(template={"Target": {"EcsParameters": named}} if named else None), before)["Target"][
        "EcsParameters"
    ]
    assert kept in made
    assert dropped not in made


def test_a_window_that_is_switched_off_has_no_length():
    made = request(job(template={"FlexibleTimeWindow": {"Mode": "OFF"}}), live())
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}


@pytest.mark.parametrize(
    ("variables", "definition", "ecs"),
    [
        (
            {"subnets": ["s-1"], "security_groups": ["sg-1"], "assign_public_ip": True},
            {"networkMode": "awsvpc", "requiresCompatibilities": ["EC2", "FARGATE"]},
            {
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {"Subnets": ["s-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "ENABLED"}
                },
            },
        ),
        (
            {"subnets": ("s-1",), "assign_public_ip": "DISABLED"},
            {"networkMode": "awsvpc"},
            {
                "LaunchType": "EC2",
                "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s-1"], "AssignPublicIp": "DISABLED"}},
            },
        ),
        (
            {"subnets": ["s-1"]},
            {"networkMode": "awsvpc", "requiresCompatibilities": ["EXTERNAL"]},
            {"LaunchType": "EXTERNAL", "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s-1"]}}},
        ),
        ({"subnets": ["s-1"]}, {"networkMode": "bridge"}, {"LaunchType": "EC2"}),
        ({}, {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}, {"LaunchType": "FARGATE"}),
    ],
)
def test_without_a_template_vars_say_the_network_and_the_definition_the_launch_type(
    variables: dict[str, Any], definition: dict[str, Any], ecs: dict[str, Any]
):
    assert ecs_parameters(variables, definition) == ecs


@pytest.mark.parametrize(
    ("ecs", "definition", "what"),
    [
        (ECS, {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}, ""),
        (ECS, {"networkMode": "awsvpc"}, ""),
        ({"LaunchType": "EC2"}, {"requiresCompatibilities": []}, ""),
        ({}, {"networkMode": "awsvpc"}, "its tasks have the network mode awsvpc, and no subnets"),
        (ECS, {"networkMode": "bridge"}, "only tasks of awsvpc have subnets"),
        (
            {"LaunchType": "EC2"},
            {"requiresCompatibilities": ["FARGATE", "EXTERNAL"]},
            "it asks for the launch type EC2, and the definition is for FARGATE, EXTERNAL",
        ),
    ],
)
def test_a_schedule_whose_tasks_ecs_would_not_start_is_told(ecs: dict[str, Any], definition: dict[str, Any], what: str):
    found = unstartable(request(job(ecs=ecs)), definition)
    assert (found.what if found else "") == what
    assert not found or (found.where == "schedule shop-prod-nightly" and found.to_do)


def target_with(**members: Any) -> dict[str, Any]:
    return {"Target": {"EcsParameters": members}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"State": "ENABLED"}, {}),
        ({"GroupName": "default", "ScheduleExpressionTimezone": "UTC", "ActionAfterCompletion": "NONE"}, {}),
        ({"Description": "", "Target": {}}, {}),
        (target_with(TaskCount=1, EnableECSManagedTags=False, Tags=[], Group=None), {}),
        ({"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}}}, {}),
        (
            target_with(
                NetworkConfiguration={"awsvpcConfiguration": {"Subnets": ["a", "b"], "AssignPublicIp": "DISABLED"}}
            ),
            target_with(NetworkConfiguration={"awsvpcConfiguration": {"Subnets": ["b", "a"]}}),
        ),
        ({"Target": {"Input": '{"a": 1, "b": 2}'}}, {"Target": {"Input": '{"b":2,"a":1}'}}),
        ({"StartDate": "2026-01-01T00:00:00Z"}, {"StartDate": datetime(2026, 1, 1, tzinfo=UTC)}),
        ({"StartDate": 1767225600}, {"StartDate": "2026-01-01T00:00:00"}),
    ],
    ids=str,
)
def test_what_means_the_same_is_no_difference(one: dict[str, Any], other: dict[str, Any]):
    assert differing_keys(one, other) == differing_keys(other, one) == ()


@pytest.mark.parametrize(
    ("one", "other", "keys"),
    [
        ({"State": "DISABLED"}, {}, ("State",)),
        ({"ScheduleExpressionTimezone": "Europe/Berlin"}, {}, ("ScheduleExpressionTimezone",)),
        (
            target_with(TaskCount=2),
            target_with(LaunchType="EC2"),
            tuple(f"Target.EcsParameters.{k}" for k in ("LaunchType", "TaskCount")),
        ),
        ({"Target": {"Input": "{"}}, {"Target": {"Input": "{}"}}, ("Target.Input",)),
        ({"StartDate": "soon"}, {"StartDate": datetime(2026, 1, 1, tzinfo=UTC)}, ("StartDate",)),
        (
            target_with(PlacementStrategy=[1, 2]),
            target_with(PlacementStrategy=[2, 1]),
            ("Target.EcsParameters.PlacementStrategy",),
        ),
    ],
    ids=str,
)
def test_what_means_something_else_is_told_by_its_key(
    one: dict[str, Any], other: dict[str, Any], keys: tuple[str, ...]
):
    assert differing_keys(one, other) == differing_keys(other, one) == keys


@pytest.mark.parametrize(
    ("arn", "family"),
    [(f"{NIGHTLY}:7", "shop-prod-nightly"), (NIGHTLY, "shop-prod-nightly"), ("nightly:3", "nightly"), ("", "")],
)
def test_a_family_is_read_with_or_without_a_number(arn: str, family: str):
    assert family_of(arn) == family


def test_a_schedule_is_the_jobs_whose_family_it_runs():
    assert foreign(live(), "shop-prod-nightly") is None
    other = foreign(live(), "shop-prod-report")
    assert other and other.what == "it exists and runs the family shop-prod-nightly, not shop-prod-report"
    function = foreign({"Name": "x", "Target": {"Arn": "arn:aws:lambda:us-east-1:1:function:f"}}, "f")
    assert function and str(function).startswith("schedule x: it exists and runs no ECS task, not f")


def rule_of(identity: str, family: str = "", **members: Any) -> dict[str, Any]:
    ecs = {"EcsParameters": {"TaskDefinitionArn": f"{ACCOUNT}:task-definition/{family}:1"}} if family else {}
    return {"Id": identity, "Arn": f"{ACCOUNT}:cluster/c", **ecs, **members}


FUNCTION, OWN, SECOND, OTHER, MORE = (
    rule_of("f"),
    rule_of("a", "own"),
    rule_of("b", "own"),
    rule_of("c", "other"),
    rule_of("d", "more"),
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([OWN], OWN),
        ([OTHER, OWN, FUNCTION], OWN),
        ([FUNCTION, OTHER], OTHER),
        ([], "it has no ECS target"),
        ([FUNCTION], "it has no ECS target"),
        ([OWN, SECOND, OTHER], "2 of its targets run ECS tasks of own: a, b"),
        ([OTHER, MORE], "2 of its targets run ECS tasks: c, d"),
    ],
)
def test_the_target_of_a_rule_is_the_one_of_our_family_else_the_only_one_of_ecs(given: list[Any], expected: Any):
    found = rule_target("r", given, "own")
    assert found.what == expected if isinstance(found, Complaint) else found == expected
    assert not isinstance(found, Complaint) or (found.where == "rule r" and found.to_do)


def test_a_target_is_sent_back_whole_with_another_revision():
    before = rule_of("a", "own", RoleArn=ROLE, Input="{}", RetryPolicy={"MaximumRetryAttempts": 1})
    made = repointed(before, f"{NIGHTLY}:8", {"EcsParameters": {"TaskCount": 2}})
    assert made == {**before, "EcsParameters": {"TaskDefinitionArn": f"{NIGHTLY}:8", "TaskCount": 2}}
    assert revision_of(made) == revision_of({"Target": made}) == f"{NIGHTLY}:8"


@mock_aws
def test_a_schedule_is_read_as_the_request_that_repeats_it():
    scheduler = client("scheduler")
    assert aws_scheduler.get_schedule(scheduler, WHERE, "shop-prod-nightly") is None
    asked = request(job(template={"State": "DISABLED", "Description": "d"}))
    aws_scheduler.create_schedule(scheduler, WHERE, asked)
    found = aws_scheduler.get_schedule(scheduler, WHERE, "shop-prod-nightly")
    assert found is not None
    assert not {"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"} & set(found)
    assert differing_keys(asked, found) == ()
    aws_scheduler.update_schedule(scheduler, WHERE, request(job(template={"Description": "e"}), found))
    again = aws_scheduler.get_schedule(scheduler, WHERE, "shop-prod-nightly")
    assert again is not None and again["Description"] == "e"
    with pytest.raises(AwsError, match="prod/nightly: CreateSchedule: ConflictException"):
        aws_scheduler.create_schedule(scheduler, WHERE, asked)


@mock_aws
def test_each_write_carries_a_token_of_its_own_in_the_body_that_retries_repeat():
    scheduler, tokens = client("scheduler"), list[str]()
    scheduler.meta.events.register(
        "before-call.scheduler", lambda params, **_: tokens.append(json.loads(params["body"])["ClientToken"])
    )
    aws_scheduler.create_schedule(scheduler, WHERE, request(job()))
    aws_scheduler.update_schedule(scheduler, WHERE, request(job()))
    assert len(set(tokens)) == 2 and all(tokens)


@mock_aws
def test_a_rule_is_described_and_its_target_replaced():
    events = client("events")
    assert aws_events.describe_rule(events, WHERE, "nightly") is None
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)", State="DISABLED")
    events.put_rule(Name="events", EventPattern="{}")
    assert aws_events.describe_rule(events, WHERE, "nightly") == aws_events.Rule("nightly", False, "rate(1 day)")
    assert aws_events.describe_rule(events, WHERE, "events") == aws_events.Rule("events", True)
    events.put_targets(Rule="nightly", Targets=[OTHER, FUNCTION])
    targets = aws_events.rule_targets(events, WHERE, "nightly")
    chosen = rule_target("nightly", targets, "own")
    assert not isinstance(chosen, Complaint)
    aws_events.put_target(events, WHERE, "nightly", repointed(chosen, f"{NIGHTLY}:8"))
    found = {each["Id"]: revision_of(each) for each in aws_events.rule_targets(events, WHERE, "nightly")}
    assert found == {"c": f"{NIGHTLY}:8", "f": ""}
    with pytest.raises(AwsError, match="ListTargetsByRule: ResourceNotFoundException"):
        aws_events.rule_targets(events, WHERE, "no")
