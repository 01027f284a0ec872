"""`inv deploy.logs` where tiers of one account write to the same streams: each is given its own tasks' lines."""

import json
from collections.abc import Callable

import pytest

from deploytasks import commands
from deploytasks.aws.run_task import start
from deploytasks.commands.logs import watch
from deploytasks.commands.run import prepare
from deploytasks.config.load import load
from deploytasks.model import Event, Logged
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_rollouts import open_service, settle
from tests.cloud.ecs_rollouts import start as begin
from tests.cloud.logs import write_log
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.oneoffs import ecs_client, logged, target
from tests.test_logs import MINUTES_10, Following

TIERS = ("dev", "staging", "prod")
SHARED = {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "app"}


def share(shop: Shop, *tiers: str) -> None:
    """The definitions that run in these tiers of t1 send their log to the same streams."""
    account = shop.endpoint.cloud.account(tenant_account(1))
    for tier in tiers:
        (revision,) = account.families[f"shop-t1-{tier}-api"]
        revision.members["containerDefinitions"][0]["logConfiguration"] = {"logDriver": "awslogs", "options": SHARED}


def tasks(shop: Shop, tier: str) -> list[str]:
    """The ids of the tasks in a tier's cluster, those that run now last."""
    return list(shop.endpoint.cloud.account(tenant_account(1)).clusters[f"t1-{tier}"].tasks)


def shares(shop: Shop, message: str, task: str, ago_s: float = 0) -> None:
    """A task has written into the shared group."""
    write_log(shop.endpoint.cloud.account(tenant_account(1)), "/ecs/shop", f"app/api/{task}", message, ago_s=ago_s)


@pytest.fixture
def shared(shop: Shop) -> Shop:
    """Dev, staging and prod of t1 share their streams, and each of their tasks has said where it runs."""
    share(shop, *TIERS)
    for tier in TIERS:
        for task in tasks(shop, tier):
            shares(shop, tier, task)
    return shop


@pytest.mark.parametrize("tier", TIERS)
def test_tiers_that_share_streams_are_each_given_the_lines_of_their_own_tasks(shared: Shop, tier: str):
    ran = shared.inv("deploy.logs", tier, "--tenant", "t1")
    assert (ran.code, ran.stderr) == (0, "")
    assert [line.rpartition("| ")[2] for line in ran.stdout.splitlines()] == [tier] * 2


def test_targets_that_are_read_together_share_no_line_either(shared: Shop):
    project, told = load(shared.root), list[Event]()
    watched = watch(project, [each for each in project.targets if each.environment.tenant == "t1"])
    assert commands.logs(watched, MINUTES_10, told.append) == ()
    lines = [event for event in told if isinstance(event, Logged)]
    assert len(lines) == 6
    assert all(str(line.target) == f"t1-{line.message}/api" for line in lines)
    assert shared.endpoint.operations()["DescribeServices"] == 3


def test_one_look_at_each_other_tier_and_one_at_the_tasks_is_what_it_costs(shared: Shop):
    shared.inv("deploy.logs", "prod", "--tenant", "t1")
    counted = dict(shared.endpoint.operations())
    assert counted == {
        "AssumeRole": 1,
        "DescribeServices": 3,
        "DescribeTaskDefinition": 3,
        "FilterLogEvents": 2,
        "DescribeTasks": 1,
    }


def test_a_one_off_task_of_a_target_is_its_own(shared: Shop):
    client = ecs_client(shared)
    running = {}
    for tier in TIERS:
        ready = prepare(load(shared.root), target(shared, f"t1-{tier}/api"), ["migrate"])
        running[tier] = start(client, ready.one_off, ready.author, {}).id
        shares(shared, f"{tier} migrates", running[tier])
    client.close()
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1", "--json")
    messages = [json.loads(line).get("message") for line in ran.stdout.splitlines()]
    assert messages == ["prod", "prod", "prod migrates", None]


def test_another_services_tasks_are_not_its_own_be_they_of_its_cluster_and_family(shared: Shop):
    account = shared.endpoint.cloud.account(tenant_account(1))
    other = open_service(account, account.clusters["t1-prod"], "api-blue", desired=1)
    begin(account, other, account.families["shop-t1-prod-api"][0]).ends_at = 0.0
    settle(account, other)
    shares(shared, "blue", tasks(shared, "prod")[-1])
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1")
    assert (ran.stdout.count("| prod"), ran.stdout.count("| blue")) == (2, 0)


def test_tasks_that_start_while_they_are_followed_are_told_apart_too_and_asked_about_once(shared: Shop):
    def roll_out(tier: str) -> Callable[[], None]:
        def rolled_out() -> None:
            account, service = shared.endpoint.cloud.account(tenant_account(1)), shared.service(1, tier)
            begin(account, service, account.families[f"shop-t1-{tier}-api"][0]).ends_at = 0.0
            settle(account, service)
            shares(shared, f"new {tier}", tasks(shared, tier)[-1])

        return rolled_out

    def goes_on() -> None:
        shares(shared, "last words", tasks(shared, "prod")[0])
        shares(shared, "goes on", tasks(shared, "prod")[-1])
        shares(shared, "goes on too", tasks(shared, "dev")[-1])

    following = Following(shared, roll_out("dev"), roll_out("prod"), goes_on)
    following.run()
    assert logged(following.told) == ["prod", "prod", "new prod", "last words", "goes on"]
    assert shared.endpoint.calls[tenant_account(1), "DescribeTasks"] == 3


def test_a_task_that_ecs_has_forgotten_keeps_its_lines_where_nobody_shares_them(shop: Shop):
    share(shop, "prod")
    shares(shop, "long gone", "0" * 32, ago_s=7000)
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1", "--since", "2h")
    assert (ran.code, ran.stdout.count("| long gone"), ran.stderr) == (0, 1, "")
    assert "DescribeTasks" not in shop.endpoint.operations()


def test_a_task_that_ecs_has_forgotten_is_nobodys_where_the_streams_are_shared_and_it_is_said(shared: Shop):
    shares(shared, "long gone", "0" * 32, ago_s=7000)
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1", "--since", "2h")
    assert (ran.code, ran.stdout.count("| long gone"), ran.stdout.count("| prod")) == (0, 0, 2)
    assert ran.stderr == (
        "t1-prod/api: without the lines of tasks that stopped more than an hour ago: "
        "t1-dev/api, t1-staging/api may write to the same streams\n"
        "    an `awslogs-stream-prefix` of its own tells all of them apart\n"
    )


def test_streams_that_are_no_tasks_are_nobodys_and_never_asked_about(shared: Shop):
    shares(shared, "by hand", "somebody")
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1")
    assert (ran.code, ran.stdout.count("\n"), "by hand" in ran.stdout) == (0, 2, False)


def refuse_in(shop: Shop, operation: str, cluster: str) -> None:
    def fault(call: Call) -> AwsError | None:
        hit = call.operation == operation and call.ask["cluster"] == cluster
        return AwsError("AccessDeniedException", "said no") if hit else None

    shop.endpoint.fault = fault


def test_an_environment_that_may_not_be_looked_at_may_share_the_streams(shared: Shop):
    del shared.endpoint.cloud.account(tenant_account(1)).clusters["t1-staging"]
    refuse_in(shared, "DescribeServices", "t1-dev")
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1", "--since", "2h")
    assert (ran.code, ran.stdout.count("| prod"), ran.stdout.count("\n")) == (0, 2, 2)
    assert "an hour ago: t1-dev/api may write" in ran.stderr


def test_an_environment_that_is_not_there_shares_nothing(shop: Shop):
    share(shop, "prod")
    clusters = shop.endpoint.cloud.account(tenant_account(1)).clusters
    del clusters["t1-staging"]
    clusters["t1-dev"].services.clear()
    shares(shop, "long gone", "0" * 32, ago_s=7000)
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1", "--since", "2h")
    assert (ran.code, ran.stdout.count("| long gone"), ran.stderr) == (0, 1, "")


def test_the_others_are_looked_at_with_the_credentials_of_the_one_that_is_read(shared: Shop):
    account = tenant_account(1)
    shared.edit("envs/t1.toml", "[tiers.dev]", f'[tiers.dev]\nrole = "arn:aws:iam::{account}:role/dev"')
    roles: set[str] = set()

    def note(call: Call) -> None:
        if call.operation == "AssumeRole":
            roles.add(call.ask["RoleArn"].rpartition("/")[2])

    shared.endpoint.fault = note
    assert shared.inv("deploy.logs", "prod", "--tenant", "t1").stdout.count("| prod") == 2
    assert roles == {"deploy"}


def test_an_environment_of_another_region_is_looked_at_there_and_writes_elsewhere(shared: Shop):
    shared.edit("envs/t1.toml", "[tiers.staging]", '[tiers.staging]\nregion = "eu-west-1"')
    watched = watch(load(shared.root), [target(shared)])
    assert [source.shared_with for source in watched.sources] == [("t1-dev/api",)]
    assert ("ecs", "eu-west-1") in {(service, access.region) for service, access in watched.clients._clients}


def test_where_ecs_does_not_tell_whose_a_task_is_no_line_is_shown_and_it_is_said(shared: Shop):
    refuse_in(shared, "DescribeTasks", "t1-prod")
    ran = shared.inv("deploy.logs", "prod", "--tenant", "t1")
    assert (ran.code, ran.stdout) == (1, "")
    assert "t1-prod/api: log group /ecs/shop can't be read: DescribeTasks: AccessDeniedException" in ran.stderr
    assert "\n    allow DescribeTasks to the role" in ran.stderr
