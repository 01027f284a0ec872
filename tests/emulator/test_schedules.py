"""ministack keeps schedules and rules as the package reads and writes them; it starts none of their tasks."""

import json
from typing import Any

import pytest

from deploytasks.aws import events, scheduler
from deploytasks.config.load import load
from deploytasks.model import JobSchedule, Target
from deploytasks.rules.schedule import differing_keys, repointed, request, revision_of, rule_target
from examples.stand import accounts
from examples.stand.world import World

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


@pytest.mark.timeout(180)
def test_a_job_is_released_with_its_services_and_its_schedule_follows_every_change(pretended):
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    envs, template = pretended.root / "envs/project.toml", pretended.root / "templates/weekly.json.j2"
    job = '\n[jobs.weekly]\nschedule = "cron(0 3 * * ? *)"\n[defaults.jobs.weekly]\n'
    role = 'schedule_role = "arn:aws:iam::{account}:role/schedule"\n'
    envs.write_text(envs.read_text() + job + role)
    template.write_text((pretended.root / "templates/worker.json.j2").read_text())
    pretended.commit("Count at night")
    targets = [each for each in load(pretended.root).of_tier("dev") if each.name == "weekly"]
    for account in {each.access.account for each in targets}:
        iam = accounts.client(pretended.emulator, "iam", account)
        iam.create_role(RoleName="schedule", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    found = [scheduled(pretended, each) for each in targets]
    assert found == [None] * len(targets)

    released = pretended.inv("release.dev")
    assert released.returncode == 0, released.stdout + released.stderr
    assert "its schedule runs it from its next start on" in released.stdout
    assert {running(pretended, each) for each in targets} == {1}

    template.write_text(template.read_text().replace('"worker"]', '"worker", "--once"]'))
    pretended.edit("envs/project.toml", "cron(0 3", "cron(0 5")
    pretended.commit("Count once, and later")
    deployed = pretended.inv("deploy.dev")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert {running(pretended, each) for each in targets} == {2}
    assert {scheduled(pretended, each)["ScheduleExpression"] for each in targets} == {"cron(0 5 * * ? *)"}

    shown = json.loads(pretended.inv("status", "--tier", "dev", "--service", "weekly", "--json").stdout)
    assert [(cell["standing"], cell["job"]["starts"]) for cell in shown["cells"]] == [
        ("completed", "cron(0 5 * * ? *)")
    ] * len(targets)


def scheduled(world: World, target: Target) -> Any:
    client = accounts.client(world.emulator, "scheduler", target.access.account)
    return scheduler.get_schedule(client, str(target), target.family)


def running(world: World, target: Target) -> int:
    """The number of the revision that the job's schedule names."""
    return int(revision_of(scheduled(world, target)).rpartition(":")[2])
