"""A job's schedule template in whole commands: what it names is kept so, and what it does not name stays as it is."""

import json

import pytest

from tests.commands import Shop
from tests.test_jobs import account, outcomes, runs, schedule

pytestmark = pytest.mark.waits
TEMPLATE = """{
  "ScheduleExpressionTimezone": "{{ vars.zone | default("Europe/Berlin") }}",
  "Target": {
    "Input": {{ {"containerOverrides": [{"name": service, "command": ["report", tenant]}]} | tojson | tojson }},
    "EcsParameters": {
      "LaunchType": "FARGATE",
      "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": {{ vars.subnets }}}}
    }
  }
}"""


@pytest.fixture
def ready(shop: Shop) -> Shop:
    """Both tenants run the service and the job in prod, whose schedule has a template."""
    shop.add_job()
    (shop.root / "templates/nightly.schedule.json.j2").write_text(TEMPLATE)
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    return shop


def test_the_schedule_is_made_as_the_template_names_it(ready: Shop):
    made = schedule(ready)
    assert (made["ScheduleExpressionTimezone"], made["ScheduleExpression"]) == ("Europe/Berlin", "cron(0 3 * * ? *)")
    assert json.loads(made["Target"]["Input"])["containerOverrides"][0]["name"] == "nightly"
    assert runs(ready) == "shop-t1-prod-nightly:1"


def test_a_second_deploy_changes_nothing(ready: Shop):
    before = ready.writes()
    assert {*outcomes(ready, "deploy.prod").values()} == {"unchanged"}
    assert ready.writes() == before


def test_what_the_template_names_comes_back_and_what_it_does_not_name_stays(ready: Shop):
    schedule(ready).update(State="DISABLED", ScheduleExpressionTimezone="UTC", Description="by hand")
    assert outcomes(ready, "deploy.prod") == {
        "t1-prod/api": "unchanged",
        "t1-prod/nightly": "deployed",
        "t2-prod/api": "unchanged",
        "t2-prod/nightly": "unchanged",
    }
    made = schedule(ready)
    assert (made["State"], made["ScheduleExpressionTimezone"], made["Description"]) == (
        "DISABLED",
        "Europe/Berlin",
        "by hand",
    )


def test_a_template_of_a_name_that_another_family_runs_is_refused(ready: Shop):
    ready.edit(
        "templates/nightly.schedule.json.j2", '  "Target": {', '  "Name": "shop-{{ tenant }}-prod-other", "Target": {'
    )
    (key,) = [each for each in account(ready).schedules if each[-1] == "shop-t1-prod-nightly"]
    taken = dict(account(ready).schedules[key])
    revision = taken["Target"]["EcsParameters"]["TaskDefinitionArn"].replace("nightly", "other")
    taken["Target"] = {**taken["Target"], "EcsParameters": {"TaskDefinitionArn": revision}}
    account(ready).schedules[(*key[:-1], "shop-t1-prod-other")] = {**taken, "Name": "shop-t1-prod-other"}
    before = ready.writes()
    ran = ready.inv("deploy.prod")
    assert (ran.code, "it exists and runs the family shop-t1-prod-other" in ran.stderr) == (2, True), ran.stderr
    assert ready.writes() == before


@pytest.mark.parametrize("wrong", ['"Sate": "ENABLED"', '"ScheduleExpression": "cron(0 25 * * ? *)"'])
def test_a_wrong_template_stops_a_deploy_and_not_the_board(ready: Shop, wrong: str):
    ready.edit("templates/nightly.schedule.json.j2", '  "Target": {', f'  {wrong}, "Target": {{')
    before = ready.writes()
    ran = ready.inv("deploy.prod")
    assert (ran.code, ran.stderr.count("nightly.schedule.json.j2:3")) == (2, 1), ran.stderr
    assert ready.writes() == before
    cells = {
        each["target"]: each for each in json.loads(ready.inv("status", "--tier", "prod", "--json").stdout)["cells"]
    }
    (commit,) = {cells[f"t{number}-prod/{name}"]["commit"] for number in (1, 2) for name in ("api", "nightly")}
    assert commit in ready.commits.values()
