"""ECS's own service deployments: how each ended and why, and blue/green, linear and canary as they go.

Where a region, an emulator or a role does not answer, what DescribeServices tells must do. Every function takes an ECS
client of the target's account.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploytasks.aws.failures import translated
from deploytasks.errors import AwsError
from deploytasks.model import Deployment, Target

_SKEW = timedelta(seconds=5)
"""How much earlier than its deployment a service deployment may have been made, by ECS's own clocks."""
UNDER_WAY = ("PENDING", "IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class ServiceDeployment:
    """One service deployment; `status` and `stage` are ECS's words, `hook` is the PAUSE hook that it waits on.

    It was `aborted` where somebody stopped it to stay where it stands, and neither circuit breaker nor alarm did.
    """

    arn: str
    status: str
    reason: str = ""
    stage: str = ""
    hook: str = ""
    aborted: bool = False
    number: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None

    def is_of(self, deployment: Deployment) -> bool:
        """Whether it is the deployment: its revision's number is that of the id, `ecs-svc/NUMBER`."""
        if self.number == deployment.id.rpartition("/")[2]:
            return True
        return bool(self.created_at and deployment.created_at and abs(self.created_at - deployment.created_at) <= _SKEW)

    @property
    def is_under_way(self) -> bool:
        """Whether it may still be stopped."""
        return self.status in UNDER_WAY

    @property
    def goes_back(self) -> bool:
        """Whether ECS takes it back already, or is about to."""
        return self.status in ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


def of(client: Any, target: Target, deployment: Deployment) -> ServiceDeployment | None:
    """The service deployment that is the deployment; None where nobody tells.

    Source: ecs ListServiceDeployments; its revision's number is that of the deployment's id, `ecs-svc/NUMBER`.

    """
    after = {"createdAt": {"after": deployment.created_at - _SKEW}} if deployment.created_at else {}
    try:
        listed = _listed(client, target, **after)
    except AwsError:
        return None
    number = deployment.id.rpartition("/")[2]
    same = [each for each in listed if each.get("targetServiceRevisionArn", "").rpartition("/")[2] == number]
    found = same or sorted(listed, key=_created_at)[: 1 if after else 0]
    arn = found[0]["serviceDeploymentArn"] if found else ""
    return (described(client, target, [arn]) or {}).get(arn) if arn else None


def described(client: Any, target: Target, arns: Sequence[str]) -> dict[str, ServiceDeployment] | None:
    """Return the service deployments by ARN as they are now, of one account and twenty at most; None if ECS says no.

    Source: ecs DescribeServiceDeployments.

    """
    try:
        with translated(str(target)):
            found = client.describe_service_deployments(serviceDeploymentArns=list(arns))["serviceDeployments"]
    except AwsError:
        return None
    return {each["serviceDeploymentArn"]: _read(each) for each in found}


def under_way(client: Any, target: Target) -> ServiceDeployment | None:
    """The service's deployment that has not ended; None where none is under way.

    Raises:
        AwsError: ECS does not tell, among others because the region has no service deployments.

    Source: ecs ListServiceDeployments, DescribeServiceDeployments.

    """
    listed = _listed(client, target, status=list(UNDER_WAY))
    if not listed:
        return None
    arn = max(listed, key=_created_at)["serviceDeploymentArn"]
    with translated(str(target)):
        found = client.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
    return _read(found[0]) if found else None


def stop(client: Any, target: Target, arn: str, *, back: bool) -> None:
    """ECS ends the service deployment: `back` on what ran before, else where it stands.

    Raises:
        AwsError: it has ended already, or ECS said no.

    Source: ecs StopServiceDeployment, which takes ROLLBACK even where no rollback is configured.

    """
    with translated(str(target)):
        client.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK" if back else "ABORT")


def proceed(client: Any, target: Target, waiting: ServiceDeployment) -> None:
    """The service deployment goes on from the hook that it waits on.

    Raises:
        AwsError: nobody waits there any more, or ECS said no.

    Source: ecs ContinueServiceDeployment.

    """
    with translated(str(target)):
        client.continue_service_deployment(serviceDeploymentArn=waiting.arn, hookId=waiting.hook, action="CONTINUE")


def _listed(client: Any, target: Target, **wanted: Any) -> list[Mapping[str, Any]]:
    with translated(str(target)):
        answer = client.list_service_deployments(cluster=target.cluster, service=target.ecs_service, **wanted)
    return list(answer["serviceDeployments"])


def _read(told: Mapping[str, Any]) -> ServiceDeployment:
    hooks: Iterable[Mapping[str, Any]] = told.get("lifecycleHookDetails", [])
    waits = (hook["hookId"] for hook in hooks if hook.get("status") == "AWAITING_ACTION")
    return ServiceDeployment(
        arn=told["serviceDeploymentArn"],
        status=told.get("status", ""),
        reason=told.get("rollback", {}).get("reason") or told.get("statusReason", ""),
        stage=told.get("lifecycleStage", "").replace("_", " ").lower(),
        hook=next(waits, ""),
        aborted=_is_aborted(told),
        number=told.get("targetServiceRevision", {}).get("arn", "").rpartition("/")[2],
        created_at=told.get("createdAt"),
        finished_at=told.get("finishedAt"),
    )


def _is_aborted(told: Mapping[str, Any]) -> bool:
    """Where nobody tells of a circuit breaker, it may have been that."""
    watched = [told.get(each, {}).get("status") for each in ("deploymentCircuitBreaker", "alarms")]
    is_by_hand = "TRIGGERED" not in watched and watched[0] is not None
    return told.get("status") == "STOP_REQUESTED" or (told.get("status") == "STOPPED" and is_by_hand)


def _created_at(told: Mapping[str, Any]) -> datetime:
    at: datetime = told["createdAt"]
    return at
