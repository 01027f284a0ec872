"""What a release may ask of AWS: so many calls once, so many for each tenant, and not one more."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from msgspec.structs import replace

from deploytasks import commands, rollout
from deploytasks.aws.operations import OPERATIONS
from deploytasks.config.load import load
from deploytasks.errors import Failure
from deploytasks.git import head_commit
from deploytasks.model import Definition, Environment, Options, Project, Report, Scope
from deploytasks.template import render
from deploytasks.template.canonical import same
from tests import project
from tests.cloud.accounts import REGION, REGISTRY_ACCOUNT, AwsError, key_for
from tests.cloud.ecs_rollouts import open_service, settle, start
from tests.cloud.endpoint import Endpoint
from tests.cloud.events import Rule, add_rule
from tests.cloud.world import EXPRESSION, ONE_SERVICE, Age, Runs, World, tenant_account
from tests.commands import WRITES

Stage = Callable[..., tuple[Project, Endpoint]]
Counts = Mapping[str, int]

# Once: who we are, the lock there and back, whether there is a hold, the images of the tags, whose the repository is,
# who may pull. Before each write the lock is read again: `unfenced` says how often.
LOOK_ONCE = {
    "GetCallerIdentity": 1,
    "PutParameter": 1,
    "GetParameter": 2,
    "DeleteParameter": 1,
    "BatchGetImage": 1,
    "DescribeImages": 1,
    "GetRepositoryPolicy": 1,
    "ListTagsForResource": 1,
}
# Where something changes, also what the image is built for: its config blob, once a command.
DEPLOY_ONCE = {**LOOK_ONCE, "GetDownloadUrlForLayer": 1, "GetObject": 1}
DRY_ONCE = {**DEPLOY_ONCE, "PutParameter": 0, "DeleteParameter": 0, "BatchGetImage": 2, "DescribeImages": 2}
DRY_ONCE |= {"DescribeRepositories": 1}
# For each tenant: its keys, its service, and its family's newest revision. Where an older one runs, that is described
# too: an earlier attempt may have registered the newest.
LOOK_EACH = {"AssumeRole": 1, "DescribeServices": 1, "DescribeTaskDefinition": 1}
# What the changed definition names is looked up before that: two secrets and a role. Just before the service is written
# to, it is looked at once more: somebody else may have rolled something out meanwhile.
NAMED_EACH = {"DescribeSecret": 2, "GetRole": 1}
LAST = {"secretsmanager": "DescribeSecret", "iam": "GetRole"}
COMMON_EACH = {**NAMED_EACH, "DescribeServices": 1, "TagResource": 1, "UpdateService": 1}
WRITE_EACH = {**COMMON_EACH, "RegisterTaskDefinition": 1}
ADOPT_EACH = {**COMMON_EACH, "DescribeTaskDefinition": 1}
# A release also asks whether the tag may move, reads the tier before (the gate), puts two tags and reads them back.
RELEASE_ONCE = {**DEPLOY_ONCE, "BatchGetImage": 3, "DescribeImages": 3, "DescribeRepositories": 1, "PutImage": 2}
GATE_EACH = {"DescribeServices": 1, "DescribeTaskDefinition": 1}
# The board: what ECR holds, and who was let past the gate.
SEE_ONCE = {"GetCallerIdentity": 1, "DescribeImages": 1, "GetParametersByPath": 1}
# What each runs, and what its tasks say; the definition tells of drift and who released.
SEE_EACH = {**LOOK_EACH, "ListTasks": 1, "DescribeTasks": 1}
# Where it waits: one look at a rollout that is over by then, ECS's word on it, and its tasks' digests.
FOLLOW_EACH = {"DescribeServices": 1, "DescribeServiceDeployments": 1, "ListTasks": 1, "DescribeTasks": 1}

# Three services and a job of one image: the registry is asked as for one service, and each account and cluster too. For
# each of the four: the family's newest revision, which is the running one, and the writes. For a job, one look at its
# schedule, and one more just before that is updated; the role by which it starts is looked up once an account.
SEVERAL = Runs(services=3, jobs=1)
ACCOUNT, CLUSTER, SCHEDULE_ROLE = {"AssumeRole": 1}, {"DescribeServices": 1}, {"GetRole": 1}
LOOK_RUN, LOOK_JOB = {"DescribeTaskDefinition": 1}, {"GetSchedule": 1}
WRITE_RUN = {"RegisterTaskDefinition": 1, "TagResource": 1}
WRITE_SERVICE, WRITE_JOB = {"DescribeServices": 1, "UpdateService": 1}, {"GetSchedule": 1, "UpdateSchedule": 1}


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A project of so many tenants before `release.prod`, and the endpoint that is its AWS.

    A deploy has something to do as well: what runs names its image by a tag, what we render by the digest.
    """

    def set_up(tenants: int, shared: int = 1, runs: Runs = ONE_SERVICE) -> tuple[Project, Endpoint]:
        commits = project.write(tmp_path / "repo", tenants, shared, runs=runs)
        tagged: dict[str, Age] = {"dev": "newer", "staging": "newer", "prod": "older"}
        world = World(tenants, commits, tagged=tagged, shared=shared, runs=runs)
        endpoint = stack.enter_context(Endpoint(world, latency_s=0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_for(REGISTRY_ACCOUNT))
        return load(tmp_path / "repo"), endpoint

    clock = Clock()
    monkeypatch.setattr(rollout, "Resources", partial(rollout.Resources, clock=clock, sleep=clock.sleep))
    with ExitStack() as stack:
        yield set_up


def budget(once: Counts, tenants: int, *each: Counts) -> Counter[str]:
    total = Counter(once)
    for counts in each:
        total.update({operation: tenants * count for operation, count in counts.items()})
    assert set(total) <= {name for _, name in OPERATIONS} | {"GetObject"}
    return total


def of_several(services: Counts, jobs: Counts, both: Counts) -> Counter[str]:
    """What the services and the jobs of SEVERAL cost in one environment: each of either, and each of both."""
    parts = ((SEVERAL.services, services), (SEVERAL.jobs, jobs), (SEVERAL.targets, both))
    return Counter({name: times * count for times, counts in parts for name, count in counts.items()})


def unfenced(endpoint: Endpoint, targets: int, images: int = 0) -> Counter[str]:
    """The calls, without those that read the lock before a write: one an image, and one a target at most.

    Targets that begin at the same time share a reading.
    """
    counted = endpoint.operations()
    fenced = counted["GetParameter"] - DEPLOY_ONCE["GetParameter"]
    assert images + 1 <= fenced <= images + targets
    counted["GetParameter"] -= fenced
    return counted


def outcomes(report: Report) -> set[str]:
    return {result.outcome for result in report.results}


@pytest.mark.parametrize("tenants", [1, 2, 12])
def test_a_release_asks_so_much_once_and_so_much_of_each_tenant(stage: Stage, tenants: int) -> None:
    shop, endpoint = stage(tenants)
    assert outcomes(commands.release(shop, Scope("prod"), Options())) == {"deployed"}
    assert unfenced(endpoint, tenants, images=1) == budget(
        RELEASE_ONCE, tenants, LOOK_EACH, GATE_EACH, WRITE_EACH, FOLLOW_EACH
    )


def test_an_image_that_is_reused_costs_one_look_and_its_tag(stage: Stage, tmp_path: Path) -> None:
    (_, endpoint), root = stage(1), tmp_path / "repo"
    file = root / "envs/project.toml"
    file.write_text(file.read_text().replace('context = "."', 'context = "."\npaths = ["templates/**"]'))
    for number in (1, 2):
        (root / "docs.md").write_text(str(number))
        for words in (["add", "-A"], ["commit", "-qm", "Docs"]):
            subprocess.run(["git", "-C", root, *words], check=True)
        if number == 1:
            endpoint.cloud.account(REGISTRY_ACCOUNT).repositories["api"].push(head_commit(root))
    shop = load(root)
    commands.build(shop, Scope("dev"), Options(dry_run=True))
    looked = endpoint.operations()
    assert (looked["BatchGetImage"], looked["DescribeImages"], looked["PutImage"]) == (2, 1, 0)
    endpoint.calls.clear()
    commands.build(shop, Scope("dev"), Options())
    put = {"BatchGetImage": 1, "PutImage": 1, "DescribeImages": 1}  # in place of a login, a push and a look
    assert endpoint.operations() == looked + Counter(put)
    endpoint.calls.clear()
    commands.build(shop, Scope("dev"), Options())
    assert endpoint.operations() == looked - Counter({"BatchGetImage": 1})


@pytest.mark.parametrize("tenants", [1, 2, 12])
def test_a_deploy_that_does_not_wait_follows_nothing(stage: Stage, tenants: int) -> None:
    shop, endpoint = stage(tenants)
    report = commands.deploy(shop, Scope("prod"), Options(wait=False))
    assert outcomes(report) == {"started"}
    assert unfenced(endpoint, tenants) == budget(DEPLOY_ONCE, tenants, LOOK_EACH, WRITE_EACH)


def test_what_tenants_of_one_account_all_name_is_looked_up_once_an_account(stage: Stage) -> None:
    shop, endpoint = stage(6, shared=3)
    assert outcomes(commands.deploy(shop, Scope("prod"), Options(wait=False))) == {"started"}
    asked = endpoint.operations()
    assert {operation: asked[operation] for operation in NAMED_EACH} == budget({}, 2, NAMED_EACH)


Carried = Callable[[Project, Scope, Options], Report]


def meet(shop: Project, carry_out: Carried, calls: set[str], *, once: Callable[[], bool] = lambda: True) -> None:
    """Carry a command out, the first of whose calls of each kind, once that is true, must all be under way together."""
    session, all_there = boto3.Session(), Barrier(len(calls))
    waiting = {f"before-send.{call}" for call in calls}

    def wait(event_name: str, **_: Any) -> None:
        if event_name in waiting and once():
            waiting.remove(event_name)
            all_there.wait(30)  # for the other calls: it breaks, and the call fails, where one comes later

    session.events.register("before-send", wait)
    report = carry_out(load(shop.root, lambda access: session), Scope("prod"), Options(wait=False))
    assert (outcomes(report), waiting) == ({"started"}, set())


def test_the_lock_is_read_while_the_service_is_looked_at_once_more(stage: Stage) -> None:
    shop, endpoint = stage(1)
    calls = {"ecs.DescribeServices", "ssm.GetParameter"}
    meet(shop, commands.deploy, calls, once=lambda: endpoint.operations()["RegisterTaskDefinition"] > 0)


def test_the_lock_is_read_while_the_image_is_read_that_gets_a_tag(stage: Stage) -> None:
    shop, endpoint = stage(1)
    calls = {"ecr.BatchGetImage", "ssm.GetParameter"}
    meet(shop, commands.release, calls, once=lambda: endpoint.operations()["RegisterTaskDefinition"] > 0)


def test_services_their_newest_revisions_and_images_are_looked_at_together(stage: Stage) -> None:
    shop, _ = stage(1)
    calls = {"ecs.DescribeServices", "ecs.DescribeTaskDefinition", "ecr.BatchGetImage", "ecr.DescribeImages"}
    meet(shop, commands.deploy, calls)


def test_what_an_earlier_attempt_registered_is_read_once_and_not_registered_again(stage: Stage) -> None:
    shop, endpoint = stage(2)
    endpoint.fault = lambda call: AwsError("ClientException", "no") if call.operation == "PutImage" else None
    with pytest.raises(Failure):
        commands.release(shop, Scope("prod"), Options())
    endpoint.fault = None
    endpoint.calls.clear()
    assert outcomes(commands.release(shop, Scope("prod"), Options())) == {"deployed"}
    assert unfenced(endpoint, 2, images=1) == budget(RELEASE_ONCE, 2, LOOK_EACH, GATE_EACH, ADOPT_EACH, FOLLOW_EACH)


def test_what_runs_already_costs_a_look_and_no_write(stage: Stage) -> None:
    shop, endpoint = stage(2)
    commands.release(shop, Scope("prod"), Options())
    endpoint.calls.clear()
    assert outcomes(commands.deploy(shop, Scope("prod"), Options())) == {"unchanged"}
    assert endpoint.operations() == budget(LOOK_ONCE, 2, LOOK_EACH)


@pytest.mark.parametrize("tenants", [1, 2])
def test_services_and_jobs_of_one_image_ask_the_registry_the_account_and_the_cluster_once(
    stage: Stage, tenants: int
) -> None:
    shop, endpoint = stage(tenants, runs=SEVERAL)
    look = [of_several({}, LOOK_JOB, LOOK_RUN), CLUSTER]
    commands.release(shop, Scope("prod"), Options(dry_run=True))
    gate = look  # at the tier before
    assert endpoint.operations() == budget(DRY_ONCE, tenants, ACCOUNT, *look, *gate, NAMED_EACH, SCHEDULE_ROLE)
    endpoint.calls.clear()
    assert outcomes(commands.deploy(shop, Scope("prod"), Options(wait=False))) == {"started", "deployed"}
    write = of_several(WRITE_SERVICE, WRITE_JOB, WRITE_RUN)
    assert unfenced(endpoint, tenants * SEVERAL.targets) == budget(
        DEPLOY_ONCE, tenants, ACCOUNT, *look, NAMED_EACH, SCHEDULE_ROLE, write
    )
    endpoint.calls.clear()
    assert outcomes(commands.deploy(shop, Scope("prod"), Options())) == {"unchanged"}
    assert endpoint.operations() == budget(LOOK_ONCE, tenants, ACCOUNT, *look)


@pytest.mark.parametrize("way", ["rule", "hand"])
def test_a_job_without_a_schedule_is_found_by_its_rule_or_by_its_newest_revision(
    stage: Stage, tmp_path: Path, way: str
) -> None:
    (_, endpoint), file = stage(1, runs=SEVERAL), tmp_path / "repo/envs/project.toml"
    text, rule = file.read_text(), 'rule = "{tenant}-{tier}-nightly"'
    asked, role = f'schedule = "{EXPRESSION}"\n', 'schedule_role = "arn:aws:iam::{account}:role/schedule"'
    assert asked in text and role in text
    file.write_text(text.replace(asked, "").replace(role, rule if way == "rule" else ""))
    account = endpoint.cloud.account(tenant_account(1))
    run = account.schedules[REGION, "default", "shop-t1-prod-nightly"]["Target"]
    add_rule(account, Rule("t1-prod-nightly", "rate(1 day)"), {**run, "Id": "1"})
    shop, options = load(tmp_path / "repo"), Options(wait=False, allow_dirty=True)
    assert outcomes(commands.deploy(shop, Scope("prod"), options)) == {"started", "deployed"}
    counted = endpoint.operations()
    rules = {name: counted[name] for name in ("DescribeRule", "ListTargetsByRule", "PutTargets", "GetSchedule")}
    assert rules == dict(zip(rules, (2, 2, 1, 0) if way == "rule" else (0, 0, 0, 0), strict=True))
    assert counted["ListTaskDefinitions"] == (way == "hand")
    assert counted["DescribeTaskDefinition"] == SEVERAL.targets + (way == "hand")


@pytest.mark.parametrize("tenants", [1, 2])
def test_the_board_describes_the_services_of_a_cluster_together_and_looks_once_at_each_schedule(
    stage: Stage, tenants: int
) -> None:
    shop, endpoint = stage(tenants, runs=SEVERAL)
    board = commands.status(shop, [target for target in shop.targets if target.environment.tier == "prod"])
    assert {cell.standing for cell in board.cells} == {"completed"}
    seen = of_several({}, LOOK_JOB, {**LOOK_RUN, "ListTasks": 1})  # of a job, those that stopped in the last hour
    assert endpoint.operations() == budget(SEE_ONCE, tenants, ACCOUNT, CLUSTER, seen, {"DescribeTasks": 1})


def test_what_runs_is_compared_once_with_what_is_rendered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, _ = stage(2, runs=SEVERAL)
    compared: list[str] = []

    def counted(request: Definition, live: Definition) -> bool:
        compared.append(request["family"])
        return same(request, live)

    monkeypatch.setattr(render, "same", counted)
    commands.deploy(shop, Scope("prod"), Options(dry_run=True))
    assert sorted(compared) == sorted(target.family for target in shop.targets if target.environment.tier == "prod")


def test_what_follows_a_job_is_nothing(stage: Stage) -> None:
    shop, endpoint = stage(1, runs=SEVERAL)
    assert outcomes(commands.deploy(shop, Scope("prod"), Options())) == {"deployed"}
    counted = endpoint.operations()
    followed = {name: counted[name] for name in ("DescribeServiceDeployments", "ListTasks", "DescribeTasks")}
    assert all(1 <= count <= SEVERAL.services for count in followed.values()), followed


@pytest.mark.parametrize("tenants", [1, 2, 12])
def test_the_board_of_a_tier_looks_once_at_each_tenant_and_sweeps_the_registry_once(stage: Stage, tenants: int) -> None:
    shop, endpoint = stage(tenants)
    board = commands.status(shop, [target for target in shop.targets if target.environment.tier == "prod"])
    assert {cell.standing for cell in board.cells} == {"completed"}
    assert endpoint.operations() == budget(SEE_ONCE, tenants, SEE_EACH)


def test_the_boards_calls_grow_with_tens_of_services_and_hundreds_of_tasks(stage: Stage) -> None:
    shop, endpoint = stage(1)
    (prod,) = (target for target in shop.targets if target.environment.tier == "prod")
    account = endpoint.cloud.account(prod.access.account)
    for number in range(12):
        service = open_service(account, account.clusters[prod.cluster], f"s{number}", desired=11)
        start(account, service, account.families[prod.family][0]).ends_at = 0.0
        settle(account, service)
    targets = [replace(prod, environment=Environment(f"x{n}", "prod"), ecs_service=f"s{n}") for n in range(12)]
    assert {cell.running for cell in commands.status(shop, targets).cells} == {11}
    counted = endpoint.operations()
    assert (counted["DescribeServices"], counted["DescribeTasks"], counted["ListTasks"]) == (2, 2, 12)
    assert counted["DescribeImages"] == 1


def test_each_tenant_is_asked_with_its_own_credentials(stage: Stage) -> None:
    shop, endpoint = stage(2)
    commands.deploy(shop, Scope("prod"), Options(wait=False))
    writers = {account for account, operation in endpoint.calls if operation == "UpdateService"}
    assert writers == {target.access.account for target in shop.targets}


def test_a_dry_run_makes_no_mutating_call(stage: Stage) -> None:
    shop, endpoint = stage(2)
    commands.release(shop, Scope("prod"), Options(dry_run=True))
    assert endpoint.operations()
    assert not WRITES & set(endpoint.operations())
