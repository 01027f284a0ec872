"""A command that lost its lock begins nothing more, and nobody's newer deployment is overwritten."""

import json
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks import commands
from deploytasks.aws import lock_holders, locks
from deploytasks.aws.lock_holders import Fence, LockLost
from deploytasks.aws.parameters import written
from deploytasks.config.load import load
from deploytasks.errors import DeployError
from deploytasks.model import LockState, Options, Scope
from tests import project
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_rollouts import start
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account, tenant_name
from tests.commands import REGISTRY, Ran, Shop
from tests.gates import untried
from tests.hanging import HANGS_S, until
from tests.repositories import run
from tests.rollouts import DIES, carry_out, fated, rollout
from tests.scenes import Scenes

__all__ = ["untried"]
pytestmark = pytest.mark.waits
LOCK, HOLD = "/deploytasks/shop/prod/lock", "/deploytasks/shop/prod/hold"
BOB = LockState("prod", "bob", "2026-11-28T10:00:00Z", "release.prod", machine="elsewhere", pid=1, token="bob's")
Then = Callable[[], object]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long until SSM shows what was written."""
    for module in (lock_holders, locks):
        monkeypatch.setattr(module, "SURE_S", (0.01, 0.01))


def at(operation: str, then: Then, *, nth: int = 1, account: str = "") -> Callable[[Call], None]:
    """A fault that does something just before the n-th call of the operation, and lets the call pass."""
    left = [nth]

    def fault(call: Call) -> None:
        if call.operation == operation and account in ("", call.account):
            left[0] -= 1
            if left[0] == 0:
                then()

    return fault


def parameters(shop: Shop) -> dict[str, Any]:
    return shop.endpoint.cloud.account(REGISTRY).parameters


def freed(shop: Shop) -> Then:
    """Somebody frees the lock."""
    return lambda: parameters(shop).pop(LOCK, None)


def robbed(shop: Shop) -> Then:
    """Somebody frees the lock, and bob takes it."""
    value = written(BOB)
    return lambda: parameters(shop).update({LOCK: {"Name": LOCK, "Type": "String", "Version": 1, "Value": value}})


def overtaken(shop: Shop, number: int) -> Then:
    """Somebody rolls out what the tenant's service runs anew."""

    def roll_out() -> None:
        account, service = shop.endpoint.cloud.account(tenant_account(number)), shop.service(number, "prod")
        start(account, service, account.families[f"shop-t{number}-prod-api"][0])

    return roll_out


def one_by_one(shop: Shop) -> Shop:
    shop.edit("envs/project.toml", 'after = "staging"\nsoak = "0s"', 'after = "staging"\nsoak = "0s"\nparallel = 1')
    return shop


def ends(ran: Ran) -> list[str]:
    return [each["outcome"] for each in ran.summary["results"]]


@pytest.mark.parametrize("shop", [4], indirect=True)
@pytest.mark.parametrize(
    ("happens", "who"),
    [(freed, "nobody holds it now"), (robbed, "bob holds it since 2026-11-28T10:00:00Z (release.prod)")],
)
def test_who_lost_the_lock_begins_nothing_more_and_says_who_holds_it(shop: Shop, happens: Any, who: str):
    one_by_one(shop).endpoint.fault = at("UpdateService", happens(shop), nth=2)
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ends(ran)) == (1, ["deployed", "deployed", "not attempted", "not attempted"])
    assert shop.endpoint.operations()["UpdateService"] == 2
    assert ran.summary["results"][2]["detail"] == f"the lock of prod is no longer this command's: {who}"
    assert ran.summary["resume"] == "to go on: inv deploy.prod --tenant t3,t4"
    assert f"the lock of prod is no longer this command's: {who}; inv lock.status shows whose it is" in ran.stdout
    assert (LOCK in parameters(shop)) == (happens is robbed)


@pytest.mark.parametrize("shop", [4], indirect=True)
def test_a_service_that_somebody_else_rolled_out_since_the_plan_is_left_to_them(shop: Shop):
    one_by_one(shop).endpoint.fault = at("UpdateService", overtaken(shop, 3), nth=2)
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ends(ran)) == (1, ["deployed", "deployed", "superseded", "deployed"])
    assert "shop-t3-prod-api:1 was rolled out by another command since this was planned" in ran.stdout
    assert shop.service(3, "prod").deployments[0].revision.endswith("api:1")


def test_an_answer_older_than_the_plan_is_no_other_deployment(cloud: Endpoint, clock: Any):
    planned = rollout(cloud, 1)
    (deployment,) = planned.live.deployments
    younger = replace(deployment, id="ecs-svc/2", created_at=datetime.fromtimestamp(4_100_000_000, UTC))
    stale = replace(planned, live=replace(planned.live, deployments=(younger,)))
    (result,), _ = carry_out(cloud, clock, (stale,))
    assert result.outcome == "deployed"


def test_a_rollout_under_way_is_followed_to_its_end_without_the_lock_but_not_restored(cloud: Endpoint, clock: Any):
    fence, looks = Fence(), [BOB]
    fence.arm(BOB, lambda: looks[0] if clock.now < 1 else None, sleep=lambda _s: None)
    fated(cloud, {1: DIES})
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1), rollout(cloud, 2)), fence=fence)
    assert [each.outcome for each in results] == ["timed out", "deployed"]
    assert "It was not restored: the lock of prod is no longer this command's: nobody holds it" in results[0].detail
    assert cloud.operations()["UpdateService"] == 2
    assert cloud.operations()["StopServiceDeployment"] == 0


@pytest.mark.parametrize("task", ["release.prod", "tag.prod"])
def test_without_the_lock_no_tag_moves(shop: Shop, task: str):
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags["prod"] = shop.tags()[shop.commits["older"]]
    before = shop.tags()
    shop.endpoint.fault = at("GetRepositoryPolicy" if task == "release.prod" else "DescribeRepositories", freed(shop))
    ran = shop.inv(task)
    assert (ran.code, shop.tags()) == (1, before), ran.stdout
    assert "the lock of prod is no longer this command's: nobody holds it now" in ran.stderr
    assert f"prod: no tag was moved and no target was touched\n    to go on: inv {task}" in ran.stderr


def test_without_the_lock_no_override_is_recorded(untried: Shop):
    untried.endpoint.fault = at("DescribeRepositories", freed(untried))
    ran = untried.inv("tag.prod", "--override", "the shop is down")
    assert (ran.code, parameters(untried)) == (1, {}), ran.stdout
    assert "the lock of prod is no longer this command's: nobody holds it now" in ran.stderr
    assert "prod: no tag was moved and no target was touched\n    to go on: inv tag.prod --override " in ran.stderr


def test_a_tag_that_was_moved_before_the_lock_was_lost_is_not_denied(shop: Shop):
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags["prod"] = shop.tags()[shop.commits["older"]]
    shop.refuse("PutImage", "AccessDeniedException")
    ran = shop.inv("tag.prod")
    assert (ran.code, "prod: some tags may have moved, no target was touched\n" in ran.stderr) == (1, True)


@pytest.fixture
def held(shop: Shop, scenes: Scenes) -> Shop:
    """Prod ran both images and was rolled back to the older one, where it is on hold."""

    def play() -> None:
        for commit in ("older", "newer"):
            words = ["--commit", shop.commits[commit], "--allow-older", "--override", "test"]
            assert shop.inv("release.prod", *words).code == 0
        assert shop.inv("release.rollback", "prod").code == 0

    scenes.play(shop, "rolled back to older", play)
    return shop


def hold_put(shop: Shop, state: LockState) -> Then:
    """Somebody else's rollback puts its hold."""
    value = written(state)
    return lambda: parameters(shop).update({HOLD: {"Name": HOLD, "Type": "String", "Version": 1, "Value": value}})


def rolls_back(shop: Shop, then: Then) -> tuple[Ran, Any, dict[str, int]]:
    """A rollback while something else happens, with the hold that is left and what the rollback wrote."""
    before = shop.writes()
    shop.endpoint.fault = at("ListTaskDefinitions", then)
    ran = shop.inv("release.rollback", "prod", "--to", shop.commits["newer"])
    shop.endpoint.fault = None
    after = {name: count - before.get(name, 0) for name, count in shop.writes().items()}
    left = json.loads(parameters(shop)[HOLD]["Value"])["token"] if HOLD in parameters(shop) else None
    return ran, left, {name: count for name, count in after.items() if count}


def test_a_rollback_without_its_lock_leaves_the_hold_of_who_came_after_it(held: Shop):
    def overtake() -> None:
        robbed(held)()
        hold_put(held, BOB)()

    ran, left, wrote = rolls_back(held, overtake)
    assert (ran.code, left, wrote) == (2, BOB.token, {}), ran.stdout
    assert ran.stderr.startswith("prod: the lock of prod is no longer this command's: bob holds it since ")


def test_a_rollback_whose_lock_was_freed_puts_no_hold(held: Shop):
    mine = json.loads(parameters(held)[HOLD]["Value"])["token"]
    ran, left, wrote = rolls_back(held, freed(held))
    assert (ran.code, left, wrote) == (2, mine, {}), ran.stdout
    assert "nobody holds it now" in ran.stderr


def test_a_rollback_leaves_a_hold_that_is_another_one_than_it_was_planned_from(held: Shop):
    ran, left, wrote = rolls_back(held, hold_put(held, replace(BOB, command="release.rollback prod")))
    assert (ran.code, left, wrote) == (2, BOB.token, {}), ran.stdout
    assert ran.stderr == (
        "prod: bob put it on hold (release.rollback prod) since this was planned; nothing was changed\n"
        "    inv lock.status shows the hold; then run the same command again\n"
    )


def test_a_hold_that_was_lifted_since_a_rollback_was_planned_is_not_put_again(held: Shop):
    ran, left, wrote = rolls_back(held, lambda: parameters(held).pop(HOLD))
    assert (ran.code, left, wrote) == (2, None, {}), ran.stdout
    assert ran.stderr.startswith("prod: its hold was lifted since this was planned; nothing was changed\n")


def test_without_the_lock_no_one_off_task_begins(shop: Shop):
    shop.edit("envs/project.toml", "[services.api]", '[services.api]\nbefore_deploy = [["./manage", "migrate"]]')
    shop.endpoint.fault = at("RegisterTaskDefinition", freed(shop))
    ran = shop.inv("deploy.prod", "--json")
    assert (ran.code, ends(ran)) == (1, ["not attempted", "not attempted"])
    assert (shop.endpoint.operations()["RunTask"], shop.endpoint.operations()["UpdateService"]) == (0, 0)


def test_a_shard_without_its_runs_lock_begins_nothing(shop: Shop):
    assert shop.inv("release.matrix", "prod", "--shards", "2", "--run", "ci 7").code == 0
    shop.endpoint.fault = at("DescribeTaskDefinition", robbed(shop))
    ran = shop.inv("deploy.prod", "--shard", "1/2", "--run", "ci 7", "--json")
    assert (ran.code, ends(ran)) == (1, ["not attempted"])


def test_a_service_that_cannot_be_looked_at_once_more_is_not_touched_and_its_revision_has_not_begun(
    cloud: Endpoint, clock: Any
):
    planned, account = rollout(cloud, 1), cloud.cloud.account(tenant_account(1))
    cloud.fault = lambda call: AwsError("ClientException", "no") if call.operation == "DescribeServices" else None
    (result,), _ = carry_out(cloud, clock, (planned,))
    assert (result.outcome, cloud.operations()["UpdateService"]) == ("failed", 0)
    assert not {"deploytasks:at", "deploytasks:ended"} & account.families["f1"][-1].tags.keys()


def test_one_look_that_does_not_see_the_lock_yet_is_no_loss():
    looks: list[LockState | None] = [BOB, BOB, None, replace(BOB, token="an older one")]
    fence = Fence()
    fence.arm(BOB, looks.pop, sleep=lambda _s: None)
    fence.check()
    assert looks == [BOB]


def is_checking(thread: Thread) -> bool:
    """Whether the thread waits in `Fence.check` itself."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is Fence.check.__code__


def test_those_who_ask_while_the_lock_is_being_read_share_the_next_reading():
    reading, go_on, looks = Event(), Event(), list[LockState]()

    def look() -> LockState:
        looks.append(BOB)
        reading.set()
        go_on.wait(HANGS_S)
        return BOB

    fence = Fence()
    fence.arm(BOB, look)
    first = Thread(target=fence.check)
    first.start()
    reading.wait(HANGS_S)
    others = [Thread(target=fence.check) for _ in range(12)]
    for each in others:
        each.start()
    until(lambda: all(map(is_checking, others)))
    go_on.set()
    for each in (first, *others):
        each.join(HANGS_S)
    assert len(looks) == 2


def test_once_lost_the_lock_is_not_read_again():
    looks: list[LockState | None] = [BOB, None, None, None]
    fence = Fence()
    fence.arm(BOB, looks.pop, sleep=lambda _s: None)
    for _ in range(2):
        with pytest.raises(LockLost):
            fence.check()
    assert looks == [BOB]


def test_the_holder_shows_that_it_lives_and_leaves_no_heartbeat_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock_holders, "BEAT_S", 0.05)
    seen: dict[str, list[str]] = {"PutParameter": [], "DeleteParameter": []}
    shop.endpoint.cloud.rollout_s = 0.5
    shop.endpoint.fault = lambda call: seen[call.operation].append(call.ask["Name"]) if call.operation in seen else None
    assert shop.inv("deploy.prod").code == 0
    lock, beat, *_ = seen["PutParameter"]
    assert (lock, {*seen["PutParameter"]}) == (LOCK, {LOCK, beat})
    assert beat.startswith("/deploytasks/shop/prod/heartbeats/")
    assert seen["DeleteParameter"] == [LOCK, beat]  # a slow heartbeat keeps no lock
    assert parameters(shop) == {}


def test_freeing_a_lock_by_hand_removes_its_heartbeat(shop: Shop):
    robbed(shop)()
    parameters(shop)["/deploytasks/shop/prod/heartbeats/bob's"] = {"Name": "-", "Type": "String", "Value": "now"}
    assert shop.inv("lock.release", "prod", "--yes").code == 0
    assert parameters(shop) == {}


class Crowd:
    """Many releases of one tier at once, of commits that follow each other, and somebody who deletes their lock."""

    def __init__(self, root: Path, tenants: int, seed: int) -> None:
        self.commits = [*project.write(root, tenants).values()]
        settings = root / "envs/project.toml"
        settings.write_text(settings.read_text().replace('pin = "tag"', 'pin = "digest"\nparallel = 1'))
        for number in range(3, 7):
            (root / "Dockerfile").write_text(f"FROM scratch\nLABEL release={number}\n")
            run(root, "commit", "-qam", "Next")
            self.commits.append(run(root, "rev-parse", "HEAD"))
        self.project, self.chance, self.deleted = load(root), random.Random(seed), 0

    def sabotage(self, endpoint: Endpoint) -> Callable[[Call], None]:
        held = endpoint.cloud.account(REGISTRY).parameters

        def fault(call: Call) -> None:
            if call.operation != "DeleteParameter" and self.chance.random() < 1 / 40:
                self.deleted += held.pop("/deploytasks/shop/dev/lock", None) is not None

        return fault

    def release(self, commit: str) -> int:
        """One release, and the exit code that it would have ended with."""
        options = Options(commit=commit, lock_wait_s=120)
        try:
            return bool(commands.release(self.project, Scope("dev"), options).failed)
        except DeployError as error:
            return error.code

    def went(self, endpoint: Endpoint, number: int) -> list[int]:
        """Which commit each deployment of a tenant's service brought, in order; -1 for one that nobody knows."""
        digests = endpoint.cloud.account(REGISTRY).repositories["api"].tags
        order = {digests[commit]: number for number, commit in enumerate(self.commits)}
        service = endpoint.cloud.account(tenant_account(number)).clusters[f"{tenant_name(number)}-dev"].services["api"]
        return [order[next(iter(one.deployment.digests.values()))] for one in reversed(service.history)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("many", "tenants", "seed"), [(2, 4, 1), (2, 4, 2), (2, 4, 3), (40, 1, 4)])
def test_of_concurrent_releases_whose_lock_is_deleted_no_target_ever_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, tenants: int, seed: int
):
    for name, value in (("_FIRST_PAUSE_S", 0.2), ("_LONGEST_PAUSE_S", 0.5), ("_TRIES_S", (0.0, 0.01, 0.05))):
        monkeypatch.setattr(locks, name, value)
    crowd = Crowd(tmp_path / "repo", tenants, seed)
    commits = dict(zip(("older", "newer", "3", "4", "5", "6"), crowd.commits, strict=True))
    world = World(tenants, commits, tagged={"dev": "older"}, running={"dev": "older"})  # type: ignore[arg-type]
    with Endpoint(world, latency_s=0) as endpoint, ThreadPoolExecutor(many) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        endpoint.fault = crowd.sabotage(endpoint)
        wanted = crowd.commits[1:3] if many == 2 else crowd.chance.choices(crowd.commits[1:], k=many)
        codes = list(pool.map(crowd.release, wanted))
        for number in range(1, tenants + 1):
            went = crowd.went(endpoint, number)
            assert went == sorted(went), (went, codes, crowd.deleted)
        assert set(codes) <= {0, 1, 2} and crowd.deleted
