"""Values for tests: ordinary ones, of which a test names only what it is about."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploytasks.model import (
    Access,
    Deployment,
    DesiredImage,
    EcrImage,
    Environment,
    Image,
    Live,
    Project,
    Registry,
    Service,
    Target,
    Tier,
)

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
IMAGES = {"api": f"{HOST}/api"}
OLD, NEW = "a" * 40, "b" * 40
OLD_DIGEST, NEW_DIGEST = "sha256:" + "1" * 64, "sha256:" + "2" * 64
REVISION = "arn:aws:ecs:us-east-1:111111111111:task-definition/shop-prod-api:7"


def target(tenant: str = "main", tier: str = "prod", service: str = "api", **changes: Any) -> Target:
    ordinary = Target(
        environment=Environment(tenant, tier),
        name=service,
        images={service: f"{HOST}/{service}"},
        access=Access("111111111111" if tenant == "main" else "222222222222", "us-east-1"),
        cluster=f"{tenant}-{tier}",
        ecs_service=service,
        family=f"shop-{tier}-{service}",
    )
    return replace(ordinary, **changes)


def image(commit: str = NEW, *more_tags: str, digest: str | None = None, children: tuple[str, ...] = ()) -> EcrImage:
    return EcrImage("api", digest or (NEW_DIGEST if commit == NEW else OLD_DIGEST), (commit, *more_tags), children)


def desired(commit: str = NEW, *more_tags: str, **changes: Any) -> DesiredImage:
    found = image(commit, *more_tags)
    return replace(DesiredImage("api", "api", commit, found.digest, None, found), **changes)


def deployment(rollout_state: str = "COMPLETED", status: str = "PRIMARY", **changes: Any) -> Deployment:
    ordinary = Deployment("ecs-svc/1", status, rollout_state, REVISION, desired=2, running=2)
    return replace(ordinary, **changes)


def definition(image: str) -> dict[str, Any]:
    return {"family": "shop-prod-api", "containerDefinitions": [{"name": "api", "image": image}]}


def live(*deployments: Deployment, runs: str = f"{HOST}/api@{OLD_DIGEST}", **changes: Any) -> Live:
    """`digests` are those of the target's own image."""
    ordinary = Live(
        target=target(),
        exists=True,
        desired=2,
        running=2,
        deployments=deployments or (deployment(),),
        definition=definition(runs),
    )
    return of_own_image(ordinary, **changes)


def of_own_image(known: Live, **changes: Any) -> Live:
    """The target with changes; `digests` are those of its own image."""
    there = changes.get("target", known.target)
    seen = {"digests": {there.image: changes["digests"]}} if "digests" in changes else {}
    return replace(known, **{**changes, **seen})


def tier(name: str = "prod", **changes: Any) -> Tier:
    return replace(Tier(name, "immutable" if name == "prod" else "mutable", soak_s=0), **changes)


def project(root: Path, *targets: Target, **changes: Any) -> Project:
    ordinary = Project(
        root=root,
        name="shop",
        registry=Registry(Access("000000000000", "us-east-1"), HOST),
        images=(Image("api", "api"),),
        services=(Service("api", "api"),),
        tiers=(tier("dev"), tier("staging", after="dev"), tier("prod", after="staging")),
        tenants=tuple(dict.fromkeys(each.environment.tenant for each in targets)),
        targets=targets,
    )
    return replace(ordinary, **changes)
