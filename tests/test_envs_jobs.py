"""Jobs in the tasks that need no AWS: listed, shown with their settings, rendered beside their schedule, checked."""

import json

import pytest

from deploytasks.template import schedule
from tests.commands import Shop

pytestmark = pytest.mark.waits
JOB = '[jobs.nightly]\nschedule = "cron(0 3 * * ? *)"\n\n[tiers.dev]'
ROLES = '[defaults]\nschedule_role = "arn:aws:iam::{account}:role/schedule"\nvars.port = 8080\n'
ZONE = '{"ScheduleExpressionTimezone": "Europe/Berlin"}'


@pytest.fixture
def ready(shop: Shop) -> Shop:
    """Each environment has the job `nightly` beside the service `api`."""
    shop.edit("envs/project.toml", "[tiers.dev]", JOB)
    shop.edit("envs/project.toml", "[defaults]\n", ROLES)
    (shop.root / "templates/nightly.json.j2").write_text((shop.root / "templates/api.json.j2").read_text())
    return shop


def test_every_environment_is_listed_with_its_jobs(ready: Shop):
    assert {(*each["services"], *each["jobs"]) for each in json.loads(ready.inv("envs.list", "--json").stdout)} == {
        ("api", "nightly")
    }
    head, _, row, *_ = ready.inv("envs.list").stdout.splitlines()
    assert (head.split()[-2:], row.split()[-2:]) == (["services", "jobs"], ["api", "nightly"])


def test_a_jobs_settings_are_shown_with_the_place_of_each(ready: Shop):
    shown = json.loads(ready.inv("envs.show", "t1-prod", "--service", "nightly", "--json").stdout)["nightly"]
    account = shown["account"]["value"]
    assert shown["schedule"]["value"] == "cron(0 3 * * ? *)"
    assert shown["schedule"]["from"].endswith(": jobs.nightly.schedule")
    assert shown["schedule_role"]["value"] == f"arn:aws:iam::{account}:role/schedule"
    assert shown["schedule_role"]["from"].endswith(": defaults.schedule_role")
    assert "ecs_service" not in shown
    assert "jobs.nightly.schedule" in ready.inv("envs.show", "t1-prod").stdout


def test_the_schedule_is_rendered_beside_the_definition(ready: Shop):
    made = json.loads(ready.inv("envs.render", "t1-prod").stdout)
    assert list(made) == ["api", "nightly", "nightly.schedule"]
    assert made["nightly"]["family"] == made["nightly.schedule"]["Name"] == "shop-t1-prod-nightly"
    assert list(json.loads(ready.inv("envs.render", "t1-prod", "--service", "nightly").stdout)) == list(made)[1:]


def test_a_check_tells_what_is_wrong_and_what_this_machine_can_not_check(ready: Shop, monkeypatch):
    template = ready.root / "templates/nightly.schedule.json.j2"
    template.write_text(ZONE)
    assert (ready.inv("envs.check").stdout, ready.writes()) == ("6 environments, 12 targets: all good\n", {})
    template.write_text(ZONE.replace("Berlin", "Berln"))
    ran = ready.inv("envs.check")
    assert (ran.code, "nightly.schedule.json.j2:1: t1-dev/nightly, " in ran.stderr) == (2, True), ran.stderr
    monkeypatch.setattr(schedule, "_is_zone", lambda name: False)
    template.write_text(ZONE)
    told = "not checked: time zone Europe/Berlin: this machine has no tz database (t1-dev/nightly, "
    ran = ready.inv("envs.check")
    assert (ran.code, ran.stdout.startswith(told), ran.stdout.endswith("all good\n")) == (0, True, True), ran.stdout
    (note,) = json.loads(ready.inv("envs.check", "--json").stdout)["notes"]
    assert note.startswith(told)


@pytest.mark.parametrize("task", ["envs.check", "deploy.dev"])
def test_two_jobs_of_one_schedule_are_refused_before_any_change(ready: Shop, task: str):
    ready.edit("envs/project.toml", "[tiers.dev]", JOB.replace("nightly", "weekly"))
    for name in ("nightly", "weekly"):
        (ready.root / f"templates/{name}.schedule.json.j2").write_text('{"Name": "shop-{{ environment }}"}')
    (ready.root / "templates/weekly.json.j2").write_text((ready.root / "templates/nightly.json.j2").read_text())
    ran = ready.inv(task)
    assert (ran.code, ready.writes()) == (2, {})
    said = (
        "templates/weekly.schedule.json.j2:1: t1-dev/weekly: Name: it is the schedule of t1-dev/nightly too: default/"
    )
    assert said in ran.stderr, ran.stderr
