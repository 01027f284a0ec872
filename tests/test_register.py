"""Every changed definition is registered before a tag moves: what ECS refuses there is refused in time."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_definitions import register
from tests.cloud.world import tenant_account
from tests.commands import Shop

pytestmark = pytest.mark.waits
ONE, TWO = tenant_account(1), tenant_account(2)
REFUSED = "Invalid setting for container 'api'. At least one of 'memory' or 'memoryReservation' must be specified."
CHANGING = ["release.prod", "deploy.prod"]


def on(operation: str, code: str, message: str = "no", *accounts: str) -> Callable[[Call], AwsError | None]:
    """AWS answers the operation with an error, in these accounts or in all; ServerException is its own failure."""

    def fault(call: Call) -> AwsError | None:
        hit = call.operation == operation and (not accounts or call.account in accounts)
        return AwsError(code, message, 500 if code == "ServerException" else 400) if hit else None

    return fault


def family(shop: Shop, number: int = 1) -> list[Any]:
    """The revisions of the tenant's family, oldest first; one ran before anything was done."""
    return shop.endpoint.cloud.account(tenant_account(number)).families[f"shop-t{number}-prod-api"]


def older(shop: Shop) -> None:
    """The tier names the older commit, so that a release has a tag to move."""
    repository = shop.endpoint.cloud.account("012345678922").repositories["api"]
    repository.tags["prod"] = repository.tags[shop.commits["older"]]


@pytest.mark.parametrize("command", CHANGING)
def test_what_ecs_refuses_of_any_target_is_refused_before_any_tag_or_service_changes(shop: Shop, command: str):
    older(shop)
    before, runs = shop.tags(), [shop.service(number, "prod").deployments[0].id for number in (1, 2)]
    shop.endpoint.fault = on("RegisterTaskDefinition", "ClientException", REFUSED, TWO)
    ran = shop.inv(command)
    assert (ran.code, shop.tags()) == (2, before)
    assert [shop.service(number, "prod").deployments[0].id for number in (1, 2)] == runs
    assert f"t2-prod/api: RegisterTaskDefinition: ClientException: {REFUSED}" in ran.stderr
    assert f"prod: no tag was moved and no service touched\n    to go on: inv {command}\n" in ran.stderr
    assert set(shop.writes()) == {"RegisterTaskDefinition"}


@pytest.mark.quick
def test_all_refusals_of_all_targets_come_at_once(shop: Shop):
    shop.endpoint.fault = on("RegisterTaskDefinition", "ClientException", REFUSED)
    ran = shop.inv("deploy.prod")
    assert (ran.code, ran.stderr.count(REFUSED)) == (2, 2)


def test_a_refusal_beside_a_target_that_was_out_of_reach_is_a_refusal_that_names_both(shop: Shop):
    def fault(call: Call) -> AwsError | None:
        if call.operation != "RegisterTaskDefinition":
            return None
        return (
            AwsError("ClientException", REFUSED) if call.account == ONE else AwsError("ServerException", "later", 500)
        )

    shop.endpoint.fault = fault
    ran = shop.inv("deploy.prod")
    assert (ran.code, "t1-prod/api: " in ran.stderr, "t2-prod/api: " in ran.stderr) == (2, True, True)


def test_aws_out_of_reach_is_a_failure_that_says_nothing_changed_and_how_to_go_on(shop: Shop):
    before = shop.tags()
    shop.endpoint.fault = on("RegisterTaskDefinition", "ServerException", "later", ONE)
    ran = shop.inv("release.prod")
    assert (ran.code, shop.tags()) == (1, before)
    assert "prod: no tag was moved and no service touched\n    to go on: inv release.prod\n" in ran.stderr


def test_the_next_attempt_adopts_what_was_registered_and_records_its_own_release_on_it(shop: Shop):
    older(shop)
    shop.endpoint.fault = on("RegisterTaskDefinition", "ClientException", REFUSED, TWO)
    assert shop.inv("release.prod").code == 2
    (_, first), shop.endpoint.fault = family(shop), None
    assert "deploytasks:at" not in first.tags
    first.tags["deploytasks:release"], first.tags["deploytasks:override"] = "prod-20260101T000000Z", "of then"
    ran = shop.inv("release.prod")
    assert (ran.code, "2 definitions registered, 1 of them earlier" in ran.stdout) == (0, True)
    assert [len(family(shop, number)) for number in (1, 2)] == [2, 2]
    new, other = family(shop)[1].tags, family(shop, 2)[1].tags
    assert new["deploytasks:release"] == other["deploytasks:release"] == "prod-20260203T040506Z"
    assert (new["deploytasks:override"], "deploytasks:at" in new) == ("", True)


def test_what_is_adopted_has_not_ended_any_more(shop: Shop):
    assert shop.inv("deploy.register", "prod").code == 0
    family(shop)[-1].tags["deploytasks:ended"] = "superseded"
    assert shop.inv("deploy.prod").code == 0
    assert (len(family(shop)), family(shop)[-1].tags["deploytasks:ended"]) == (2, "")
    assert "deploytasks:ended" not in family(shop, 2)[-1].tags


def test_a_definition_that_names_the_release_is_registered_anew(shop: Shop):
    older(shop)
    shop.edit(
        "templates/api.json.j2",
        '"containerDefinitions"',
        '"volumes": [{"name": {{ release | tojson }} }], "containerDefinitions"',
    )
    shop.endpoint.fault = on("PutImage", "ClientException")
    shop.endpoint.cloud.clock = lambda: 1.8e9
    assert shop.inv("release.prod").code == 1
    family(shop)[1].members["volumes"] = [{"name": "prod-20260101T000000Z"}]
    shop.endpoint.fault = None
    assert shop.inv("release.prod").code == 0
    assert len(family(shop)) == 3


STRANGERS = {
    "begun": {"deploytasks:project": "shop", "deploytasks:version": "0.1.0", "deploytasks:at": "2026-01-02T03:04:05Z"},
    "of an older deploytasks": {"deploytasks:project": "shop"},
    "another project's": {"deploytasks:project": "bill", "deploytasks:version": "0.1.0"},
    "another tool's": {},
}


@pytest.mark.parametrize("tags", STRANGERS.values(), ids=STRANGERS)
def test_only_what_is_ours_and_has_not_begun_is_adopted(shop: Shop, tags: dict[str, str]):
    shop.endpoint.fault = on("UpdateService", "AccessDeniedException")
    shop.inv("deploy.prod")
    for number in (1, 2):
        family(shop, number)[-1].tags = dict(tags)
    shop.endpoint.fault = None
    assert shop.inv("deploy.prod").code == 0
    assert [len(family(shop, number)) for number in (1, 2)] == [3, 3]


def test_another_definition_on_top_hides_what_could_be_adopted_since_none_older_is_searched(shop: Shop):
    shop.endpoint.fault = on("RegisterTaskDefinition", "ClientException", REFUSED, TWO)
    shop.inv("deploy.prod")
    shop.endpoint.fault = None
    container = {"name": "api", "image": "x", "memory": 1}
    register(shop.endpoint.cloud.account(ONE), {"family": "shop-t1-prod-api", "containerDefinitions": [container]})
    assert shop.inv("deploy.prod").code == 0
    assert len(family(shop)) == 4


def newest(code: str) -> Callable[[Call], AwsError | None]:
    """AWS answers who asks for a family's newest revision with an error."""
    fault = on("DescribeTaskDefinition", code)
    return lambda call: fault(call) if ":" not in call.ask.get("taskDefinition", ":") else None


def test_who_may_not_read_the_newest_revision_registers_anew(shop: Shop):
    shop.endpoint.fault = newest("AccessDeniedException")
    assert shop.inv("deploy.prod").code == 0


def test_who_cannot_read_the_newest_revision_is_refused_before_anything_changes(shop: Shop):
    shop.endpoint.fault = newest("InvalidParameterException")
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert "t1-prod/api: DescribeTaskDefinition: InvalidParameterException" in ran.stderr


def test_it_has_begun_before_its_service_is_touched(shop: Shop):
    order: list[str] = []
    shop.endpoint.fault = lambda call: order.append(call.operation) if call.account == ONE else None
    assert shop.inv("deploy.prod").code == 0
    wrote = [each for each in order if each.startswith(("Register", "Tag", "Update"))]
    assert wrote == ["RegisterTaskDefinition", "TagResource", "UpdateService"]


def test_who_may_not_tag_rolls_out_and_is_told_what_is_lost(shop: Shop):
    shop.endpoint.fault = on("TagResource", "AccessDeniedException")
    ran = shop.inv("deploy.prod")
    assert (ran.code, "rollback and history will not know this revision" in ran.stdout) == (0, True)
    assert "deploytasks:at" not in family(shop)[-1].tags


def test_where_tagging_fails_otherwise_the_service_is_not_touched(shop: Shop):
    shop.endpoint.fault = on("TagResource", "InvalidParameterException", "no", ONE)
    ran = shop.inv("deploy.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"deployed": 1, "failed": 1})
    assert shop.endpoint.calls[ONE, "UpdateService"] == 0


def test_a_dry_run_registers_nothing(shop: Shop):
    assert shop.inv("release.prod", "--dry-run").code == 0
    assert shop.writes() == {}


def test_a_release_that_never_began_is_neither_in_the_history_nor_gone_back_to(shop: Shop):
    assert shop.inv("release.prod").code == 0
    begun = family(shop)[-1]
    words = ["--commit", shop.commits["older"], "--allow-older", "--override", "x"]
    shop.endpoint.fault = on("TagResource", "InvalidParameterException")
    assert shop.inv("release.prod", *words).code == 1
    shop.endpoint.fault = None
    assert "deploytasks:at" not in family(shop)[-1].tags
    ran = shop.inv("release.rollback", "prod", "--dry-run", "--json")
    assert ran.code == 0, ran.stderr
    assert shop.service(1, "prod").deployments[0].revision == begun.arn


def test_registering_alone_moves_no_tag_touches_no_service_and_names_each_revision(shop: Shop):
    before, runs = shop.tags(), [shop.service(number, "prod").deployments[0].id for number in (1, 2)]
    ran = shop.inv("deploy.register", "prod")
    assert (ran.code, shop.tags()) == (0, before)
    assert [shop.service(number, "prod").deployments[0].id for number in (1, 2)] == runs
    assert all(f"t{number}-prod/api: {family(shop, number)[-1].arn}" in ran.stdout for number in (1, 2))
    assert shop.writes() == {"RegisterTaskDefinition": 2}
    again = shop.inv("deploy.register", "prod", "--json").summary
    assert [(each["earlier"], each["revision"]) for each in again["registered"]] == [
        (True, family(shop, number)[-1].arn) for number in (1, 2)
    ]


def test_what_was_registered_alone_is_what_the_deploy_rolls_out(shop: Shop):
    assert shop.inv("deploy.register", "prod", "--tenant", "t1").code == 0
    assert shop.inv("deploy.prod").code == 0
    assert [len(family(shop, number)) for number in (1, 2)] == [2, 2]
    assert shop.service(1, "prod").deployments[0].revision == family(shop)[-1].arn


def test_registering_alone_obeys_the_gate_and_a_hold(shop: Shop):
    ran = shop.inv("deploy.register", "prod", "--to", shop.commits["older"])
    assert (ran.code, shop.writes()) == (2, {})
    assert shop.inv("lock.acquire", "prod", "--reason", "x").code == 0
    assert (shop.inv("deploy.register", "prod").code, shop.writes()) == (2, {})


def test_registering_alone_says_that_there_is_nothing_or_what_it_would_do(shop: Shop):
    assert shop.inv("deploy.register", "prod", "--dry-run").code == 0
    assert shop.writes() == {}
    assert shop.inv("deploy.prod").code == 0
    ran = shop.inv("deploy.register", "prod")
    assert (ran.code, "nothing to do" in ran.stdout) == (0, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("arn:aws:iam::{{ account }}:role/execution", "execution"),
        ('"networkMode"', '"tags": [{"key": "team", "value": "a"}],\n  "networkMode"'),
    ],
    ids=["a short name of a role", "a tag of the template's, and a robot's"],
)
def test_what_ecs_and_others_made_of_a_registered_revision_is_adopted_all_the_same(shop: Shop, old: str, new: str):
    shop.edit("templates/api.json.j2", old, new)
    assert shop.inv("deploy.register", "dev").code == 0
    registered = shop.endpoint.operations()["RegisterTaskDefinition"]
    for number in (1, 2):
        revisions = shop.endpoint.cloud.account(tenant_account(number)).families[f"shop-t{number}-dev-api"]
        revisions[-1].tags["cost-center"] = "7"
    assert shop.inv("deploy.dev", "--json").summary["outcomes"] == {"deployed": 2}
    assert shop.endpoint.operations()["RegisterTaskDefinition"] == registered
