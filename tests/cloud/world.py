"""A made-up company: T tenants with an account each, a cluster a tier, the service `api`, and one shared registry.

It can have more services, and jobs on a schedule, of the same image.

`prepare` puts it into a `Cloud` as it stands just before `inv deploy.prod` has something to do.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from tests.cloud.accounts import REGION, REGISTRY_ACCOUNT, Account, Cloud
from tests.cloud.ecr import Repository
from tests.cloud.ecs import add_cluster
from tests.cloud.ecs_definitions import Revision, register
from tests.cloud.ecs_rollouts import open_service, settle, start
from tests.cloud.scheduler import create_schedule

SERVICE = "api"
SERVICES, JOBS = (SERVICE, "worker", "mailer"), ("nightly",)
"""All that an environment can have; `Runs` says how many of each it has."""
EXPRESSION = "cron(0 3 * * ? *)"
TIERS = ("dev", "staging", "prod")
IMAGE = f"{REGISTRY_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{SERVICE}"
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
DAY_S = 86400.0
Age = Literal["older", "newer"]
CERTIFIED: Mapping[Age, str] = {"older": "20260102T030405Z", "newer": "20260203T040506Z"}


class Runs(Struct, frozen=True):
    """How many services and jobs each environment has, all of one image."""

    services: int = 1
    jobs: int = 0

    @property
    def targets(self) -> int:
        """How many services and jobs together."""
        return self.services + self.jobs

    @property
    def service_names(self) -> tuple[str, ...]:
        """The names of the services."""
        return SERVICES[: self.services]

    @property
    def job_names(self) -> tuple[str, ...]:
        """The names of the jobs."""
        return JOBS[: self.jobs]


ONE_SERVICE = Runs()


class World(Struct, frozen=True):
    """What is prepared: `commits` of the two images, what each tier's tag names, and what its services run.

    Services run a definition that pins the digest, but in the tiers of `by_tag`, where somebody wrote the commit tag.
    So many tenants as `shared` says have one account in common.
    """

    tenants: int = 1
    commits: Mapping[Age, str] = field(default_factory=lambda: {"older": "a" * 40, "newer": "b" * 40})
    tagged: Mapping[str, Age] = field(default_factory=lambda: {"dev": "newer", "staging": "newer", "prod": "newer"})
    running: Mapping[str, Age] = field(default_factory=lambda: {"dev": "newer", "staging": "newer", "prod": "older"})
    by_tag: tuple[str, ...] = ("prod",)
    shared: int = 1
    runs: Runs = ONE_SERVICE


def tenant_name(number: int) -> str:
    """The tenant's name, `t1` for the first."""
    return f"t{number}"


def tenant_account(number: int, shared: int = 1) -> str:
    """The tenant's account: its own, or one for every `shared` of them."""
    return str(100_000_000_001 + (number - 1) // shared)


def prepare(cloud: Cloud, world: World) -> None:
    """The world is in the cloud: images with tags, a policy that lets every tenant pull, and running services."""
    _fill_registry(cloud, world)
    for service in world.runs.service_names:
        run_everywhere(cloud, world, service)
    for job in world.runs.job_names:
        for account, cluster, image in _environments(cloud, world):
            _schedule(account, cluster, job, image)


def run_everywhere(cloud: Cloud, world: World, service: str) -> None:
    """Every environment runs a service of that name, from the image that its tier runs."""
    for account, cluster, image in _environments(cloud, world):
        run_service(account, cluster, service, image)


def _environments(cloud: Cloud, world: World) -> Iterator[tuple[Account, str, str]]:
    """Yield each environment's account and cluster, and the image that its tier runs."""
    repository: Repository = cloud.account(REGISTRY_ACCOUNT).repositories[SERVICE]
    for number in range(1, world.tenants + 1):
        account = cloud.account(tenant_account(number, world.shared))
        for tier, age in world.running.items():
            image = _image(repository, world.commits[age], pinned=tier not in world.by_tag)
            yield account, f"{tenant_name(number)}-{tier}", image


def _fill_registry(cloud: Cloud, world: World) -> None:
    account = cloud.account(REGISTRY_ACCOUNT)
    repository = Repository(SERVICE, account, excluded=TIERS, marks={"deploytasks:project": "shop"})
    account.repositories[SERVICE] = repository
    accounts = {tenant_account(number, world.shared): None for number in range(1, world.tenants + 1)}
    tenants = [f"arn:aws:iam::{account}:root" for account in accounts]
    statement = {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": tenants}, "Action": PULL}
    repository.policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for commit in world.commits.values():
        repository.push(commit)
    for tier, age in world.tagged.items():
        digest = repository.tags[world.commits[age]]
        repository.tags |= {tier: digest, f"{tier}-{CERTIFIED[age]}": digest}


def _image(repository: Repository, commit: str, *, pinned: bool) -> str:
    return f"{IMAGE}@{repository.tags[commit]}" if pinned else f"{IMAGE}:{commit}"


def _registered(account: Account, cluster_name: str, name: str, image: str, **members: Any) -> Revision:
    """A revision of a day ago, of a container that runs the image."""
    ask = {"family": f"shop-{cluster_name}-{name}", "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
    revision = register(account, {**ask, "containerDefinitions": [{"name": name, "image": image, **members}]})
    revision.members["registeredAt"] = account.cloud.clock() - DAY_S
    return revision


def _schedule(account: Account, cluster_name: str, job_name: str, image: str) -> None:
    """A schedule that runs the image in that cluster."""
    revision = _registered(account, cluster_name, job_name, image)
    ecs = {"TaskDefinitionArn": revision.members["taskDefinitionArn"]}
    target = {"Arn": account.arn("ecs", f"cluster/{cluster_name}"), "EcsParameters": ecs}
    target["RoleArn"] = f"arn:aws:iam::{account.id}:role/schedule"
    ask = {"Name": f"shop-{cluster_name}-{job_name}", "ScheduleExpression": EXPRESSION, "Target": target}
    create_schedule(account, {**ask, "FlexibleTimeWindow": {"Mode": "OFF"}})


def run_service(account: Account, cluster_name: str, service_name: str, image: str) -> None:
    """A service of that cluster that was rolled out a day ago, and has run the image since."""
    revision = _registered(account, cluster_name, service_name, image, portMappings=[{"containerPort": 8080}])
    begun = account.cloud.clock() - DAY_S
    service = open_service(account, add_cluster(account, cluster_name), service_name, desired=2, at=begun)
    deployment = start(account, service, revision, at=begun)
    deployment.ends_at = min(deployment.ends_at, begun + DAY_S)
    settle(account, service)
