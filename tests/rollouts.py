"""What tests of rollouts need: a clock that passes only where somebody sleeps, and rollouts of made-up tenants."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks import rollout as the_rollout
from deploytasks.aws import tags
from deploytasks.aws.session import Clients
from deploytasks.model import (
    Access,
    Author,
    Deployment,
    DesiredImage,
    Environment,
    Event,
    Fallback,
    Live,
    Plan,
    Result,
    Rollout,
    Target,
    Tier,
)
from tests.cloud.accounts import Call
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.ecs_rollouts import start
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import IMAGE, World, tenant_account, tenant_name

TIER = Tier("prod", "immutable", parallel=20, timeout_s=600, soak_s=0)
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
DIES = Fate(death=Death(lines=["no database"], exit=3, why="OOM"))


class Clock:
    """Time that passes only when somebody sleeps, or when a rollout is polled while others are at work."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.now, self._endpoint = 0.0, endpoint
        endpoint.cloud.clock = lambda: 4_000_000_000.0 + self.now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint(World(tenants=12), latency_s=0, rollout_s=30) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield endpoint


@pytest.fixture
def clock(cloud: Endpoint) -> Clock:
    return Clock(cloud)


def target(number: int, **changes: Any) -> Target:
    account = tenant_account(number)
    ordinary = Target(
        environment=Environment(tenant_name(number), "prod"),
        name="api",
        images={"api": IMAGE},
        access=Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy"),
        cluster=f"{tenant_name(number)}-prod",
        ecs_service="api",
        family=f"shop-{tenant_name(number)}-prod-api",
    )
    return replace(ordinary, **changes)


def digest_of(cloud: Endpoint, tag: str) -> str:
    return cloud.cloud.account("012345678922").repositories["api"].tags[tag]


def rollout(cloud: Endpoint, number: int, **changes: Any) -> Rollout:
    """A new definition of a tenant's service, registered, over the one that it runs steadily."""
    digest = digest_of(cloud, "prod")
    image = f"{IMAGE}@{digest}"
    request = {"family": f"f{number}", "containerDefinitions": [container(image)]}
    desired = DesiredImage("api", "api", "b" * 40, digest, "prod-20260203T040506Z")
    ordinary = Rollout(target(number), "update", "", desired, {"api": image}, request, tags={"project": "shop"})
    runs_in = service(cloud, number)
    ran = runs_in.deployments[0]
    deployment = Deployment(ran.id, "PRIMARY", "COMPLETED", ran.revision, 2, 2)
    live = Live(target(number), exists=True, desired=2, running=2, deployments=(deployment,), arn=runs_in.arn)
    made = replace(replace(ordinary, live=live, fallback=Fallback(ran.revision)), **changes)
    if made.request is None or made.revision:
        return made
    asked = {**made.request, "tags": tags.to_ecs(made.tags)}
    return replace(made, revision=register(cloud.cloud.account(made.target.access.account), asked).arn)


def container(image: str) -> Mapping[str, Any]:
    log = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "api"}}
    return {"name": "api", "image": image, "memory": 512, "logConfiguration": log}


def carry_out(
    cloud: Endpoint,
    clock: Clock,
    *waves: tuple[Rollout, ...],
    tier: Tier = TIER,
    wait: bool = True,
    before_wave: the_rollout.Leave | None = None,
    **given: Any,
) -> tuple[tuple[Result, ...], list[Event]]:
    told: list[Event] = []
    resources = the_rollout.Resources(Clients(Author("somebody")), told.append, clock, clock.sleep, **given)
    return the_rollout.carry_out(Plan(tier, waves=waves), resources, wait=wait, before_wave=before_wave), told


def service(cloud: Endpoint, number: int) -> Any:
    return cloud.cloud.account(tenant_account(number)).clusters[f"{tenant_name(number)}-prod"].services["api"]


def fated(cloud: Endpoint, fates: Mapping[int, Fate], *, then: Fate | None = None) -> None:
    """The next deployment of each of these tenants has this fate; all others complete, those after it too."""
    left = {tenant_account(number): fate for number, fate in fates.items()}
    cloud.cloud.fates = lambda account, _service, _revision: left.pop(account.id, then or Fate())


def is_look(cloud: Endpoint, call: Call) -> bool:
    """Whether the call looks at a rollout that has begun, and not at what is about to be replaced."""
    return call.operation == "DescribeServices" and cloud.operations()["UpdateService"] > 0


def replaced_once_seen(
    cloud: Endpoint, number: int, *, at: str = "DescribeServices", after: Callable[[], bool] = lambda: True
) -> None:
    """At the next look (after that) somebody else rolls the tenant's first revision out."""

    def replace_it(call: Call) -> None:
        if (is_look(cloud, call) if at == "DescribeServices" else call.operation == at) and after():
            cloud.fault = None
            account = cloud.cloud.account(tenant_account(number))
            start(account, service(cloud, number), account.families[f"shop-t{number}-prod-api"][0])

    cloud.fault = replace_it
