"""A job's templates: its definition, and what its schedule is to be; each complaint whole, with its file and line."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.errors import Invalid
from deploytasks.model import Hidden, Job, JobSettings, Project, Target
from deploytasks.template import schedule
from deploytasks.template.check import check_all, rendered, unchecked
from deploytasks.template.render import Renderer
from tests.template_stage import DEFINITION as OF_SERVICE
from tests.template_stage import project as project_of
from tests.template_stage import target as service
from tests.template_stage import write

ROLE = "arn:aws:iam::222222222222:role/schedule"
SCHEDULED = JobSettings("cron(0 3 * * ? *)", ROLE)
DEFINITION = """{
  "networkMode": "awsvpc",
  "requiresCompatibilities": ["FARGATE"],
  "cpu": "{{ cpu }}", "memory": "{{ memory }}",
  "executionRoleArn": "arn:aws:iam::{{ account }}:role/execution",
  "containerDefinitions": [
    {"name": {{ service | tojson }}, "image": {{ image | tojson }}, "environment": {{ env | environment }}}
  ]
}"""
SCHEDULE = """{
  "Name": "{{ family }}-x",
  "ScheduleExpressionTimezone": "Europe/Berlin",
  "Target": {
    "Input": {{ {"containerOverrides": [{"name": service, "command": ["report", tenant]}]} | tojson | tojson }},
    "EcsParameters": {
      "LaunchType": "FARGATE",
      "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": {{ vars.subnets }}}}
    }
  }
}"""


def target(tier: str = "dev", name: str = "nightly", job: JobSettings = SCHEDULED, **settings: Any) -> Target:
    made = service(tier, **settings)
    return replace(made, name=name, ecs_service="", family=f"shop-{made.environment}-{name}", job=job)


def stage(root: Path, *targets: Target, schedule: str | None = None, definition: str = DEFINITION) -> Project:
    """The project of these jobs; each has the same templates."""
    names = dict.fromkeys(each.name for each in targets)
    files = {f"{name}.json": definition for name in names}
    files |= {f"{name}.schedule.json": schedule for name in names if schedule is not None}
    write(root, OF_SERVICE, **files)
    return replace(project_of(root, *targets), jobs=tuple(Job(name, "api") for name in names))


def made(root: Path, there: Target, **texts: Any) -> dict[str, Any]:
    return rendered(stage(root, there, **texts), [there])


def complaints(*whole: Project) -> list[str]:
    return [str(each) for project in whole for each in check_all(project)]


def edited(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_a_jobs_definition_sees_what_a_services_sees(tmp_path):
    (definition, *_) = made(tmp_path, target()).values()
    assert (definition["family"], definition["containerDefinitions"][0]["name"]) == ("shop-mb-dev-nightly", "nightly")
    assert definition["containerDefinitions"][0]["image"] == "registry.example/shop/api:dev"


def test_without_a_template_the_schedule_comes_from_the_settings(tmp_path):
    there = target(vars={"subnets": ["subnet-1"], "security_groups": ["sg-1"], "assign_public_ip": True})
    found = made(tmp_path, there)
    assert list(found) == ["nightly", "nightly.schedule"]
    assert found["nightly.schedule"] == {
        "Name": "shop-mb-dev-nightly",
        "GroupName": "default",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:ecs:eu-central-1:222222222222:cluster/mb-dev",
            "RoleArn": ROLE,
            "EcsParameters": {
                "TaskDefinitionArn": "arn:aws:ecs:eu-central-1:222222222222:task-definition/shop-mb-dev-nightly:1",
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {
                        "Subnets": ["subnet-1"],
                        "SecurityGroups": ["sg-1"],
                        "AssignPublicIp": "ENABLED",
                    }
                },
            },
        },
    }


def test_what_the_template_names_is_laid_over(tmp_path):
    there = target()
    whole = stage(tmp_path, there, schedule=SCHEDULE)
    renderer = Renderer(whole, {})
    named = renderer.schedule(there, renderer.tried(there))
    assert named is not None and sorted(named) == ["Name", "ScheduleExpressionTimezone", "Target"]
    request = rendered(whole, [there])["nightly.schedule"]
    assert (request["Name"], request["ScheduleExpression"]) == ("shop-mb-dev-nightly-x", "cron(0 3 * * ? *)")
    assert request["Target"]["RoleArn"] == ROLE
    assert json.loads(request["Target"]["Input"])["containerOverrides"][0]["command"] == ["report", "mb"]
    assert complaints(whole) == []


def test_a_schedule_is_made_for_the_revision_that_is_given(tmp_path):
    there, revision = target(), "arn:aws:ecs:eu-central-1:222222222222:task-definition/shop-mb-dev-nightly:7"
    renderer = Renderer(stage(tmp_path, there), {})
    job = renderer.job_schedule(there, renderer.tried(there), revision)
    assert job is not None and (job.revision, job.expression) == (revision, "cron(0 3 * * ? *)")


@pytest.mark.parametrize("job", [JobSettings(), JobSettings(rule="nightly"), JobSettings(schedule_role=ROLE)])
def test_a_job_that_is_run_by_hand_or_by_a_rule_has_no_schedule(tmp_path, job):
    there = target(job=job)
    assert list(made(tmp_path, there)) == ["nightly"]
    assert complaints(stage(tmp_path, there)) == []


def test_a_template_alone_may_say_when_a_job_runs(tmp_path):
    named = edited(SCHEDULE, '"Target": {', '"ScheduleExpression": "rate(1 day)",\n  "Target": {"RoleArn": "ROLE",')
    there = target(job=JobSettings())
    found = made(tmp_path, there, schedule=named.replace("ROLE", ROLE))
    assert found["nightly.schedule"]["ScheduleExpression"] == "rate(1 day)"


CASES: dict[str, tuple[dict[str, str], JobSettings, str]] = {
    "a service's key in the definition": (
        {"definition": edited(DEFINITION, "{\n", '{\n  "desiredCount": 1,\n')},
        SCHEDULED,
        "templates/nightly.json.j2:2: mb-dev/nightly: desiredCount: is a key of CreateService; a job has no service\n"
        "    leave it out",
    ),
    "a schedule's key in the definition": (
        {"definition": edited(DEFINITION, "{\n", '{\n  "ScheduleExpression": "rate(1 day)",\n')},
        SCHEDULED,
        "templates/nightly.json.j2:2: mb-dev/nightly: ScheduleExpression: is a key of CreateSchedule\n"
        "    write it into templates/<job>.schedule.json.j2",
    ),
    "a rule of definitions": (
        {"definition": edited(DEFINITION, '"cpu": "{{ cpu }}"', '"cpu": "300"')},
        SCHEDULED,
        "templates/nightly.json.j2:4: mb-dev/nightly: cpu: Fargate has no task size with cpu 300\n"
        "    choose 256, 512, 1024, 2048, 4096, 8192 or 16384",
    ),
    "a definition's key in the schedule": (
        {"schedule": edited(SCHEDULE, "{\n", '{\n  "containerDefinitions": [],\n')},
        SCHEDULED,
        "templates/nightly.schedule.json.j2:2: mb-dev/nightly: containerDefinitions: is a key of "
        "RegisterTaskDefinition\n"
        "    write it into templates/<job>.json.j2",
    ),
    "a service's key in the schedule": (
        {"schedule": edited(SCHEDULE, "{\n", '{\n  "desiredCount": 1,\n')},
        SCHEDULED,
        "templates/nightly.schedule.json.j2:2: mb-dev/nightly: desiredCount: is a key of CreateService; a job has no "
        "service\n"
        "    leave it out",
    ),
    "a container that the definition has not": (
        {"schedule": edited(SCHEDULE, '"name": service', '"name": "nihgtly"')},
        SCHEDULED,
        "templates/nightly.schedule.json.j2:5: mb-dev/nightly: Target.Input.containerOverrides[0]: the job's "
        "definition has no container 'nihgtly'\n"
        "    did you mean 'nightly'?",
    ),
    "a name that is too long": (
        {"schedule": edited(SCHEDULE, "{{ family }}-x", "n" * 65)},
        SCHEDULED,
        f"templates/nightly.schedule.json.j2:2: mb-dev/nightly: Name: '{'n' * 65}' has 65 characters, and a "
        "schedule's name at most 64\n"
        '    set a shorter `family` in envs/, or a "Name" in the job\'s schedule template',
    ),
    "nothing that says when": (
        {"schedule": SCHEDULE},
        JobSettings(schedule_role=ROLE),
        "templates/nightly.schedule.json.j2:1: mb-dev/nightly: the key 'ScheduleExpression' is missing",
    ),
    "JSON that is broken": (
        {"schedule": edited(SCHEDULE, '"Target": {', '"Target": ')},
        SCHEDULED,
        "templates/nightly.schedule.json.j2:5: mb-dev/nightly: what it renders is not JSON: Expecting ',' delimiter\n"
        '    "Input": "{\\"containerOverrides\\": [{\\"name\\":\n'
        "           ^",
    ),
    "a schedule beside a rule": (
        {"schedule": SCHEDULE},
        JobSettings(rule="nightly"),
        "templates/nightly.schedule.json.j2: mb-dev/nightly: the rule 'nightly' starts the job, and a schedule would "
        "too\n"
        "    remove the template, or `rule` in envs/",
    ),
    "no template that helps": (
        {},
        JobSettings("cron(0 3 * * ? *)", "arn:aws-cn:iam::222222222222:role/schedule"),
        "schedule_role: mb-dev/nightly: Target.RoleArn: an ARN of partition aws-cn, but the target is in "
        "eu-central-1, of partition aws\n"
        "    name one of this partition: arn:aws:…",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_complaint_about_a_jobs_templates_whole(tmp_path, case):
    texts, job, said = CASES[case]
    assert complaints(stage(tmp_path, target(job=job), **texts)) == [said]


def test_subnets_that_are_no_list_are_told(tmp_path):
    said = complaints(stage(tmp_path, target(vars={"subnets": "subnet-1"})))
    assert said == [
        "vars.subnets: mb-dev/nightly: "
        'Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration.Subnets: "subnet-1" where a list is due'
    ]


def test_a_broken_definition_is_told_once_and_its_schedule_is_still_checked(tmp_path):
    whole = stage(
        tmp_path,
        target(),
        definition=edited(DEFINITION, "{\n", '{\n  "odd": 1,\n'),
        schedule=edited(SCHEDULE, "Europe/Berlin", "Europe/Berln"),
    )
    assert [each.partition("\n")[0] for each in complaints(whole)] == [
        "templates/nightly.json.j2:2: mb-dev/nightly: odd: unknown key",
        "templates/nightly.schedule.json.j2:3: mb-dev/nightly: ScheduleExpressionTimezone: there is no time zone "
        "'Europe/Berln'",
    ]


def test_a_service_template_of_a_job_and_a_schedule_of_a_service_are_told(tmp_path):
    whole = stage(tmp_path, target())
    write(tmp_path, OF_SERVICE, **{"nightly.service.json": "{}", "api.schedule.json": "{}"})
    assert complaints(replace(whole, targets=(service(), target()))) == [
        "templates/api.schedule.json.j2: mb-dev/api: a service has no schedule\n"
        "    remove it; a job has one: [jobs.<job>]",
        "templates/nightly.service.json.j2: mb-dev/nightly: a job has no ECS service\n"
        "    remove it; a job is started by its schedule: templates/nightly.schedule.json.j2",
    ]


def test_two_jobs_of_one_schedule_are_told_by_the_name_that_one_template_gives(tmp_path):
    shared = edited(SCHEDULE, "{{ family }}-x", "shop-{{ account }}")
    whole = stage(tmp_path, target("dev"), target("prod"), target("dev", "weekly"), schedule=shared)
    said = [
        "it is the schedule of mb-dev/nightly too: default/shop-222222222222, account 222222222222, eu-central-1\n"
        "    give each a Name of its own; left out, it is the family"
    ]
    assert complaints(whole) == [
        f"templates/{name}.schedule.json.j2:2: {there}: Name: {said[0]}"
        for name, there in (("nightly", "mb-prod/nightly"), ("weekly", "mb-dev/weekly"))
    ]


def test_the_template_is_told_also_if_the_other_schedule_has_none(tmp_path):
    for first, second in (("nightly", "weekly"), ("weekly", "nightly")):
        whole = stage(tmp_path, target(name=first), target(name=second))
        write(
            tmp_path, OF_SERVICE, **{"weekly.schedule.json": edited(SCHEDULE, "{{ family }}-x", "shop-mb-dev-nightly")}
        )
        (said,) = complaints(whole)
        assert said.startswith(
            "templates/weekly.schedule.json.j2:2: mb-dev/weekly: Name: it is the schedule of mb-dev/"
        )


@pytest.mark.parametrize("apart", ['"Name": "{{ family }}"', '"Name": "x", "GroupName": "{{ family }}"'])
def test_schedules_may_be_apart_by_name_or_group(tmp_path, apart):
    named = edited(SCHEDULE, '"Name": "{{ family }}-x"', apart)
    assert complaints(stage(tmp_path, target(), target(name="weekly"), schedule=named)) == []


def test_schedules_of_one_name_may_be_in_two_accounts_or_regions(tmp_path):
    named = edited(SCHEDULE, "{{ family }}-x", "one")
    here = target()
    others = [replace(target("prod"), access=replace(here.access, region="us-east-1"))]
    assert complaints(stage(tmp_path, here, *others, schedule=named)) == []


def test_values_of_variables_are_hidden_in_a_schedule_and_in_its_complaints(tmp_path):
    named = edited(SCHEDULE, '"report", tenant', '"report", env_var("TOKEN")')
    there, environ = target(), {"TOKEN": "hunter2-and-more"}
    renderer = Renderer(stage(tmp_path, there, schedule=named), environ)
    found = renderer.schedule(there, renderer.tried(there))
    assert found is not None and isinstance(found["Target"]["Input"], Hidden)
    wrong = edited(named, '"Name": "{{ family }}-x"', '"Name": "{{ env_var("TOKEN") }} {{ env_var("TOKEN") | upper }}"')
    renderer = Renderer(stage(tmp_path, there, schedule=wrong), environ)
    with pytest.raises(Invalid) as refused:
        renderer.schedule(there, renderer.tried(there))
    assert "hunter2" not in str(refused.value).lower() and "Name: " in str(refused.value)


def test_a_time_zone_that_this_machine_can_not_check_is_a_note(tmp_path, monkeypatch):
    whole = stage(tmp_path, target("dev"), target("prod"), target("dev", "weekly", vars={}), schedule=SCHEDULE)
    assert unchecked(whole) == ()
    monkeypatch.setattr(schedule, "_is_zone", lambda name: False)
    assert unchecked(whole) == (
        "not checked: time zone Europe/Berlin: this machine has no tz database (mb-dev/nightly, mb-prod/nightly)",
    )
