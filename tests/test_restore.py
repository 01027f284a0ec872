"""A target whose rollout fails goes back to what it ran steadily, by ECS or by us; and what is said of it."""

import json

import pytest
from msgspec.structs import replace

from deploytasks.model import Fallback, Live, Progress
from deploytasks.rules import plan
from tests import given
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import IMAGE, tenant_account
from tests.rollouts import (
    BREAKER,
    DIES,
    TIER,
    carry_out,
    container,
    fated,
    is_look,
    replaced_once_seen,
    rollout,
    service,
    target,
)

BEFORE = "shop-t1-prod-api:1"
SHORT = replace(TIER, timeout_s=120)


def running(cloud, number: int = 1) -> str:
    """The revision that the tenant's service is on, once everything has settled."""
    return service(cloud, number).deployments[0].revision.rpartition("/")[2]


@pytest.mark.parametrize("native", [True, False])
def test_a_rollout_that_times_out_is_restored(cloud, clock, native):
    cloud.cloud.native = native
    fated(cloud, {1: DIES})
    (result,), told = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)
    assert (
        result.detail == f"not finished after 120 s. 25 tasks failed one after the other. It was restored to {BEFORE}."
    )
    assert (result.running, result.desired) == (2, 2)
    assert result.tasks[0].log == ("no database",)
    assert "restoring" in [event.state for event in told if isinstance(event, Progress)]
    assert cloud.operations()["UpdateService"] == (1 if native else 2)
    tags = service(cloud, 1).tags["deploytasks:undone"]
    assert (
        tags == f"{service(cloud, 1).deployments[0].id} not finished after 120 s. 25 tasks failed one after the other"
    )


def test_a_breaker_without_rollback_leaves_it_to_us(cloud, clock):
    cloud.cloud.native = False
    service(cloud, 1).configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)
    assert "tasks failed to start. It was restored to" in result.detail


def test_what_ecs_takes_back_itself_is_left_to_ecs(cloud, clock):
    service(cloud, 1).configuration = BREAKER
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)
    assert (cloud.operations()["UpdateService"], cloud.operations()["StopServiceDeployment"]) == (1, 0)


def test_what_ecs_takes_back_is_known_though_it_calls_the_lost_one_in_progress_for_a_while(cloud, clock):
    cloud.cloud.native = False
    service(cloud, 1).configuration = BREAKER
    fated(cloud, {1: replace(DIES, lags_s=60)})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, cloud.operations()["UpdateService"]) == ("rolled back", 1)


def test_no_restore_leaves_it_as_it_is(cloud, clock):
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT, restore=False)
    assert (result.outcome, running(cloud)) == ("timed out", "f1:1")
    assert "it goes on at AWS" in result.detail
    assert (cloud.operations()["UpdateService"], cloud.operations()["StopServiceDeployment"]) == (1, 0)


def test_a_definition_that_names_a_tag_goes_back_to_the_digest_that_ran(cloud, clock):
    cloud.cloud.native = False
    fated(cloud, {1: DIES})
    before = {"family": "shop-t1-prod-api", "containerDefinitions": [container(f"{IMAGE}:prod")], "revision": 1}
    ran = f"{IMAGE}@sha256:{'7' * 64}"
    back = Fallback("arn:before", before, {f"{IMAGE}:prod": ran}, {"project": "shop", "by": "ada"})
    carry_out(cloud, clock, (rollout(cloud, 1, fallback=back),), tier=SHORT)
    registered = cloud.cloud.account(tenant_account(1)).families["shop-t1-prod-api"][-1]
    assert (registered.images, registered.tags["deploytasks:by"]) == ({"api": ran}, "ada")
    assert service(cloud, 1).deployments[0].revision == registered.arn


def test_what_cannot_be_restored_says_so_and_stays_a_failure(cloud, clock):
    cloud.cloud.native = False
    fated(cloud, {1: DIES})
    updates = iter([None, AwsError("AccessDeniedException", "no")])
    cloud.fault = lambda call: next(updates) if call.operation == "UpdateService" else None
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert result.outcome == "timed out"
    assert "It was not restored: UpdateService: AccessDeniedException: no; it goes on at AWS" in result.detail


def test_a_first_deployment_has_nothing_to_go_back_to(cloud, clock):
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1, fallback=None),), tier=SHORT)
    assert result.outcome == "timed out"
    assert "It was not restored: nothing that ran steadily before is known" in result.detail


def test_a_way_back_that_fails_too_is_told_with_both_reasons(cloud, clock):
    cloud.cloud.native = False
    fated(cloud, {1: DIES}, then=DIES)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert result.outcome == "timed out"
    assert result.detail.count("not finished after 120 s") == 2


def test_somebody_elses_deployment_is_not_undone(cloud, clock):
    replaced_once_seen(cloud, 1)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "superseded"
    assert (cloud.operations()["UpdateService"], cloud.operations()["StopServiceDeployment"]) == (1, 0)


@pytest.mark.parametrize("native", [True, False])
def test_a_deployment_that_began_after_the_last_look_is_not_undone(cloud, clock, native):
    cloud.cloud.native = native
    fated(cloud, {1: DIES})
    replaced_once_seen(cloud, 1, at="ListTasks")  # while the report asks why its tasks died
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert result.outcome == "superseded"
    assert result.detail.endswith("It was not restored: another deployment took its place")
    assert cloud.operations()["UpdateService"] == 1


def test_one_that_ecs_is_about_to_take_back_when_its_time_is_over_is_not_restored_twice(cloud, clock):
    fated(cloud, {1: replace(DIES, obeys_s=60)})

    def roll_back(call: Call) -> None:
        record = service(cloud, 1).history[0]
        if call.operation == "DescribeServices" and clock.now > 100:
            cloud.fault = None
            record.stop, record.status = ("ROLLBACK", cloud.cloud.clock()), "ROLLBACK_REQUESTED"

    cloud.fault = roll_back
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)
    assert (cloud.operations()["UpdateService"], cloud.operations()["StopServiceDeployment"]) == (1, 0)


@pytest.mark.parametrize("native", [True, False])
def test_one_that_ecs_took_back_since_the_last_look_is_left_to_ecs(cloud, clock, native):
    cloud.cloud.native = native
    service(cloud, 1).configuration = BREAKER
    fated(cloud, {1: replace(DIES, trips_s=150)})

    def time_passes(call: Call) -> None:
        clock.now += 40 if call.operation == "ListTasks" else 0

    cloud.fault = time_passes
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)
    assert (cloud.operations()["UpdateService"], cloud.operations()["StopServiceDeployment"]) == (1, 0)


def test_one_that_somebody_aborted_stays_where_it_stands(cloud, clock):
    fated(cloud, {1: DIES})

    def abort(call: Call) -> None:
        if is_look(cloud, call):
            cloud.fault = None
            service(cloud, 1).history[0].stop = ("ABORT", cloud.cloud.clock())

    cloud.fault = abort
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, running(cloud)) == ("failed", "f1:1")
    assert result.detail.endswith("It was not restored: it was stopped without a rollback")


@pytest.mark.parametrize("native", [True, False])
def test_one_that_completes_after_the_last_look_is_deployed_and_not_restored(cloud, clock, native):
    cloud.cloud.native = native
    fated(cloud, {1: Fate(lasts_s=150)})

    def time_passes(call: Call) -> None:
        clock.now += 60 if call.operation == "ListTasks" else 0

    cloud.fault = time_passes
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, result.running) == ("deployed", 2)
    assert cloud.operations()["UpdateService"] == 1


def test_an_answer_from_before_the_way_back_is_taken_for_what_it_is(cloud, clock):
    cloud.cloud.native = False
    service(cloud, 1).configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    fated(cloud, {1: DIES})
    hidden = []

    def hide_it_once(call: Call) -> None:
        listed = service(cloud, 1).deployments
        if hidden:
            listed[0].status, cloud.fault = "ACTIVE", None
            listed.insert(0, hidden.pop())
        elif call.operation == "DescribeServices" and cloud.operations()["UpdateService"] == 2:
            hidden.append(listed.pop(0))
            listed[0].status = "PRIMARY"

    cloud.fault = hide_it_once
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, running(cloud)) == ("rolled back", BEFORE)


def test_one_tenants_way_back_holds_no_other_back(cloud, clock):
    fated(cloud, {1: DIES})
    results, _ = carry_out(cloud, clock, tuple(rollout(cloud, n) for n in (1, 2)), tier=SHORT)
    assert [each.outcome for each in results] == ["rolled back", "deployed"]
    assert results[1].duration_s < 40


def test_where_ecs_refuses_to_stop_it_a_deployment_of_what_ran_before_does_it(cloud, clock):
    fated(cloud, {1: DIES})
    cloud.fault = lambda call: (
        AwsError("AccessDeniedException", "no") if call.operation == "StopServiceDeployment" else None
    )
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SHORT)
    assert (result.outcome, cloud.operations()["UpdateService"]) == ("rolled back", 2)


def test_the_way_back_is_the_revision_that_ran_where_that_pins_its_digest():
    assert plan.fallback(given.live()) == Fallback(given.REVISION)


def test_a_tag_is_pinned_to_the_digest_that_was_seen():
    tagged = given.live(runs=f"{given.HOST}/api:dev", digests=(given.OLD_DIGEST,), revision_tags={"by": "ada"})
    found = plan.fallback(tagged)
    assert found == Fallback(
        given.REVISION,
        tagged.definition,
        {f"{given.HOST}/api:dev": f"{given.HOST}/api@{given.OLD_DIGEST}"},
        {"by": "ada"},
    )


def test_a_tag_whose_digest_nobody_knows_is_gone_back_to_as_it_stands():
    assert plan.fallback(given.live(runs=f"{given.HOST}/api:dev")) == Fallback(given.REVISION)


def test_while_a_rollout_is_under_way_the_steady_deployment_behind_it_is_the_way_back():
    steady = given.deployment("COMPLETED", "ACTIVE", id="ecs-svc/0", revision="arn:old")
    live = given.live(given.deployment("IN_PROGRESS"), steady)
    assert plan.fallback(live) == Fallback("arn:old")


@pytest.mark.parametrize("live", [Live(target(1)), given.live(given.deployment("FAILED"))])
def test_nothing_that_ran_steadily_is_no_way_back(live):
    assert plan.fallback(live) is None


@pytest.mark.waits
def test_the_board_and_only_failed_know_of_it_until_something_else_is_rolled_out(shop):
    shop.endpoint.cloud.native = False
    shop.edit("envs/project.toml", "[tiers.prod]", '[tiers.prod]\ntimeout = "1s"')
    left = [DIES, DIES]
    shop.endpoint.cloud.fates = lambda *_: left.pop() if left else Fate()
    ran = shop.inv("release.prod", "--json")
    assert ran.summary["outcomes"] == {"rolled back": 2}
    board = json.loads(shop.inv("status", "--tier", "prod", "--json").stdout)
    assert {cell["standing"] for cell in board["cells"]} == {"rolled back"}
    assert "not finished after 1 s" in board["cells"][0]["detail"]
    assert shop.inv("deploy.wait", "prod", "--json").summary["outcomes"] == {"rolled back": 2}
    assert shop.inv("deploy.prod", "--only-failed", "--json").summary["outcomes"] == {"deployed": 2}
    board = json.loads(shop.inv("status", "--tier", "prod", "--json").stdout)
    assert {cell["standing"] for cell in board["cells"]} == {"completed"}


def refuse_what_aws_refuses(call: Call) -> AwsError | None:
    """RegisterTaskDefinition takes no empty list of tags, and none with AWS's own prefix."""
    tags = call.ask.get("tags") if call.operation == "RegisterTaskDefinition" else None
    if tags is not None and (not tags or any(tag["key"].lower().startswith("aws:") for tag in tags)):
        return AwsError("ClientException", "Tags can not be empty, or have this prefix.")
    return None


@pytest.mark.waits
@pytest.mark.parametrize("carried", [{}, {"aws:cloudformation:stack-name": "shop"}])
def test_services_that_others_made_go_back_to_the_image_that_ran_though_their_tag_has_moved(shop, carried):
    shop.edit("envs/project.toml", "[tiers.prod]", '[tiers.prod]\npin = "digest"')
    shop.endpoint.cloud.native = False
    before = set(shop.service(1, "prod").deployments[0].digests.values())
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
        for revision in shop.endpoint.cloud.account(tenant_account(number)).families[f"shop-t{number}-prod-api"]:
            revision.tags = dict(carried)
            revision.members["containerDefinitions"][0]["image"] = f"{IMAGE}:prod"
    shop.endpoint.fault = refuse_what_aws_refuses
    left = [Fate(death=Death(), trips_s=0)] * 2
    shop.endpoint.cloud.fates = lambda *_: left.pop() if left else Fate()
    ran = shop.inv("release.prod", "--json")
    assert ran.summary["outcomes"] == {"rolled back": 2}
    assert shop.tags()["prod"] not in before
    for number in (1, 2):
        assert set(shop.service(number, "prod").deployments[0].digests.values()) == before


@pytest.mark.waits
def test_a_service_that_is_being_deleted_is_refused_before_any_change_and_not_made_anew(shop):
    (shop.root / "templates/api.service.json.j2").write_text('{"desiredCount": 2}')
    shop.service(1, "prod").status = "DRAINING"
    ran = shop.inv("release.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert ran.stderr == (
        "t1-prod/api: the ECS service is being deleted: its last tasks drain\n    run it again once it is gone\n"
    )
