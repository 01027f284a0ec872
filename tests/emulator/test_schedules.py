"""ministack keeps schedules and rules as the package reads and writes them; it starts none of their tasks."""

import pytest

from deploytasks.aws import events, scheduler
from deploytasks.rules.schedule import JobSchedule, differing_keys, repointed, request, revision_of, rule_target
from examples.stand import accounts

pytestmark = pytest.mark.emulator
WHERE = "prod/nightly"
DEFINITION = "arn:aws:ecs:us-east-1:000000000000:task-definition/nightly"
ROLE = "arn:aws:iam::000000000000:role/schedule"


def job(revision: int) -> JobSchedule:
    return JobSchedule("nightly", "main-prod", f"{DEFINITION}:{revision}", "cron(0 3 * * ? *)", ROLE)


def test_a_schedule_moves_to_another_revision_and_keeps_what_others_set(emulator_without_engine):
    emulator_without_engine.reset()
    client = accounts.client(emulator_without_engine, "scheduler")
    assert scheduler.get_schedule(client, WHERE, "nightly") is None
    by_hand = {"State": "DISABLED", "Description": "by hand", "ScheduleExpressionTimezone": "Europe/Berlin"}
    scheduler.create_schedule(client, WHERE, {**request(job(1)), **by_hand})
    before = scheduler.get_schedule(client, WHERE, "nightly")
    scheduler.update_schedule(client, WHERE, request(job(2), before))
    after = scheduler.get_schedule(client, WHERE, "nightly")
    assert before is not None and after is not None
    assert {key: after[key] for key in by_hand} == by_hand
    assert differing_keys(before, after) == ("Target.EcsParameters.TaskDefinitionArn",)


def test_a_rules_target_moves_to_another_revision_and_keeps_the_rest(emulator_without_engine):
    emulator_without_engine.reset()
    client = accounts.client(emulator_without_engine, "events")
    assert events.describe_rule(client, WHERE, "nightly") is None
    client.put_rule(Name="nightly", ScheduleExpression="rate(1 day)", State="DISABLED")
    cluster = "arn:aws:ecs:us-east-1:000000000000:cluster/c"
    of_ecs = {"Id": "a", "Arn": cluster, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": f"{DEFINITION}:1"}}
    client.put_targets(Rule="nightly", Targets=[{**of_ecs, "Input": "{}"}])
    target = rule_target("nightly", events.rule_targets(client, WHERE, "nightly"), "nightly")
    events.put_target(client, WHERE, "nightly", repointed(target, f"{DEFINITION}:2"))
    (after,) = events.rule_targets(client, WHERE, "nightly")
    assert revision_of(after) == f"{DEFINITION}:2"
    assert {**after, "EcsParameters": of_ecs["EcsParameters"]} == {**of_ecs, "Input": "{}"}
    assert events.describe_rule(client, WHERE, "nightly") == events.Rule("nightly", False, "rate(1 day)")
