"""Before a wave begins, every earlier target of the tier has arrived, whichever runner moves it. Time is made here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploytasks import commands, rollout
from deploytasks.commands import desired_images, rollouts
from deploytasks.commands.barrier import Barrier
from deploytasks.commands.context import begin
from deploytasks.config.load import load
from deploytasks.model import Command, Event, Options, Scope, Told
from tests import project
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_fates import Fate
from tests.cloud.ecs_rollouts import settle, start
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account
from tests.commands import Shop
from tests.rollouts import BREAKER, DIES, fated

BEGAN = 1_800_000_000.0


class Stage:
    """Four tenants: t1 and t2 in wave 1, t3 in wave 2, t4 in wave 3. Time passes only when the barrier sleeps."""

    def __init__(self, root: Path, endpoint: Endpoint) -> None:
        self.root, self.endpoint, self.told = root, endpoint, list[Event]()
        self.now = BEGAN
        self.slept: list[float] = []
        self.meanwhile: list[Callable[[], None]] = []
        endpoint.cloud.clock = lambda: self.now

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def barrier(self, **policy: str) -> Barrier:
        """The barrier of a tier with that policy, in a run that began just now."""
        file = self.root / "envs/project.toml"
        lines = "".join(f'{key} = "{value}"\n' for key, value in {"soak": "0s", **policy}.items())
        file.write_text(file.read_text().replace('after = "staging"\nsoak = "0s"\n', f'after = "staging"\n{lines}'))
        context = begin(Command.DEPLOY, load(self.root), Scope("prod"), Options(), self.told.append)
        wanted = desired_images.to_deploy(context)
        since = datetime.fromtimestamp(self.now, UTC)
        self.now += 1
        made = Barrier(
            context,
            lambda lives: rollouts.rollouts(context, lives, wanted),
            since,
            clock=self.clock,
            sleep=self.sleep,
        )
        made.remember(3)
        return made

    def service(self, number: int, name: str = "api") -> Any:
        return self.endpoint.cloud.account(tenant_account(number)).clusters[f"t{number}-prod"].services[name]

    def deploy(self, *numbers: int, services: tuple[str, ...] = ("api",)) -> None:
        """Another runner rolls these services of these tenants out, and is done with it."""
        for service in services:
            scope = Scope("prod", tenants=tuple(f"t{n}" for n in numbers), services=(service,))
            report = commands.deploy(load(self.root), scope, Options(wait=False, allow_dirty=True))
            assert {result.outcome for result in report.results} <= {"started", "unchanged"}
            for number in numbers:
                settle(self.endpoint.cloud.account(tenant_account(number)), self.service(number, service))

    def restored(self, number: int) -> None:
        """The tenant's first revision runs again, by a new deployment."""
        account = self.endpoint.cloud.account(tenant_account(number))
        start(account, self.service(number), account.families[f"shop-t{number}-prod-api"][0])
        settle(account, self.service(number))

    def said(self, step: str) -> list[str]:
        return [event.message for event in self.told if isinstance(event, Told) and event.step == step]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    root = tmp_path / "repo"
    commits = dict(project.write(root, tenants=4))
    for number, wave in ((3, 2), (4, 3)):
        file = root / f"envs/t{number}.toml"
        file.write_text(file.read_text().replace("cluster =", f"wave = {wave}\ncluster ="))
    with Endpoint(World(tenants=4, commits=commits), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield Stage(root, endpoint)


def test_the_first_wave_waits_for_nobody_and_asks_nobody(stage: Stage):
    barrier = stage.barrier()
    stage.endpoint.calls.clear()
    assert barrier(1) == ""
    assert not stage.endpoint.operations()


def test_a_wave_begins_as_soon_as_the_last_target_of_the_waves_before_has_arrived(stage: Stage):
    barrier = stage.barrier()
    stage.meanwhile = [lambda: stage.deploy(1), lambda: None, lambda: stage.deploy(2)]
    assert barrier(2) == ""
    assert stage.slept == [1.0, 1.0, 1.0]
    assert stage.said("wait")[0].startswith("wave 2 waits for 2 of earlier waves: t1-prod/api: it still runs sha256:")


def test_a_third_wave_waits_for_the_second_too(stage: Stage):
    barrier = stage.barrier()
    stage.deploy(1, 2)
    stage.meanwhile = [lambda: stage.deploy(3)]
    assert barrier(3) == ""
    assert len(stage.slept) == 1


def test_who_has_arrived_is_not_looked_at_again(stage: Stage):
    barrier = stage.barrier()
    stage.deploy(1)
    stage.endpoint.calls.clear()
    stage.meanwhile = [lambda: None, lambda: None, lambda: stage.deploy(2)]
    assert barrier(2) == ""
    looks = [stage.endpoint.calls[tenant_account(number), "DescribeServices"] for number in (1, 2)]
    assert looks[0] == 1 and looks[1] >= 4


@pytest.mark.slow
def test_it_looks_ever_more_seldom_but_every_ten_seconds_at_least(stage: Stage):
    assert stage.barrier(timeout="10m")(2) != ""
    assert stage.slept[0] == 1.0 and max(stage.slept) == 10.0
    assert stage.slept == sorted(stage.slept)
    assert len(stage.said("wait")) <= 11


@pytest.mark.slow
@pytest.mark.parametrize(("wave", "timeout_s"), [(2, 60 + 5), (3, 2 * (60 + 5))])
def test_it_waits_no_longer_than_each_earlier_wave_may_take(stage: Stage, wave: int, timeout_s: int):
    barrier = stage.barrier(timeout="60s", soak="5s")
    began = stage.now
    why = barrier(wave)
    assert why.startswith("after ") and "t1-prod/api: it still runs sha256:" in why
    assert timeout_s <= stage.now - began < timeout_s + 15


def with_worker(stage: Stage) -> None:
    """Each tenant has a worker too, which is rolled out after the api."""
    Shop(stage.root, stage.endpoint, {}, lambda: ("", "")).add_running_service("worker", keys='after = ["api"]')


@pytest.mark.slow
def test_it_waits_as_long_as_each_stage_of_an_earlier_wave_may_take(stage: Stage):
    with_worker(stage)
    barrier, began = stage.barrier(timeout="60s", soak="5s"), stage.now
    assert barrier(2).startswith("after ")
    assert 2 * 60 + 5 <= stage.now - began < 2 * 60 + 5 + 15


def test_where_the_tier_goes_on_nobody_waits_for_what_comes_after_a_lost_one(stage: Stage):
    with_worker(stage)
    barrier = stage.barrier(on_failure="continue")
    stage.deploy(1, services=("api", "worker"))
    stage.deploy(2)
    stage.now += 60
    stage.restored(2)
    assert barrier(2) == ""
    assert stage.slept == []


def test_a_target_that_was_restored_is_lost(stage: Stage):
    barrier = stage.barrier()
    stage.deploy(1, 2)
    stage.now += 60
    stage.restored(2)
    assert barrier(2).startswith("an earlier wave did not go well: t2-prod/api: it was restored to sha256:")
    assert stage.slept == []


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("breaker", [True, False])
def test_whoever_takes_a_failed_rollout_back_the_wave_is_kept_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, native: bool, breaker: bool
):
    stage.endpoint.cloud.native, stage.endpoint.cloud.rollout_s = native, 30
    stage.service(2).configuration = BREAKER if breaker else {}
    barrier = stage.barrier(timeout="2m")
    fated(stage.endpoint, {1: Fate(), 2: DIES})
    monkeypatch.setattr(rollout, "Resources", partial(rollout.Resources, clock=stage.clock, sleep=stage.sleep))
    report = commands.deploy(load(stage.root), Scope("prod", tenants=("t1", "t2")), Options(allow_dirty=True))
    assert [result.outcome for result in report.results] == ["deployed", "rolled back"]
    assert barrier(2).startswith("an earlier wave did not go well: t2-prod/api: ")


def test_on_failure_continue_takes_the_lost_for_ended_and_gives_up_nobody(stage: Stage):
    barrier = stage.barrier(on_failure="continue", timeout="60s")
    stage.deploy(1)
    stage.restored(2)
    assert barrier(2) == ""
    assert barrier(3) == ""  # t3 never comes, and the wave goes on when its time is over
    assert sum(stage.slept) >= 60


def test_a_soak_keeps_the_wave_back_after_the_last_arrival_and_looks_once_more(stage: Stage):
    barrier = stage.barrier(soak="5m")
    stage.deploy(1, 2)
    assert barrier(2) == ""
    assert stage.slept == [300]
    assert stage.said("soak") == ["300 s until wave 2"]


def test_the_time_in_which_own_targets_were_watched_is_part_of_the_soak(stage: Stage):
    barrier = stage.barrier(soak="5m")
    stage.deploy(1, 2)

    def watch() -> None:
        stage.now += 120

    assert barrier(2, watch) == ""
    assert stage.slept == [180]


def test_who_falls_in_the_soak_keeps_the_wave_back_for_good(stage: Stage):
    barrier = stage.barrier(soak="5m")
    stage.deploy(1, 2)
    stage.meanwhile = [lambda: stage.restored(1)]
    assert barrier(2).startswith("an earlier wave did not go well: t1-prod/api: it was restored")


def test_what_ran_already_when_the_run_began_needs_no_soak(stage: Stage):
    stage.deploy(1, 2)
    stage.now += 3600
    barrier = stage.barrier(soak="5m")
    assert barrier(2) == ""
    assert stage.slept == []


def test_a_failure_of_an_earlier_run_is_waited_out(stage: Stage):
    service = stage.service(1)
    account = stage.endpoint.cloud.account(tenant_account(1))
    (before,) = service.deployments
    failed = start(account, service, account.families["shop-t1-prod-api"][0])
    failed.state, failed.status, failed.ends_at, before.status = "FAILED", "ACTIVE", float("inf"), "PRIMARY"
    service.deployments = [before, failed]
    stage.now += 3600
    barrier = stage.barrier()
    stage.meanwhile = [lambda: stage.deploy(1, 2)]
    assert barrier(2) == ""


def test_an_account_that_cannot_be_seen_for_a_while_is_waited_for(stage: Stage):
    barrier = stage.barrier()
    stage.deploy(1, 2)
    refusals = iter(range(3))

    def shaky(call: Call) -> AwsError | None:
        asked = call.operation == "DescribeServices" and call.account == tenant_account(2)
        return AwsError("AccessDeniedException", "not now") if asked and next(refusals, None) is not None else None

    stage.endpoint.fault = shaky
    assert barrier(2) == ""
    assert len(stage.slept) == 3


def test_an_account_that_cannot_be_seen_any_more_is_given_up(stage: Stage):
    barrier = stage.barrier()
    stage.deploy(1, 2)
    denied = AwsError("AccessDeniedException", "no")
    stage.endpoint.fault = lambda call: denied if (call.account, call.operation) == HIDDEN else None
    why = barrier(2)
    assert why.startswith("an earlier wave did not go well: t2-prod/api: it cannot be seen: ")
    assert "AccessDeniedException" in why
    assert len(stage.slept) == 4


HIDDEN = (tenant_account(2), "DescribeServices")
