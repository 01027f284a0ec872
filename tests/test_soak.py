"""Between waves: what was rolled out must stay healthy through the soak, or no further target gets it."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from deploytasks import rollout as rollouts
from deploytasks.aws.session import Clients
from deploytasks.errors import Interrupted
from deploytasks.model import Author, Plan, Target, Told
from deploytasks.rollout.soak import first_problems
from deploytasks.rules.soak import HealthProblem
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import tenant_account
from tests.given import target
from tests.rollouts import TIER, carry_out, fated, replaced_once_seen, rollout, service

SOAK = replace(TIER, soak_s=300)


def waves(cloud, *numbers: int):
    return tuple((rollout(cloud, number),) for number in numbers)


def outcomes(results) -> list[str]:
    return [each.outcome for each in results]


def test_the_next_wave_waits_until_the_soak_is_over(cloud, clock):
    results, told = carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK)
    assert outcomes(results) == ["deployed", "deployed"]
    assert 30 + 300 + 30 + 300 <= clock.now < 700
    said = [event.message for event in told if isinstance(event, Told) and event.step == "soak"]
    assert said == ["1 target watched for 300 s", "2 targets watched for 300 s"]


@pytest.mark.parametrize("native", [True, False])
def test_a_canary_that_becomes_unhealthy_in_the_soak_stops_the_rest_and_is_restored(cloud, clock, native):
    cloud.cloud.native = native
    fated(cloud, {1: Fate(death=Death(lines=["out of memory"]), sick_s=60)})
    results, _ = carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK)
    assert outcomes(results) == ["unhealthy", "not attempted"]
    assert "in the soak: " in results[0].detail
    assert "It was restored to shop-t1-prod-api:1." in results[0].detail
    assert results[0].tasks[0].log == ("out of memory",)
    assert cloud.calls[tenant_account(2), "UpdateService"] == 0
    assert clock.now < 30 + 300


def test_a_target_that_was_unchanged_is_watched_and_never_restored(cloud, clock):
    service(cloud, 1).deployments[0].fate = Fate(death=Death(), sick_s=0)
    still = rollout(cloud, 1, action="nothing", request=None)
    results, _ = carry_out(cloud, clock, (still, rollout(cloud, 2)), (rollout(cloud, 3),), tier=SOAK)
    assert outcomes(results) == ["unhealthy", "deployed", "not attempted"]
    assert cloud.calls[tenant_account(1), "UpdateService"] == 0


ONE, TWO = target("t1"), target("t2")
SHORT, DIED = HealthProblem("1 of 2 tasks run", may_pass=True), HealthProblem("1 task died")


def looks(seconds: float, *found: Mapping[Target, HealthProblem]) -> tuple[Mapping[Target, HealthProblem], float]:
    """What a soak of so many seconds ends with, and when, if the looks find this, the last of it from then on."""
    now, left = [0.0], list(found)

    def sleep(pause_s: float) -> None:
        now[0] += pause_s

    def look(*, is_last: bool) -> Mapping[Target, HealthProblem]:
        return left.pop(0) if len(left) > 1 else left[0]

    return first_problems(look, seconds, lambda: now[0], sleep), now[0]


def test_a_healthy_target_is_looked_at_to_the_end():
    assert looks(300, {}) == ({}, 300)


def test_a_task_that_died_ends_the_soak_at_once():
    assert looks(300, {}, {ONE: DIED}) == ({ONE: DIED}, 60)


def test_what_is_short_for_a_moment_is_healthy():
    assert looks(300, {}, {ONE: SHORT}, {}) == ({}, 300)


def test_what_is_short_at_two_looks_is_not_though_another_is_short_at_the_first_alone():
    assert looks(300, {ONE: SHORT, TWO: SHORT}, {ONE: SHORT}) == ({ONE: SHORT}, 60)


@pytest.mark.parametrize(("after", "expected"), [({}, {}), ({ONE: SHORT}, {ONE: SHORT}), ({TWO: SHORT}, {})])
def test_one_that_is_short_shortly_before_the_end_has_as_much_time_as_at_any_other_look(after, expected):
    nine = [{}] * 9
    assert looks(300, *nine, {ONE: SHORT}, after) == (expected, 330)


def test_services_that_scale_out_one_after_the_other_do_not_prolong_the_soak_for_ever():
    alternately = [{ONE: SHORT}, {TWO: SHORT}] * 50
    assert looks(300, *alternately) == ({}, 330)


def test_somebody_elses_deployment_in_the_soak_ends_it_and_is_left_alone(cloud, clock):
    replaced_once_seen(cloud, 1, after=lambda: clock.now > 60)
    results, _ = carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK)
    assert outcomes(results) == ["superseded", "not attempted"]
    assert cloud.calls[tenant_account(1), "UpdateService"] == 1


def test_a_wave_in_which_nothing_was_rolled_out_needs_no_soak(cloud, clock):
    still = rollout(cloud, 1, action="nothing", request=None)
    results, _ = carry_out(cloud, clock, (still,), (rollout(cloud, 2),), tier=SOAK)
    assert outcomes(results) == ["unchanged", "deployed"]
    assert clock.now < 30 + 300 + 60


def test_a_target_that_cannot_be_seen_twice_is_not_known_to_be_healthy(cloud, clock):
    def deny(call: Call) -> AwsError | None:
        hidden = call.operation == "DescribeServices" and clock.now > 60
        return AwsError("AccessDeniedException", "no") if hidden else None

    cloud.fault = deny
    results, _ = carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK)
    assert outcomes(results) == ["failed", "not attempted"]
    assert "it could not be seen: DescribeServices: AccessDeniedException" in results[0].detail


def test_ctrl_c_in_the_soak_names_what_was_not_attempted(cloud, clock):
    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 60:
            raise KeyboardInterrupt

    clock.sleep = sleep
    with pytest.raises(Interrupted) as caught:
        carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK)
    assert str(caught.value) == (
        "prod: interrupted in the soak: whether the new tasks stay healthy is not watched\n"
        "t2-prod/api: interrupted: not attempted, it runs what it ran"
    )


def test_ctrl_c_in_the_soak_ends_all_asking_again(cloud, clock):
    def leave(_wave: int, _watch) -> str:
        raise KeyboardInterrupt

    clients = Clients(Author("somebody"))
    resources = rollouts.Resources(clients, lambda _: None, clock, clock.sleep)
    with pytest.raises(Interrupted):
        rollouts.carry_out(Plan(TIER, waves=waves(cloud, 1)), resources, before_wave=leave)
    assert clients.stopped.is_set()


def test_each_wave_asks_for_leave_and_a_no_stops_all_that_follow(cloud, clock):
    asked: list[int] = []

    def leave(wave: int, _watch) -> str:
        asked.append(wave)
        return "another shard's target failed" if len(asked) > 1 else ""

    results, _ = carry_out(cloud, clock, *waves(cloud, 1, 2), before_wave=leave)
    assert outcomes(results) == ["deployed", "not attempted"]
    assert results[1].detail == "another shard's target failed"


def test_whoever_gives_leave_lets_our_own_targets_soak(cloud, clock):
    fated(cloud, {1: Fate(death=Death(), sick_s=60)})

    def leave(_wave: int, watch) -> str:
        watch()
        return ""

    results, _ = carry_out(cloud, clock, *waves(cloud, 1, 2), tier=SOAK, before_wave=leave)
    assert outcomes(results) == ["unhealthy", "not attempted"]
