"""Services of one environment roll out in the order of their `after`: whole commands against the simulated AWS."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from deploytasks.aws import follow_task
from tests.cloud.accounts import Account, AwsError, Call
from tests.cloud.ecs_definitions import Revision
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.ecs_services import Service
from tests.cloud.ecs_tasks import Script
from tests.cloud.world import run_everywhere, tenant_account
from tests.commands import REGISTRY, Shop
from tests.proxy import Cut, Rule
from tests.rollouts import BREAKER
from tests.test_kill import Releases
from tests.warm import warmed

pytestmark = pytest.mark.waits


NAMES = ("api", "worker", "mailer")


def ordered_by(shop: Shop) -> Shop:
    """The shop with `worker` after `api`, and `mailer` after that."""
    shop.add_running_service("worker", keys='after = ["api"]')
    shop.add_running_service("mailer", keys='after = ["worker"]')
    return shop


@pytest.fixture
def ordered(shop: Shop) -> Shop:
    """Two tenants with services in order; a rollout takes a moment."""
    shop.endpoint.cloud.rollout_s = 0.2
    return ordered_by(shop)


def touched(shop: Shop) -> list[str]:
    """From now on, the services that are updated, in that order: `t1/api`."""
    found: list[str] = []
    accounts = {tenant_account(number): f"t{number}" for number in range(1, 3)}

    def note(call: Call) -> None:
        if call.operation == "UpdateService":
            found.append(f"{accounts[call.account]}/{call.ask['service']}")

    shop.endpoint.fault = note
    return found


def dies(shop: Shop, number: int, name: str) -> None:
    """The next deployment of that service dies, and ECS rolls it back."""
    shop.service(number, "prod", name).configuration = BREAKER
    left = [tenant_account(number)]

    def fate(account: Account, service: Service, _: Revision) -> Fate:
        if service.name != name or account.id not in left:
            return Fate()
        left.remove(account.id)
        return Fate(death=Death(), trips_s=0)

    shop.endpoint.cloud.fates = fate


def ends(shop_ran: Any) -> dict[str, str]:
    return {result["target"]: result["outcome"] for result in shop_ran.summary["results"]}


def said(shop_ran: Any, target: str) -> str:
    (detail,) = (result["detail"] for result in shop_ran.summary["results"] if result["target"] == target)
    return str(detail)


def rolled_out_one_after_another(shop: Shop, *numbers: int) -> bool:
    """Whether in each environment no service's last deployment began before that of the one that goes first ended."""
    last = [[shop.service(number, "prod", name).deployments[0] for name in NAMES] for number in numbers or (1, 2)]
    return all(first.ends_at <= then.created_at for each in last for first, then in pairwise(each))


def test_services_of_one_image_are_released_together(shop: Shop):
    shop.add_running_service("worker")
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 4}), ran.stderr
    assert shop.writes() == {"UpdateService": 4, "RegisterTaskDefinition": 4, "TagResource": 4}


def test_a_service_is_touched_once_the_one_that_goes_first_in_its_environment_has_ended_well(ordered: Shop):
    ran = ordered.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 6}), ran.stderr
    assert rolled_out_one_after_another(ordered)


def test_environments_do_not_wait_for_each_other(ordered: Shop):
    slow = tenant_account(1)
    ordered.endpoint.cloud.fates = lambda account, *_: Fate(lasts_s=1.5) if account.id == slow else Fate()
    assert ordered.inv("release.prod").code == 0
    slow_api, other = (ordered.service(*each).deployments[0] for each in ((1, "prod"), (2, "prod", "mailer")))
    assert other.ends_at < slow_api.ends_at
    assert rolled_out_one_after_another(ordered)


def test_with_one_at_a_time_an_environment_is_finished_before_the_next_begins(ordered: Shop):
    ordered.edit("envs/project.toml", 'tag = "immutable"', 'tag = "immutable"\nparallel = 1')
    found = touched(ordered)
    assert ordered.inv("release.prod").code == 0
    assert found == ["t1/api", "t1/worker", "t1/mailer", "t2/api", "t2/worker", "t2/mailer"]


def test_a_failed_one_leaves_those_after_it_in_its_environment_not_attempted_and_no_other_one(ordered: Shop):
    dies(ordered, 1, "api")
    found = touched(ordered)
    ran = ordered.inv("release.prod", "--json")
    assert ran.code == 1
    assert ends(ran) == {
        "t1-prod/api": "rolled back",
        "t1-prod/worker": "not attempted",
        "t1-prod/mailer": "not attempted",
        **dict.fromkeys(("t2-prod/api", "t2-prod/worker", "t2-prod/mailer"), "deployed"),
    }
    why = "not touched, because api, which goes first in t1-prod, ended as rolled back"
    assert said(ran, "t1-prod/worker") == said(ran, "t1-prod/mailer") == why
    assert not {"t1/worker", "t1/mailer"} & set(found)


def test_what_does_not_wait_for_the_failed_one_is_rolled_out(ordered: Shop):
    dies(ordered, 1, "worker")
    ran = ordered.inv("release.prod", "--tenant", "t1", "--json")
    assert list(ends(ran).values()) == ["deployed", "rolled back", "not attempted"]
    why = "not touched, because worker, which goes first in t1-prod, ended as rolled back"
    assert said(ran, "t1-prod/mailer") == why


def test_the_same_command_again_finishes_what_was_not_attempted(ordered: Shop):
    dies(ordered, 1, "api")
    failed = ordered.inv("release.prod", "--json")
    assert "inv deploy.prod --tenant t1" in failed.summary["resume"]
    found = touched(ordered)
    assert ordered.inv("deploy.prod", "--tenant", "t1").code == 0
    assert found == ["t1/api", "t1/worker", "t1/mailer"]


def test_a_service_in_a_later_wave_stays_untouched_too_where_the_tier_goes_on_after_a_failure(ordered: Shop):
    ordered.edit("envs/project.toml", 'tag = "immutable"', 'tag = "immutable"\non_failure = "continue"')
    for name in ("worker", "mailer"):
        ordered.edit("envs/project.toml", f"[defaults.services.{name}]\n", f"[defaults.services.{name}]\nwave = 2\n")
    dies(ordered, 1, "api")
    ran = ordered.inv("release.prod", "--json")
    assert list(ends(ran).values()) == ["rolled back", "deployed", *["not attempted"] * 2, *["deployed"] * 2]
    assert "because api, which goes first in t1-prod, ended as rolled back" in said(ran, "t1-prod/mailer")


def test_where_the_one_that_goes_first_is_not_selected_there_is_no_constraint(ordered: Shop):
    found = touched(ordered)
    assert ordered.inv("deploy.prod", "--tenant", "t1", "--service", "mailer,api").code == 0
    assert found == ["t1/api", "t1/mailer"]
    assert ordered.inv("deploy.prod", "--tenant", "t2", "--service", "worker").code == 0
    assert found == ["t1/api", "t1/mailer", "t2/worker"]


def test_absent_services_are_no_constraint_but_those_before_them_are(ordered: Shop):
    ordered.edit("envs/t1.toml", "[tiers.prod]", "[tiers.prod]\nservices.worker.absent = true")
    found = touched(ordered)
    assert ordered.inv("deploy.prod", "--tenant", "t1").code == 0
    assert found == ["t1/api", "t1/mailer"]


def test_the_steps_of_all_services_run_before_any_is_touched(ordered: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow_task, "QUIET_S", 0.2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.1)
    ordered.edit("envs/project.toml", 'after = ["api"]', 'after = ["api"]\nbefore_deploy = [["./manage", "migrate"]]')
    order: list[str] = []
    account = tenant_account(1)
    wanted = ("RunTask", "UpdateService")
    ordered.endpoint.fault = lambda call: (
        order.append(call.operation) if call.account == account and call.operation in wanted else None
    )
    assert ordered.inv("release.prod", "--tenant", "t1").code == 0
    assert order == ["RunTask", *["UpdateService"] * 3]


def test_a_failed_step_of_a_later_service_is_explained_at_that_service(ordered: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow_task, "QUIET_S", 0.2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.1)
    ordered.edit("envs/project.toml", 'after = ["api"]', 'after = ["api"]\nbefore_deploy = [["./manage", "migrate"]]')
    ordered.endpoint.cloud.scripts = lambda _: Script(lines=["column exists"], exit=3)
    found = touched(ordered)
    ran = ordered.inv("release.prod", "--tenant", "t1", "--json")
    assert (ran.code, found) == (1, [])
    assert list(ends(ran).values()) == ["not attempted", "failed", "not attempted"]
    assert "./manage migrate ended with exit code 3; its service was not touched" in said(ran, "t1-prod/worker")
    held = "not touched, because before_deploy of worker failed in t1-prod"
    assert said(ran, "t1-prod/api") == said(ran, "t1-prod/mailer") == held
    assert ran.summary["resume"].startswith("before_deploy failed: ./manage migrate in t1-prod/worker\n")


@pytest.mark.parametrize("task", [("deploy.prod",), ("release.prod",), ("release.rollback", "prod")])
def test_no_wait_is_refused_with_services_in_order(ordered: Shop, task: tuple[str, ...]):
    ran = ordered.inv(*task, "--no-wait")
    assert ran.code == 2
    assert (
        "prod: --no-wait with services in order: worker after api, mailer after api and worker\n"
        "    leave --no-wait out, or name services that come after no other one with --service\n"
    ) in ran.stderr
    assert not ordered.writes()


def test_no_wait_is_allowed_with_one_service_alone(ordered: Shop):
    ran = ordered.inv("deploy.prod", "--service", "worker", "--no-wait", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"started": 2})


def test_a_job_is_no_reason_to_refuse_no_wait_though_it_comes_after_all_services(shop: Shop):
    shop.add_job()
    ran = shop.inv("deploy.prod", "--no-wait", "--json")
    assert ran.code == 0, ran.stderr
    assert {target: outcome for target, outcome in ends(ran).items() if target.startswith("t1")} == {
        "t1-prod/api": "started",
        "t1-prod/nightly": "deployed",
    }


def test_a_rollback_goes_back_in_the_same_order(ordered: Shop):
    older = ordered.commits["older"]
    assert ordered.inv("release.prod", "--commit", older, "--allow-older", "--override", "test").code == 0
    assert ordered.inv("release.prod").code == 0
    ran = ordered.inv("release.rollback", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 6}), ran.stderr
    assert rolled_out_one_after_another(ordered)


def test_a_rollback_that_fails_at_the_first_service_leaves_the_later_ones(ordered: Shop):
    older = ordered.commits["older"]
    assert ordered.inv("release.prod", "--commit", older, "--allow-older", "--override", "test").code == 0
    assert ordered.inv("release.prod").code == 0
    dies(ordered, 2, "api")
    ran = ordered.inv("release.rollback", "prod", "--json")
    assert [outcome for target, outcome in ends(ran).items() if target.startswith("t2")] == [
        "rolled back",
        "not attempted",
        "not attempted",
    ]
    found = touched(ordered)
    assert ordered.inv("release.rollback", "prod").code == 0
    assert found == ["t2/api", "t2/worker", "t2/mailer"]


def test_a_shard_keeps_the_order_of_its_environments(ordered: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert ordered.inv("release.matrix", "prod", "--shards", "2").code == 0
    for shard in ("1/2", "2/2"):
        assert ordered.inv("deploy.prod", "--shard", shard).code == 0
    assert rolled_out_one_after_another(ordered)


def test_waiting_follows_whatever_is_under_way_all_at_once(ordered: Shop):
    ordered.endpoint.cloud.rollout_s = 300
    for name in ("mailer", "worker"):
        assert ordered.inv("deploy.prod", "--tenant", "t1", "--service", name, "--no-wait").code == 0
    ordered.rolls_out_until_followed()
    ran = ordered.inv("deploy.wait", "prod", "--tenant", "t1", "--json")
    assert (ran.code, list(ends(ran).values())) == (0, ["unchanged", "deployed", "deployed"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_what_waits_untouched_and_the_same_command_finishes(
    ordered: Shop, number: signal.Signals
):
    ordered.interrupt(lambda call: call.operation == "UpdateService" and call.ask["service"] == "api", number)
    ran = ordered.inv("deploy.prod", "--tenant", "t1")
    assert ran.code == 130
    for name in ("worker", "mailer"):
        assert f"t1-prod/{name}: interrupted: not attempted, it runs what it ran" in ran.stderr
    found = touched(ordered)
    assert ordered.inv("deploy.prod", "--tenant", "t1").code == 0
    assert found == ["t1/worker", "t1/mailer"]
    assert rolled_out_one_after_another(ordered, 1)


def test_a_service_that_aws_refuses_to_update_holds_back_those_after_it(ordered: Shop):
    def refuse(call: Call) -> AwsError | None:
        denied = call.operation == "UpdateService" and call.ask["service"] == "worker"
        return AwsError("AccessDeniedException", "no") if denied else None

    ordered.endpoint.fault = refuse
    ran = ordered.inv("deploy.prod", "--tenant", "t1", "--json")
    assert list(ends(ran).values()) == ["deployed", "failed", "not attempted"]
    assert said(ran, "t1-prod/mailer").endswith("worker, which goes first in t1-prod, ended as failed")


def test_the_plan_says_the_order(ordered: Shop):
    text = ordered.inv("deploy.prod", "--dry-run").stdout
    assert "then worker, after api, in each environment\n" in text
    assert "then mailer, after api and worker, in each environment\n" in text
    told = map(json.loads, ordered.inv("deploy.prod", "--dry-run", "--json").stdout.splitlines())
    (plan,) = (line for line in told if line["event"] == "planned")
    waits = {each["service"]: each["after"] for wave in plan["plan"]["waves"] for each in wave}
    assert waits == {"api": [], "worker": ["api"], "mailer": ["api", "worker"]}


def test_what_only_registers_says_nothing_of_an_order(ordered: Shop):
    ran = ordered.inv("deploy.register", "prod", "--dry-run")
    assert ("mailer" in ran.stdout, "then mailer" in ran.stdout) == (True, False)


def test_a_plan_in_which_nothing_waits_says_nothing_of_an_order(ordered: Shop):
    assert ordered.inv("deploy.prod", "--service", "api,worker").code == 0
    assert "then mailer" not in ordered.inv("deploy.prod", "--dry-run").stdout


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("kill-order")
    with warmed(folder, 2) as warm:
        yield Releases(folder / "repo", warm)


def killed_at(releases: Releases, root: Path, number: int) -> str:
    """What is wrong after t1's n-th update is the last thing that a killed release did, and the same command again."""
    with releases.one(root) as release:
        shop = Shop(root, release.endpoint, {}, lambda: ("", ""))
        for name in ("worker", "mailer"):
            run_everywhere(release.endpoint.cloud, release.endpoint.world, name)
        kill = Rule(Cut("after", release.kill), "UpdateService", tenant_account(1), skip=number, times=1)
        first, second = release.run(kill), release.run()
        begun = [sum("has started" in event for event in shop.service(1, "prod", name).events) for name in NAMES]
        if (first.code, second.code, begun) == (-signal.SIGKILL, 0, [2, 2, 2]) and rolled_out_one_after_another(shop):
            return ""
        return f"update {number}: {first.code}, {second.code}, {begun}\n{second}"


def test_killed_between_two_services_the_same_command_again_takes_the_order_up(releases: Releases, tmp_path: Path):
    root = tmp_path / "ordered"
    copytree(releases.root, root)
    with releases.one(root) as release:
        ordered_by(Shop(root, release.endpoint, {}, lambda: ("", ""))).commit()
    with ThreadPoolExecutor(2) as pool:
        wrong = list(pool.map(partial(killed_at, releases, root), range(len(NAMES))))
    assert [each for each in wrong if each] == []


def test_without_its_lock_a_release_begins_no_later_service(ordered: Shop):
    def stolen(call: Call) -> None:
        if call.operation == "UpdateService" and call.ask["service"] == "api":
            held = ordered.endpoint.cloud.account(REGISTRY).parameters["/deploytasks/shop/prod/lock"]
            held["Value"] = json.dumps({**json.loads(held["Value"]), "by": "bob", "token": "bob's"})

    ordered.endpoint.fault = stolen
    ran = ordered.inv("deploy.prod", "--tenant", "t1", "--json")
    assert list(ends(ran).values()) == ["deployed", "not attempted", "not attempted"]
    assert "bob" in said(ran, "t1-prod/worker")
    assert said(ran, "t1-prod/mailer").endswith("worker, which goes first in t1-prod, ended as not attempted")


def test_the_soak_comes_once_after_all_services_of_the_wave(ordered: Shop):
    ordered.soak("1s")
    found = touched(ordered)
    ran = ordered.inv("deploy.prod", "--tenant", "t1", "--json")
    assert (ran.code, len(found)) == (0, 3)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["message"] for line in lines if line.get("step") == "soak"] == ["3 targets watched for 1 s"]
