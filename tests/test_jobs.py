"""Jobs, whole commands against the simulated AWS: what starts them is pointed at what was released."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from deploytasks.aws import follow_task, lock_holders, locks
from tests.cloud.accounts import REGION, Account, AwsError, Call
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_tasks import Script, run_task
from tests.cloud.events import Rule, add_rule
from tests.cloud.logs import write_log
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop

RULE = 'jobs.nightly.rule = "{tenant}-{tier}-nightly"'


def account(shop: Shop, number: int = 1) -> Account:
    return shop.endpoint.cloud.account(tenant_account(number))


def schedule(shop: Shop, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = account(shop, number).schedules[REGION, "default", f"shop-t{number}-prod-nightly"]
    return found


def revision_in(told: dict[str, Any]) -> str:
    return str(told["EcsParameters"]["TaskDefinitionArn"]).rpartition("/")[2]


def runs(shop: Shop, number: int = 1) -> str:
    """The revision that the schedule names: its family and number."""
    return revision_in(schedule(shop, number)["Target"])


def record(shop: Shop, revision: int, number: int = 1) -> dict[str, str]:
    """Our tags on a revision of the job."""
    tags = account(shop, number).families[f"shop-t{number}-prod-nightly"][revision - 1].tags
    return {key.removeprefix("deploytasks:"): value for key, value in tags.items()}


def outcomes(shop: Shop, *words: str) -> dict[str, str]:
    ran = shop.inv(*words, "--json")
    return {f"{each['environment']}/{each['service']}": each["outcome"] for each in ran.summary["results"]}


def by_rule(shop: Shop, *families: str) -> Rule:
    """The job is the target of a rule that runs these families, one ECS target each."""
    shop.add_job(table="")
    shop.edit("envs/t1.toml", "cluster = ", f"{RULE}\ncluster = ")
    shop.edit("envs/t2.toml", "cluster = ", "jobs.nightly.absent = true\ncluster = ")
    arn = f"arn:aws:ecs:{REGION}:{tenant_account(1)}"
    targets = [
        {
            "Id": family,
            "Arn": f"{arn}:cluster/t1-prod",
            "RoleArn": "arn:aws:iam::1:role/rule",
            "Input": "{}",
            "EcsParameters": {"TaskDefinitionArn": f"{arn}:task-definition/{family}:1", "TaskCount": 2},
        }
        for family in families
    ]
    for family in families:
        register(account(shop), {"family": family, "containerDefinitions": []})
    return add_rule(account(shop), Rule("t1-prod-nightly", "rate(1 day)"), *targets)


def test_a_deploy_creates_the_schedule_of_a_job(shop: Shop):
    shop.add_job()
    ran = shop.inv("deploy.prod")
    assert ran.code == 0
    made = schedule(shop)
    assert (made["ScheduleExpression"], runs(shop)) == ("cron(0 3 * * ? *)", "shop-t1-prod-nightly:1")
    assert made["Target"]["RoleArn"] == f"arn:aws:iam::{tenant_account(1)}:role/schedule"
    assert "its schedule runs it from its next start on" in ran.stdout


def test_the_revision_is_marked_as_begun_before_the_schedule_names_it(shop: Shop):
    shop.add_job()
    seen: list[bool] = []

    def fault(call: Call) -> None:
        if call.operation == "CreateSchedule" and call.account == tenant_account(1):
            seen.append("at" in record(shop, 1))

    shop.endpoint.fault = fault
    assert shop.inv("deploy.prod").code == 0
    assert seen == [True]


def test_a_second_deploy_leaves_the_job_as_it_is(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    before = shop.writes()
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "unchanged"
    assert shop.writes() == before


def test_what_somebody_set_on_a_schedule_stays_when_a_new_definition_is_deployed(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    mine = {"State": "DISABLED", "Description": "by hand", "ScheduleExpressionTimezone": "Europe/Berlin"}
    schedule(shop).update(mine)
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")
    ran = shop.inv("deploy.prod")
    assert (ran.code, runs(shop)) == (0, "shop-t1-prod-nightly:2")
    assert {key: schedule(shop)[key] for key in mine} == mine
    assert "its schedule is disabled: nothing starts it" in ran.stdout


def test_a_changed_expression_updates_the_schedule_and_registers_nothing(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/project.toml", "cron(0 3 * * ? *)", "cron(0 5 * * ? *)")
    ran = shop.inv("deploy.prod")
    assert (ran.code, runs(shop)) == (0, "shop-t1-prod-nightly:1")
    assert schedule(shop)["ScheduleExpression"] == "cron(0 5 * * ? *)"
    assert "its schedule: ScheduleExpression" in ran.stdout


def test_a_schedule_that_was_deleted_is_made_again(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    account(shop).schedules.clear()
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert runs(shop) == "shop-t1-prod-nightly:1"


def test_a_schedule_of_another_family_is_refused_before_anything_is_written(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    ecs = schedule(shop)["Target"]["EcsParameters"]
    ecs["TaskDefinitionArn"] = ecs["TaskDefinitionArn"].replace("nightly:1", "billing:1")
    before = shop.writes()
    ran = shop.inv("deploy.prod", "--force")
    assert (ran.code, shop.writes()) == (2, before)
    assert "it exists and runs the family shop-t1-prod-billing, not shop-t1-prod-nightly" in ran.stderr


def test_a_revision_registered_before_a_sudden_death_is_adopted(shop: Shop):
    shop.add_job()
    assert shop.inv("deploy.register", "prod").code == 0
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert (runs(shop), len(account(shop).families["shop-t1-prod-nightly"])) == ("shop-t1-prod-nightly:1", 1)


@pytest.mark.parametrize("operation", ["CreateSchedule", "GetSchedule"])
def test_a_call_that_is_denied_is_that_jobs_alone(shop: Shop, operation: str):
    shop.add_job()
    shop.refuse(operation, "AccessDeniedException", tenant_account(2))
    ran = shop.inv("deploy.prod", "--json")
    if operation == "GetSchedule":  # seen in the preflight
        assert ran.code == 2 and f"{operation}: AccessDeniedException" in ran.stderr
        return
    found = {f"{each['environment']}/{each['service']}": each["outcome"] for each in ran.summary["results"]}
    assert (ran.code, found["t1-prod/nightly"], found["t2-prod/nightly"]) == (1, "deployed", "failed")
    assert record(shop, 1, 2)["ended"] == "failed"


def test_a_schedule_that_somebody_else_pointed_elsewhere_meanwhile_is_left_alone(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")

    def fault(call: Call) -> None:
        if call.operation == "RegisterTaskDefinition":
            ecs = schedule(shop)["Target"]["EcsParameters"]
            ecs["TaskDefinitionArn"] = ecs["TaskDefinitionArn"].replace("nightly:1", "nightly:9")

    shop.endpoint.fault = fault
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "superseded"
    assert runs(shop) == "shop-t1-prod-nightly:9"


def test_a_lost_answer_of_an_update_counts_once_the_schedule_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")

    def fault(call: Call) -> AwsError | None:
        if call.operation == "UpdateSchedule" and runs(shop) == "shop-t1-prod-nightly:1":
            schedule(shop)["Target"] = call.ask["Target"]
        return AwsError("InternalServerException", "lost", 500) if call.operation == "UpdateSchedule" else None

    shop.endpoint.fault = fault
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"


def test_a_role_that_scheduler_may_not_assume_is_told_before_anything_is_written(shop: Shop):
    shop.add_job()
    account(shop).trust["schedule"] = {"Statement": []}
    account(shop, 2).missing.add("schedule")
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    one, two = (f"the role arn:aws:iam::{tenant_account(number)}:role/schedule" for number in (1, 2))
    assert f"{one} does not trust scheduler.amazonaws.com" in ran.stderr
    assert "or no schedule starts: envs/t1.toml:" in ran.stderr
    assert f"{two} does not exist" in ran.stderr


def test_a_schedule_that_could_start_no_task_is_refused(shop: Shop):
    shop.add_job()
    for number in (1, 2):
        shop.edit(f"envs/t{number}.toml", 'subnets = ["subnet-1", "subnet-2"]\n', "")
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert "t1-prod/nightly: schedule shop-t1-prod-nightly: its tasks have the network mode awsvpc" in ran.stderr


def test_a_rule_gets_its_target_back_whole_with_the_new_revision(shop: Shop):
    rule = by_rule(shop, "shop-t1-prod-nightly")
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    target = rule.targets["shop-t1-prod-nightly"]
    assert revision_in(target) == "shop-t1-prod-nightly:2"
    assert (target["Input"], target["EcsParameters"]["TaskCount"]) == ("{}", 2)
    before = shop.writes()
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "unchanged"
    assert shop.writes() == before


def test_a_rules_only_ecs_target_is_the_jobs_whatever_it_ran(shop: Shop):
    rule = by_rule(shop, "by-hand")
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert revision_in(rule.targets["by-hand"]) == "shop-t1-prod-nightly:1"


@pytest.mark.parametrize(
    ("families", "said"),
    [
        ((), "rule t1-prod-nightly: it has no ECS target"),
        (("one", "two"), "rule t1-prod-nightly: 2 of its targets run ECS tasks: one, two"),
    ],
)
def test_a_rule_that_does_not_tell_its_target_is_refused(shop: Shop, families: tuple[str, ...], said: str):
    by_rule(shop, *families)
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert said in ran.stderr


def test_a_rule_that_is_not_there_is_refused(shop: Shop):
    by_rule(shop)
    account(shop).rules.clear()
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert "rule t1-prod-nightly: there is none of that name" in ran.stderr


def test_a_target_that_events_refuses_is_a_failed_job(shop: Shop):
    by_rule(shop, "shop-t1-prod-nightly").failing.add("shop-t1-prod-nightly")
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "failed"


def test_a_job_that_is_run_by_hand_has_only_its_revision_marked(shop: Shop):
    shop.add_job(table="")
    ran = shop.inv("deploy.prod")
    assert (ran.code, account(shop).schedules) == (0, {})
    assert "at" in record(shop, 1)
    assert "nothing starts it by itself" in ran.stdout
    before = shop.writes()
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "unchanged"
    assert shop.writes() == before


def test_a_registered_revision_that_has_not_begun_is_not_what_a_job_run_by_hand_runs(shop: Shop):
    shop.add_job(table="")
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")
    shop.inv("deploy.register", "prod")
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert "at" in record(shop, 2)


def test_a_moved_tag_needs_no_deployment_of_a_job_whose_definition_names_it(shop: Shop):
    shop.add_job("nightly", 'schedule = "rate(1 day)"', "dev")
    assert shop.inv("deploy.dev").code == 0
    family = account(shop).families["shop-t1-dev-nightly"]
    assert shop.inv("tag.dev", "--commit", shop.commits["older"], "--allow-older").code == 0
    ran = shop.inv("deploy.dev", "--json")
    told = {f"{each['environment']}/{each['service']}": each for each in ran.summary["results"]}["t1-dev/nightly"]
    assert (told["outcome"], told["detail"]) == ("unchanged", "each of its runs takes the image that the tag names")
    assert len(family) == 1
    assert family[0].tags["deploytasks:commit"] == shop.commits["older"]


def test_the_gate_asks_the_job_of_the_tier_before(shop: Shop):
    shop.add_job("nightly", 'schedule = "rate(1 day)"', "staging")
    del shop.endpoint.cloud.account("012345678922").repositories["api"].tags["prod-20260203T040506Z"]
    ran = shop.inv("release.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert "t1-staging/nightly: the job is not there" in ran.stderr


def test_on_hold_a_changed_schedule_is_refused_with_its_keys(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    assert shop.inv("release.rollback", "prod", "--to", shop.commits["older"]).code == 0
    shop.edit("envs/project.toml", "cron(0 3 * * ? *)", "cron(0 5 * * ? *)")
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "this would change the schedule: ScheduleExpression" in ran.stderr


@pytest.mark.parametrize("words", [("deploy.wait", "prod"), ("deploy.stop", "prod"), ("deploy.continue", "prod")])
def test_a_job_has_no_rollout_to_wait_for_or_to_stop(shop: Shop, words: tuple[str, ...]):
    shop.add_job()
    shop.inv("deploy.prod")
    ran = shop.inv(*words)
    assert ran.code == 0
    assert "a job has no rollout" in ran.stdout


def test_a_job_that_cannot_be_seen_is_no_success_of_waiting(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.refuse("GetSchedule", "AccessDeniedException", tenant_account(2))
    ran = shop.inv("deploy.wait", "prod", "--json")
    found = {f"{each['environment']}/{each['service']}": each["outcome"] for each in ran.summary["results"]}
    assert (ran.code, found["t1-prod/nightly"], found["t2-prod/nightly"]) == (1, "unchanged", "failed")


def test_a_job_is_not_attempted_where_its_environments_service_failed(shop: Shop):
    shop.add_job()
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")
    shop.refuse("UpdateService", "ServerException", tenant_account(1))
    found = outcomes(shop, "deploy.prod")
    assert (found["t1-prod/api"], found["t1-prod/nightly"], found["t2-prod/nightly"]) == (
        "failed",
        "not attempted",
        "deployed",
    )
    assert account(shop).schedules == {}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A one-off task is looked at often."""
    monkeypatch.setattr(follow_task, "POLL_S", 0.01)
    monkeypatch.setattr(follow_task, "QUIET_S", 0.05)


@pytest.mark.waits
def test_a_job_is_run_by_hand_as_its_schedule_would_and_by_its_own_command(shop: Shop, soon: None):
    shop.add_job()
    shop.inv("deploy.prod")
    schedule(shop)["Target"]["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]["Subnets"] = ["subnet-9"]
    shop.endpoint.cloud.scripts = lambda _command: Script(exit=3)
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--job", "nightly")
    assert ran.code == 3
    (task,) = account(shop).one_offs.values()
    network = {"awsvpcConfiguration": {"subnets": ["subnet-9"], "securityGroups": ["sg-1"]}}
    assert task.ask["networkConfiguration"] == network
    assert (task.ask["launchType"], task.ask["overrides"]) == ("FARGATE", {"containerOverrides": []})
    assert task.ask["taskDefinition"].endswith("task-definition/shop-t1-prod-nightly:1")


@pytest.mark.waits
def test_a_job_that_nothing_starts_runs_where_its_variables_say(
    shop: Shop, soon: None, monkeypatch: pytest.MonkeyPatch
):
    shop.add_job(table="")
    shop.inv("deploy.prod")
    monkeypatch.setattr("sys.argv", ["inv", "deploy.run", "--", "./report", "--all"])
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--job", "nightly", "--", "./report", "--all")
    assert ran.code == 0
    (task,) = account(shop).one_offs.values()
    assert task.ask["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1", "subnet-2"]
    assert task.ask["overrides"]["containerOverrides"] == [{"name": "nightly", "command": ["./report", "--all"]}]


def test_a_job_that_never_started_ends_with_125(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.endpoint.cloud.scripts = lambda _command: Script(refused="RESOURCE:MEMORY")
    assert shop.inv("deploy.run", "prod", "--tenant", "t1", "--job", "nightly").code == 125


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--job", "nightly", "--service", "api"), "--job: it goes with no --service"),
        (("--job", "api"), "--job: api is a service"),
        (("--job", "nightli"), "--job: there is no job 'nightli'"),
        (("--service", "nightly"), "--service: nightly is a job"),
        (("--job", ""), "--job"),
        (("--job", "nightly"), "the job nightly was not deployed here yet"),
    ],
)
def test_what_is_no_job_that_can_be_run_is_refused(shop: Shop, flags: tuple[str, ...], said: str):
    shop.add_job()
    command = () if "--job" in flags else ("--", "true")
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", *flags, *command)
    assert (ran.code, account(shop).one_offs) == (2, {})
    assert said in ran.stderr


def cells(shop: Shop) -> dict[str, dict[str, Any]]:
    """The cells of the board, by target; what is of no tenant's prod is left out."""
    document = json.loads(shop.inv("status", "--tier", "prod", "--json").stdout)
    return {cell["target"]: cell for cell in document["cells"]}


def ran_before(shop: Shop, **given: Any) -> None:
    """The job's task of t1 ran and ended so, on its schedule."""
    shop.endpoint.cloud.scripts = lambda _command: Script(**given)
    cluster, revision = "t1-prod", schedule(shop)["Target"]["EcsParameters"]["TaskDefinitionArn"]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    ask = {"cluster": cluster, "taskDefinition": revision, "networkConfiguration": network}
    run_task(account(shop), {**ask, "overrides": {}})


def test_the_board_shows_what_starts_a_job_and_that_no_run_is_known(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    cell = cells(shop)["t1-prod/nightly"]
    assert cell["job"] == {"starts": "cron(0 3 * * ? *)", "enabled": True, "last_run": None}
    assert (cell["standing"], cell["marks"]) == ("completed", [])
    assert cell["commit"] == shop.commits["newer"]
    shown = shop.inv("status", "--tier", "prod").stdout
    assert "cron(0 3 * * ? *)" in shown and "last run not known" in shown
    assert shop.inv("status", "--tier", "prod", "--check").code == 0


def test_the_board_shows_how_a_jobs_last_run_ended(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    ran_before(shop, exit=3, lasts_s=0)
    cell = cells(shop)["t1-prod/nightly"]
    assert cell["job"]["last_run"]["exit_code"] == 3
    assert cell["marks"] == []
    assert "last run: exit 3" in shop.inv("status", "--tier", "prod").stdout


def test_a_disabled_schedule_carries_a_mark_unless_its_template_says_so(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    schedule(shop)["State"] = "DISABLED"
    cell = cells(shop)["t1-prod/nightly"]
    assert (cell["marks"], cell["job"]["enabled"]) == (["disabled"], False)
    assert shop.inv("status", "--tier", "prod", "--check").code == 3


def test_a_schedule_that_somebody_changed_has_drifted(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    schedule(shop)["ScheduleExpression"] = "cron(0 4 * * ? *)"
    assert cells(shop)["t1-prod/nightly"]["marks"] == ["drifted"]


def test_a_job_that_was_not_deployed_is_missing_and_a_foreign_schedule_is_no_job_that_can_be_seen(shop: Shop):
    shop.add_job()
    assert cells(shop)["t1-prod/nightly"]["standing"] == "missing"
    shop.inv("deploy.prod")
    ecs = schedule(shop)["Target"]["EcsParameters"]
    ecs["TaskDefinitionArn"] = ecs["TaskDefinitionArn"].replace("nightly:1", "billing:1")
    cell = cells(shop)["t1-prod/nightly"]
    assert (cell["standing"], "runs the family shop-t1-prod-billing" in cell["complaint"]) == ("unseen", True)


def test_a_job_whose_definition_names_the_tag_is_shown_with_what_the_tag_names(shop: Shop):
    shop.add_job("nightly", 'schedule = "rate(1 day)"', "dev")
    shop.inv("deploy.dev")
    shop.inv("tag.dev", "--commit", shop.commits["older"], "--allow-older")
    document = json.loads(shop.inv("status", "--tier", "dev", "--json").stdout)
    (cell,) = (each for each in document["cells"] if each["target"] == "t1-dev/nightly")
    assert (cell["commit"], cell["marks"]) == (shop.commits["older"], [])


def test_the_diff_shows_what_a_deploy_would_change_of_a_schedule(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    assert shop.inv("deploy.diff", "prod").code == 0
    shop.edit("envs/project.toml", "cron(0 3 * * ? *)", "cron(0 5 * * ? *)")
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 3
    lines = [line.strip() for line in ran.stdout.splitlines() if line.startswith(("+ ", "- "))]
    assert [line.split('"')[1] for line in lines] == ["ScheduleExpression"] * 2
    assert "cron(0 5 * * ? *)" in lines[1]


def test_the_diff_shows_the_schedule_of_a_job_that_is_not_there_yet(shop: Shop):
    shop.add_job()
    ran = shop.inv("deploy.diff", "prod", "--service", "nightly")
    assert ran.code == 3
    assert "(not deployed yet)" in ran.stdout and "cron(0 3 * * ? *)" in ran.stdout
    assert "TaskDefinitionArn" not in ran.stdout


def test_a_secret_in_the_input_of_a_schedule_is_masked_in_the_diff(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    command = {"name": "nightly", "environment": [{"name": "DB_PASSWORD", "value": "hunter2-hunter2"}]}
    with_template(shop, json.dumps({"Target": {"Input": json.dumps({"containerOverrides": [command]})}}))
    ran = shop.inv("deploy.diff", "prod", "--service", "nightly")
    assert (ran.code, "hunter2" in ran.stdout) == (3, False), ran.stdout


def with_template(shop: Shop, text: str) -> None:
    """The schedule of the job has this template."""
    (shop.root / "templates/nightly.schedule.json.j2").write_text(text)


WHOLE = """{
  "Name": "nightly-{{ tenant }}", "ScheduleExpressionTimezone": "Europe/Berlin", "State": "DISABLED",
  "Target": {
    "RoleArn": "arn:aws:iam::{{ account }}:role/schedule",
    "EcsParameters": {
      "LaunchType": "FARGATE",
      "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": {{ vars.subnets | tojson }}}}
    }
  }
}"""


def test_what_a_schedules_template_names_is_kept_so_its_name_and_state_too(shop: Shop):
    shop.add_job()
    with_template(shop, WHOLE)
    ran = shop.inv("deploy.prod")
    assert ran.code == 0, ran.stderr
    made = account(shop).schedules[REGION, "default", "nightly-t1"]
    assert (made["ScheduleExpressionTimezone"], made["State"]) == ("Europe/Berlin", "DISABLED")
    made["State"] = "ENABLED"
    assert cells(shop)["t1-prod/nightly"]["marks"] == ["drifted"]
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert account(shop).schedules[REGION, "default", "nightly-t1"]["State"] == "DISABLED"
    assert cells(shop)["t1-prod/nightly"]["marks"] == []


def back_and_forth(shop: Shop) -> None:
    """The older commit was released, then the newer one: the job ran revision 1, and runs 2."""
    shop.add_job("nightly", 'schedule = "rate(1 day)"')
    options = ("--override", "it is a test", "--allow-older")
    for commit in (shop.commits["older"], shop.commits["newer"]):
        ran = shop.inv("release.prod", "--commit", commit, *options)
        assert ran.code == 0, ran.stderr


def test_a_rollback_points_the_schedule_at_the_revision_of_then_and_leaves_the_rest(shop: Shop):
    back_and_forth(shop)
    assert runs(shop) == "shop-t1-prod-nightly:2"
    schedule(shop).update({"State": "DISABLED", "ScheduleExpression": "rate(2 days)"})
    ran = shop.inv("release.rollback", "prod")
    assert ran.code == 0, ran.stderr
    assert runs(shop) == "shop-t1-prod-nightly:1"
    assert (schedule(shop)["State"], schedule(shop)["ScheduleExpression"]) == ("DISABLED", "rate(2 days)")
    assert len(account(shop).families["shop-t1-prod-nightly"]) == 2
    assert cells(shop)["t1-prod/nightly"]["commit"] == shop.commits["older"]


def test_a_rollback_to_a_time_asks_no_service_deployments_of_a_job(shop: Shop):
    back_and_forth(shop)
    shop.endpoint.calls.clear()
    at = datetime.now(UTC).isoformat()
    ran = shop.inv("release.rollback", "prod", "--at", at, "--service", "nightly")
    assert ran.code == 0, ran.stderr
    assert shop.endpoint.operations()["ListServiceDeployments"] == 0
    assert runs(shop) == "shop-t1-prod-nightly:2"


def test_a_kill_between_the_mark_and_the_update_leaves_the_old_revision_and_the_next_deploy_finishes(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")
    shop.interrupt(lambda call: call.operation == "UpdateSchedule", then=lambda: None)
    ran = shop.inv("deploy.prod")
    assert ran.code in (0, 130)
    shop.endpoint.fault = None
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] in ("deployed", "unchanged")
    assert runs(shop) != "shop-t1-prod-nightly:1"


def test_the_log_of_a_jobs_recent_runs_is_shown(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    write_log(account(shop), "/ecs/shop-t1-prod-nightly", "nightly/nightly/task1", "counted 3 orders")
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1", "--service", "nightly")
    assert (ran.code, "counted 3 orders" in ran.stdout) == (0, True), ran.stderr


def asked(shop: Shop, *words: str) -> Counter[str]:
    """The calls of a command, without those that read the lock."""
    shop.endpoint.calls.clear()
    assert shop.inv(*words).code == 0
    return Counter({name: count for name, count in shop.endpoint.operations().items() if name != "GetParameter"})


def test_a_job_that_stays_costs_one_look_at_its_schedule_and_one_at_its_definition(shop: Shop):
    shop.inv("deploy.prod")
    without = asked(shop, "deploy.prod")
    shop.add_job()
    shop.inv("deploy.prod")
    assert asked(shop, "deploy.prod") - without == Counter(GetSchedule=2, DescribeTaskDefinition=2)
    board = asked(shop, "status", "--tier", "prod")
    assert (board["GetSchedule"], board["ListTasks"], board["DescribeTasks"]) == (2, 4, 2)


def test_a_job_that_changes_is_looked_at_once_more_before_its_schedule_is_updated(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    unchanged = asked(shop, "deploy.prod")
    for number in (1, 2):
        shop.edit(f"envs/t{number}.toml", "jobs.nightly.", "jobs.nightly.cpu = 2048\njobs.nightly.")
        shop.edit(f"envs/t{number}.toml", "cpu = 1024", "cpu = 1024\njobs.nightly.memory = 4096")
    changed = asked(shop, "deploy.prod")
    image = Counter(GetDownloadUrlForLayer=1, GetObject=1)
    named = Counter(DescribeSecret=4, GetRole=4)  # the execution role, and the schedule's
    written = Counter(RegisterTaskDefinition=2, TagResource=2, UpdateSchedule=2)
    assert changed - unchanged == image + named + written + Counter(GetSchedule=2)


def cut_off(shop: Shop, operation: str) -> None:
    """From that call on nothing that the command asks is answered, as if it were dead."""
    dead: list[bool] = []

    def fault(call: Call) -> AwsError | None:
        if call.operation == operation:
            dead.append(True)
        return AwsError("AccessDeniedException", "nobody is there") if dead else None

    shop.endpoint.fault = fault


def test_after_a_death_just_before_the_update_the_same_command_finishes(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")
    cut_off(shop, "UpdateSchedule")
    assert shop.inv("deploy.prod").code == 1
    shop.endpoint.fault = None
    assert runs(shop) == "shop-t1-prod-nightly:1"
    shop.inv("lock.release", "prod", "--yes")
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert runs(shop) == "shop-t1-prod-nightly:3"  # revision 2 has begun, and may have failed


@pytest.mark.waits
@pytest.mark.parametrize(("operation", "begun"), [("RegisterTaskDefinition", False), ("TagResource", True)])
def test_a_command_that_lost_its_lock_touches_no_schedule(
    shop: Shop, operation: str, begun: bool, monkeypatch: pytest.MonkeyPatch
):
    for module in (lock_holders, locks):
        monkeypatch.setattr(module, "SURE_S", (0.01, 0.01))
    monkeypatch.setattr(lock_holders, "_FRESH_S", 0.0)
    shop.add_job()
    shop.inv("deploy.prod")
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 512")

    def fault(call: Call) -> None:
        if call.operation == operation:
            shop.endpoint.cloud.account(REGISTRY).parameters.pop("/deploytasks/shop/prod/lock", None)

    shop.endpoint.fault = fault
    found = outcomes(shop, "deploy.prod", "--service", "nightly", "--tenant", "t1")
    assert (found["t1-prod/nightly"], runs(shop)) == ("not attempted", "shop-t1-prod-nightly:1")
    assert ("at" in record(shop, 2)) is begun


def test_a_job_whose_revision_was_deregistered_gets_a_copy(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    account(shop).families["shop-t1-prod-nightly"][0].members["status"] = "INACTIVE"
    assert cells(shop)["t1-prod/nightly"]["marks"] == ["inactive"]
    assert outcomes(shop, "deploy.prod")["t1-prod/nightly"] == "deployed"
    assert runs(shop) == "shop-t1-prod-nightly:2"


def test_a_job_calls_for_no_soak(shop: Shop):
    shop.add_job()
    shop.inv("deploy.prod")
    shop.soak("1s")
    shop.edit("envs/project.toml", "cron(0 3 * * ? *)", "cron(0 5 * * ? *)")
    ran = shop.inv("deploy.prod")
    assert (ran.code, "soak" in ran.stdout) == (0, False)


def test_a_role_that_may_not_tag_is_told_what_is_lost_and_the_job_is_deployed(shop: Shop):
    shop.add_job()
    shop.refuse("TagResource", "AccessDeniedException", tenant_account(1))
    ran = shop.inv("deploy.prod", "--service", "nightly")
    assert (ran.code, runs(shop)) == (0, "shop-t1-prod-nightly:1")
    assert "rollback and history will not know this revision" in ran.stdout


def test_a_role_of_several_jobs_is_looked_up_once_an_account(shop: Shop):
    shop.add_job()
    shop.add_job("weekly")
    shop.inv("deploy.prod")
    assert shop.endpoint.operations()["GetRole"] == 4  # in two accounts the execution role, and the schedules'


def test_a_role_that_two_services_assume_must_trust_both(shop: Shop):
    shop.add_job()
    shop.edit("envs/t1.toml", "role/schedule", "role/execution")
    only_ecs = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    account(shop).trust["execution"] = {"Statement": [only_ecs]}
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert "role/execution does not trust scheduler.amazonaws.com" in ran.stderr
