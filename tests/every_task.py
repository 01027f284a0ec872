"""Every task of the namespace as a scene: what its project and its AWS are like, and what it is here to show."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pytest

from deploytasks.aws import follow_task, lock_holders, locks
from tests.cloud.accounts import REGION
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.events import Rule as EventsRule
from tests.cloud.events import add_rule
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop
from tests.oneoffs import container, with_log, writes
from tests.proxy import Proxy, Rule
from tests.test_dry_run import AFTER_DASHES, tasks_of, words_for
from tests.test_endpoint_rollouts import PAUSE

EVERY_TASK = tasks_of(Path(__file__).parent.parent)
OF_OTHER_TIERS = {f"{room}.{tier}" for room in ("tag", "deploy", "release") for tier in ("dev", "staging")}
"""They are the same code as prod's; and `build.app` as `build.all`."""
MORE = {"lock.release": ["--yes"], "envs.bootstrap": ["--yes"], "release.matrix": ["--run", "7"]}
"""What a task needs besides where nobody answers its questions, and no CI engine runs it."""

NOTHING: Mapping[str, str] = MappingProxyType({})
Prepare = Callable[[Shop], object]


def nothing(_shop: Shop) -> None:
    """Nothing is to be prepared."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A task, what is written into its project once, and what its AWS is like before each run."""

    task: str
    project: Prepare = nothing
    aws: Prepare = nothing
    words: tuple[str, ...] = ()
    environment: Callable[[Shop], Mapping[str, str]] = lambda _shop: NOTHING


def untagged(shop: Shop) -> None:
    del shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags["prod"]


def unmarked(shop: Shop) -> None:
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].marks.clear()


def locked(shop: Shop) -> None:
    assert shop.inv("lock.acquire", "prod").code == 0


def logged(shop: Shop) -> None:
    with_log(shop, 1, 2)
    for number in (1, 2):
        writes(shop, "hello", number=number, task=next(iter(shop.service(number, "prod").cluster.tasks)))


def with_steps(shop: Shop) -> None:
    shop.edit("envs/project.toml", "[services.api]", '[services.api]\nbefore_deploy = [["./manage", "migrate"]]')


def with_webhook(shop: Shop) -> None:
    shop.edit("envs/project.toml", "[services.api]", '[notify]\nwebhook = "secretsmanager:slack"\n[services.api]')


def with_parameters(shop: Shop) -> None:
    for number in (1, 2):
        account = tenant_account(number)
        old = f"arn:aws:secretsmanager:us-east-1:{account}:secret:session"
        shop.edit(f"envs/t{number}.toml", old, f"arn:aws:ssm:us-east-1:{account}:parameter/session")


def with_service_template(shop: Shop) -> None:
    (shop.root / "templates/api.service.json.j2").write_text(
        '{"cluster": "{{ cluster }}", "serviceName": "{{ service }}", "desiredCount": 2}'
    )


def without_services(shop: Shop) -> None:
    for number in (1, 2):
        del shop.endpoint.cloud.account(tenant_account(number)).clusters[f"t{number}-prod"].services["api"]


def without_new_tenant(shop: Shop) -> None:
    (shop.root / "envs/acme.toml").unlink(missing_ok=True)


def with_secret(shop: Shop) -> None:
    shop.endpoint.cloud.account(REGISTRY).secrets["slack"] = "http://127.0.0.1:9/"


def with_web_identity(shop: Shop) -> None:
    (shop.root.parent / "token").write_text("who runs this")


def by_web_identity(shop: Shop) -> Mapping[str, str]:
    """The variables of a CI job that has no keys."""
    role = {"AWS_ROLE_ARN": f"arn:aws:iam::{REGISTRY}:role/ci", "AWS_ROLE_SESSION_NAME": "ci"}
    return {**role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(shop.root.parent / "token"), "AWS_ACCESS_KEY_ID": ""}


def waiting_at_hooks(shop: Shop) -> None:
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
    shop.inv("deploy.prod", "--json")


def dying(shop: Shop) -> None:
    """What is deployed dies at once, and ECS goes back; what it wrote last is in its log."""
    for number in (1, 2):
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        shop.service(number, "prod").configuration = breaker
    fate = Fate(death=Death(lines=("no database",)), every_s=0.1, trips_s=0.2, back=Fate(lasts_s=0))
    shop.endpoint.cloud.fates = lambda _account, _service, _revision: fate


def with_job(shop: Shop) -> None:
    shop.add_job()


def with_job_of_rule(shop: Shop) -> None:
    shop.add_job("nightly", "")
    for number in (1, 2):
        shop.edit(f"envs/t{number}.toml", "cluster = ", 'jobs.nightly.rule = "nightly-{tier}"\ncluster = ')


def scheduled(shop: Shop) -> None:
    """Each job's schedule is there, made by hand, and names an older revision."""
    for number in (1, 2):
        account, target = shop.endpoint.cloud.account(tenant_account(number)), job_target(shop, number)
        name = f"shop-t{number}-prod-nightly"
        account.schedules[REGION, "default", name] = {
            "Name": name,
            "GroupName": "default",
            "Arn": f"arn:aws:scheduler:{REGION}:{account.id}:schedule/default/{name}",
            "ScheduleExpression": "rate(1 day)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "CreationDate": 0,
            "Target": target,
        }


def ruled(shop: Shop) -> None:
    for number in (1, 2):
        target = {**job_target(shop, number), "Id": "ecs"}
        add_rule(shop.endpoint.cloud.account(tenant_account(number)), EventsRule("nightly-prod"), target)


def job_target(shop: Shop, number: int) -> dict[str, Any]:
    """Return what a schedule or rule has as its target, with the job's first revision, which there is from now on."""
    account = shop.endpoint.cloud.account(tenant_account(number))
    revision = register(account, {"family": f"shop-t{number}-prod-nightly", "containerDefinitions": []})
    return {
        "Arn": f"arn:aws:ecs:{REGION}:{account.id}:cluster/t{number}-prod",
        "RoleArn": f"arn:aws:iam::{account.id}:role/schedule",
        "EcsParameters": {"TaskDefinitionArn": revision.arn},
    }


def with_a_sidecar(shop: Shop) -> None:
    container(shop)["essential"] = False


AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
SHOWN = {
    "build.all": "ecr.GetAuthorizationToken",
    "tag.prod": "ecr.BatchGetImage ecr.DescribeImages ecr.PutImage",
    "deploy.prod": "ecs.TagResource ecs.UpdateService",
    "deploy.prod of new services": "ecs.CreateService",
    "deploy.prod of what dies": "logs.GetLogEvents",
    "deploy.prod of a new job": "scheduler.CreateSchedule",
    "deploy.prod of a job": "scheduler.GetSchedule scheduler.UpdateSchedule",
    "deploy.prod of a job of a rule": "events.DescribeRule events.ListTargetsByRule events.PutTargets",
    "deploy.register": "ecr.GetDownloadUrlForLayer ecs.RegisterTaskDefinition iam.GetRole ssm.GetParameters "
    "secretsmanager.DescribeSecret",
    "deploy.run beside a sidecar": "ecs.RunTask ecs.StopTask",
    "deploy.wait": "ecs.DescribeServices ecs.DescribeTaskDefinition sts.AssumeRole",
    "deploy.logs": "logs.FilterLogEvents",
    "deploy.continue": "ecs.ContinueServiceDeployment",
    "deploy.stop": "ecs.DescribeServiceDeployments ecs.ListServiceDeployments ecs.StopServiceDeployment",
    "release.prod with steps and a webhook": "secretsmanager.GetSecretValue",
    "release.history": "ecs.DescribeTasks ecs.ListTaskDefinitions ecs.ListTasks ssm.GetParametersByPath",
    "release.rollback to a time": "ecs.DescribeServiceRevisions",
    "envs.bootstrap": "ecr.CreateRepository ecr.DescribeRepositories ecr.GetRepositoryPolicy ecr.ListTagsForResource "
    "ecr.SetRepositoryPolicy ecr.TagResource",
    "lock.status": "sts.GetCallerIdentity",
    "lock.status by a web identity": "sts.AssumeRoleWithWebIdentity",
    "lock.acquire": "ssm.PutParameter",
    "lock.release": "ssm.DeleteParameter ssm.GetParameter",
}
"""The operations that a scene is here to show, as `service.Operation`: each is broken in every way there."""
SCENES = {
    **{name: Scene(name) for name in EVERY_TASK if name not in {*OF_OTHER_TIERS, "build.app"}},
    "tag.prod": Scene("tag.prod", aws=untagged),
    "release.prod": Scene("release.prod", aws=untagged),
    "release.prod with steps and a webhook": Scene(
        "release.prod", lambda shop: (with_steps(shop), with_webhook(shop)), with_secret
    ),
    "deploy.register": Scene("deploy.register", with_parameters),
    "deploy.prod of new services": Scene("deploy.prod", with_service_template, without_services),
    "deploy.prod of what dies": Scene("deploy.prod", aws=dying),
    "deploy.prod of a new job": Scene("deploy.prod", with_job),
    "deploy.prod of a job": Scene("deploy.prod", with_job, scheduled),
    "deploy.prod of a job of a rule": Scene("deploy.prod", with_job_of_rule, ruled),
    "deploy.run beside a sidecar": Scene("deploy.run", aws=with_a_sidecar),
    "deploy.logs": Scene("deploy.logs", aws=logged),
    "deploy.continue": Scene("deploy.continue", aws=waiting_at_hooks),
    "deploy.stop": Scene("deploy.stop", aws=waiting_at_hooks),
    "release.rollback to a time": Scene("release.rollback", words=("release.rollback", "prod", "--at", AN_HOUR_AGO)),
    "envs.bootstrap": Scene("envs.bootstrap", lambda shop: shop.add_service("worker"), unmarked),
    "envs.new": Scene("envs.new", aws=without_new_tenant),
    "lock.release": Scene("lock.release", aws=locked),
    "lock.status by a web identity": Scene("lock.status", with_web_identity, environment=by_web_identity),
}


@dataclass
class Played:
    """A scene that is played again and again, in a shop that is as new before each run."""

    shop: Shop
    proxy: Proxy
    scene: Scene
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        task, shop = self.scene.task, self.shop
        self.scene.project(shop)
        shop.edit("envs/project.toml", 'after = "staging"', 'after = "staging"\ntimeout = "3s"')
        words = words_for(task, EVERY_TASK[task], shop.root.parent / "board.html", shop.commits["newer"])
        self.words = [*(self.scene.words or words), *MORE.get(task, []), *AFTER_DASHES.get(task, [])]

    def run(self, *rules: Rule, environment: Mapping[str, str] = NOTHING) -> Ran:
        """The task, with these rules between it and AWS, and with these variables besides."""
        self.shop.endpoint.reset()
        self.proxy.rules = ()
        self.scene.aws(self.shop)
        self.proxy.seen.clear()
        self.proxy.rules = rules
        self.shop.endpoint.calls.clear()
        with patch.dict(os.environ, {**self.scene.environment(self.shop), **environment}):
            return self.shop.inv(*self.words)

    @property
    def locks(self) -> list[str]:
        return [name for name in self.shop.endpoint.cloud.account(REGISTRY).parameters if name.endswith("/lock")]


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for late lines or a lock."""
    for module, name, value in (
        (follow_task, "QUIET_S", 0.05),
        (follow_task, "POLL_S", 0.02),
        (locks, "_TRIES_S", (0.0, 0.0)),
        (lock_holders, "SURE_S", (0.0, 0.0)),
    ):
        monkeypatch.setattr(module, name, value)
