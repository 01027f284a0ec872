"""One-off tasks before a deploy: each must end well before its service is touched, and none succeeds twice."""

import json
import threading
from typing import Any

import pytest

from deploytasks.aws import follow_task
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_services import NETWORK
from tests.cloud.ecs_tasks import Script
from tests.cloud.world import tenant_account
from tests.commands import Shop

pytestmark = pytest.mark.waits
ACCOUNT = tenant_account(1)


@pytest.fixture
def migrating(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Before each deploy of `api`, its database is migrated and then seeded; no log is waited for as long as AWS's."""
    monkeypatch.setattr(follow_task, "QUIET_S", 0.2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.1)
    steps = 'before_deploy = [["./manage", "migrate"], ["./manage", "seed"]]'
    shop.edit("envs/project.toml", "[services.api]", f"[services.api]\n{steps}")
    return shop


def begun(shop: Shop, number: int = 1) -> list[list[str]]:
    """The commands of the one-off tasks that were started in the tenant's account, in their order."""
    return [one.ask["overrides"]["containerOverrides"][0]["command"] for one in tasks(shop, number)]


def tasks(shop: Shop, number: int = 1) -> list[Any]:
    return list(shop.endpoint.cloud.account(tenant_account(number)).one_offs.values())


def scripted(shop: Shop, **scripts: Script) -> None:
    """What ./manage does with each of its words."""
    shop.endpoint.cloud.scripts = lambda command: scripts.get(command[1], Script())


def test_every_environment_runs_them_in_order_with_the_new_revision_before_its_service_is_touched(migrating: Shop):
    order: list[str] = []
    migrating.endpoint.fault = lambda call: order.append(call.operation) if call.account == ACCOUNT else None
    ran = migrating.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2})
    for number in (1, 2):
        assert begun(migrating, number) == [["./manage", "migrate"], ["./manage", "seed"]]
        assert {one.revision.arn for one in tasks(migrating, number)} == {
            migrating.service(number, "prod").deployments[0].revision
        }
    wrote = [operation for operation in order if operation in ("RegisterTaskDefinition", "RunTask", "UpdateService")]
    assert wrote == ["RegisterTaskDefinition", "RunTask", "RunTask", "UpdateService"]


def test_they_run_where_the_services_own_tasks_run(migrating: Shop):
    assert migrating.inv("release.prod").code == 0
    ask = tasks(migrating)[0].ask
    assert ask["networkConfiguration"] == NETWORK
    assert ask["launchType"] == "FARGATE"


def test_their_lines_are_streamed(migrating: Shop):
    scripted(migrating, migrate=Script(lines=["adding column paid_at"]))
    ran = migrating.inv("release.prod", "--json")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    said = {line["target"]: line["message"] for line in lines if line["event"] == "log"}
    assert said == {"t1-prod/api": "adding column paid_at", "t2-prod/api": "adding column paid_at"}


def test_a_step_that_fails_leaves_that_service_untouched_and_is_explained(migrating: Shop):
    scripted(migrating, migrate=Script(lines=["column exists"], exit=3))
    before = [migrating.service(number, "prod").deployments[0].id for number in (1, 2)]
    ran = migrating.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"failed": 2})
    result = ran.summary["results"][0]
    assert "step 1 of 2, ./manage migrate ended with exit code 3; its service was not touched" in result["detail"]
    assert result["tasks"][0]["log"] == ["column exists"]
    assert before == [migrating.service(number, "prod").deployments[0].id for number in (1, 2)]
    assert begun(migrating) == [["./manage", "migrate"]]


def test_a_failed_step_is_named_with_the_way_to_its_log_and_runs_again(migrating: Shop):
    scripted(migrating, migrate=Script(exit=3))
    assert migrating.inv("release.prod", "--json").summary["resume"] == (
        "before_deploy failed: ./manage migrate in t1-prod/api, t2-prod/api\n"
        "to see its log: inv deploy.logs prod --tenant t1,t2 --service api\n"
        "to run the failed step again, and then go on: inv deploy.prod"
    )


def test_before_the_first_deploy_no_log_is_promised(migrating: Shop):
    scripted(migrating, migrate=Script(exit=3))
    request = {"desiredCount": 1, "launchType": "FARGATE", "networkConfiguration": NETWORK}
    (migrating.root / "templates/api.service.json.j2").write_text(json.dumps(request))
    migrating.endpoint.cloud.account(ACCOUNT).clusters["t1-prod"].services.clear()
    resume = migrating.inv("release.prod", "--tenant", "t1", "--json").summary["resume"]
    assert [line.partition(":")[0] for line in resume.splitlines()] == [
        "before_deploy failed",
        "to run the failed step again, and then go on",
    ]


def test_a_release_that_came_no_further_than_its_steps_is_never_gone_back_to(migrating: Shop):
    words = ["--allow-older", "--override", "test"]
    scripted(migrating, migrate=Script(exit=3))
    assert migrating.inv("release.prod", "--commit", migrating.commits["older"], *words).code == 1
    scripted(migrating)
    assert migrating.inv("release.prod", "--commit", migrating.commits["newer"], *words).code == 0
    ran = migrating.inv("release.rollback", "prod")
    assert (ran.code, "is skipped: its rollouts failed" in ran.stdout) == (2, True), ran.stdout


def test_one_tenants_failed_step_leaves_the_other_to_its_release(migrating: Shop):
    first = threading.Event()

    def scripts(command: list[str]) -> Script:
        failing = not first.is_set()
        first.set()
        return Script(exit=1 if failing else 0)

    migrating.endpoint.cloud.scripts = scripts
    assert migrating.inv("release.prod", "--json").summary["outcomes"] == {"deployed": 1, "failed": 1}


def test_a_resumed_release_goes_on_with_the_step_that_failed(migrating: Shop):
    scripted(migrating, seed=Script(exit=1))
    assert migrating.inv("release.prod").code == 1
    scripted(migrating)
    assert migrating.inv("deploy.prod", "--json").summary["outcomes"] == {"deployed": 2}
    assert begun(migrating) == [["./manage", "migrate"], ["./manage", "seed"], ["./manage", "seed"]]


def test_a_release_that_died_after_the_steps_runs_none_again(migrating: Shop):
    migrating.refuse("UpdateService", "AccessDeniedException")
    assert migrating.inv("release.prod").code == 1
    migrating.endpoint.fault = None
    assert migrating.inv("deploy.prod", "--json").summary["outcomes"] == {"deployed": 2}
    assert begun(migrating) == [["./manage", "migrate"], ["./manage", "seed"]]


def test_a_step_whose_success_was_not_recorded_is_known_by_its_task(migrating: Shop):
    def fault(call: Call) -> AwsError | None:
        return AwsError("AccessDeniedException", "no") if call.operation in ("TagResource", "UpdateService") else None

    migrating.endpoint.fault = fault
    assert migrating.inv("release.prod").code == 1
    migrating.endpoint.fault = None
    assert migrating.inv("deploy.prod").code == 0
    assert begun(migrating) == [["./manage", "migrate"], ["./manage", "seed"]]


def test_a_step_that_outlived_its_release_is_followed_and_not_begun_again(migrating: Shop):
    scripted(migrating, migrate=Script(lasts_s=3))
    seen = threading.Event()

    def die(call: Call) -> AwsError | None:
        if call.operation == "DescribeTasks" and not seen.is_set():
            return AwsError("AccessDeniedException", "no")
        return None

    migrating.endpoint.fault = die
    ran = migrating.inv("release.prod")
    assert (ran.code, "can no longer be seen, and goes on" in ran.stdout) == (1, True)
    seen.set()
    assert migrating.inv("deploy.prod").code == 0
    assert begun(migrating) == [["./manage", "migrate"], ["./manage", "seed"]]


def test_what_runs_already_needs_no_step(migrating: Shop):
    assert migrating.inv("release.prod").code == 0
    count = len(tasks(migrating))
    assert migrating.inv("release.prod", "--json").summary["outcomes"] == {"unchanged": 2}
    assert len(tasks(migrating)) == count


def test_another_image_runs_them_again(migrating: Shop):
    assert migrating.inv("release.prod").code == 0
    older = migrating.commits["older"]
    words = ["--commit", older, "--allow-older", "--override", "test"]
    assert migrating.inv("release.prod", *words).code == 0
    assert len(begun(migrating)) == 4


def test_a_forced_deployment_of_a_moved_tag_runs_them_with_the_running_revision(migrating: Shop):
    assert migrating.inv("deploy.dev", "--force").code == 0
    ran = migrating.inv("tag.dev", "--commit", migrating.commits["older"], "--allow-older")
    assert ran.code == 0, ran.stderr
    before = len(begun(migrating))
    registered = migrating.endpoint.operations()["RegisterTaskDefinition"]
    assert migrating.inv("deploy.dev", "--json").summary["outcomes"] == {"deployed": 2}
    assert (len(begun(migrating)), registered) == (
        before + 2,
        migrating.endpoint.operations()["RegisterTaskDefinition"],
    )


def test_going_back_runs_none(migrating: Shop):
    for commit in ("older", "newer"):
        words = ["--commit", migrating.commits[commit], "--allow-older", "--override", "test"]
        assert migrating.inv("release.prod", *words).code == 0
    count = len(begun(migrating))
    assert migrating.inv("release.rollback", "prod").code == 0
    assert len(begun(migrating)) == count


def test_a_plan_says_what_will_run_first(migrating: Shop):
    ran = migrating.inv("release.prod", "--dry-run")
    assert ran.code == 0
    assert (
        "first, in each environment where it has not run for this image: ./manage migrate; ./manage seed" in ran.stdout
    )
    assert tasks(migrating) == []


def test_a_template_that_leaves_open_which_container_runs_them_is_refused_before_any_change(migrating: Shop):
    template = migrating.root / "templates/api.json.j2"
    whole = json.loads(migrating.inv("envs.render", "t1-prod").stdout)
    (container,) = whole["containerDefinitions"]
    twins = [{**container, "name": name, "image": "{{ image }}"} for name in ("web", "queue")]
    template.write_text(json.dumps({**whole, "family": "{{ family }}", "containerDefinitions": twins}))
    ran = migrating.inv("release.prod")
    assert ran.code == 2
    assert "t1-prod/api: before_deploy: no container of its definition runs " in ran.stderr
    assert migrating.writes() == {}


def deployments(shop: Shop, number: int) -> list[str]:
    return [shop.service(number, "prod", name).deployments[0].id for name in ("api", "worker")]


@pytest.mark.parametrize("of", ["api", "worker"])
@pytest.mark.parametrize("wave", ["", "\n[tiers.prod.services.worker]\nwave = 2\n"])
def test_no_service_of_an_environment_is_touched_before_the_steps_of_all_its_services_ended_well(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, of: str, wave: str
):
    monkeypatch.setattr(follow_task, "QUIET_S", 0.2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.1)
    shop.add_running_service("worker")
    shop.edit("envs/project.toml", f"[services.{of}]\n", f'[services.{of}]\nbefore_deploy = [["./manage", "{of}"]]\n')
    for number in (1, 2):
        file = shop.root / f"envs/t{number}.toml"
        file.write_text(file.read_text() + wave)
    before = {number: deployments(shop, number) for number in (1, 2)}
    done: list[str] = []

    def scripts(command: list[str]) -> Script:
        done.append(command[1])
        return Script(exit=(len(done) == 1 and 3) or 0)

    shop.endpoint.cloud.scripts = scripts
    ran = shop.inv("deploy.prod", "--json")
    assert ran.code == 1, ran.stderr
    summary = ran.summary
    ends = {each["target"]: (each["outcome"], each["detail"]) for each in summary["results"]}
    (lost,) = (tenant for tenant in ("t1", "t2") if ends[f"{tenant}-prod/api"][0] != "deployed")
    assert {ends[f"{lost}-prod/{each}"][0] for each in ("api", "worker")} <= {"failed", "not attempted"}
    if not wave:
        why = f"not touched, because before_deploy of {of} failed in {lost}-prod"
        assert ends[f"{lost}-prod/{'worker' if of == 'api' else 'api'}"] == ("not attempted", why)
    number = int(lost[1:])
    assert before[number] == deployments(shop, number)
    assert "deployed" in {outcome for name, (outcome, _) in ends.items() if not name.startswith(lost)}
