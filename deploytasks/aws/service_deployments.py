"""ECS's service deployments: how each ended and why, and the progress of blue/green, linear and canary ones.

If a region, an emulator or a role gives no answer, DescribeServices has to suffice. Every function takes an ECS client
of the target's account.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from msgspec import Struct, field

from deploytasks.aws.errors import translated, was_repeated
from deploytasks.errors import AwsError
from deploytasks.model import Deployment, Target
from deploytasks.model.service_deployments import CLOCK_SKEW, UNDER_WAY, ServiceDeployment

_REVISIONS_A_CALL = 20
_MOST_SEARCHED = 1000
"""How many service deployments are searched for ours: ten calls."""


class Ran(Struct, frozen=True):
    """What a service deployment deployed: a task definition's ARN, and the digest of each of its containers' images."""

    definition: str
    digests: Mapping[str, str] = field(default_factory=dict)


def of(client: Any, target: Target, deployment: Deployment) -> ServiceDeployment | None:
    """Return the service deployment of the deployment; None if it can't be determined.

    Source: ecs ListServiceDeployments; its revision's number is that of the deployment's id, `ecs-svc/NUMBER`.

    """
    after = {"createdAt": {"after": deployment.created_at - CLOCK_SKEW}} if deployment.created_at else {}
    try:
        found = _ours(islice(_listed(client, target, **after), _MOST_SEARCHED), deployment)
    except AwsError:
        return None
    arn = found["serviceDeploymentArn"] if found else ""
    return (described(client, target, [arn]) or {}).get(arn) if arn else None


def _ours(listed: Iterable[Mapping[str, Any]], deployment: Deployment) -> Mapping[str, Any] | None:
    """Return the one with the deployment's number, else the one created with it: at most `CLOCK_SKEW` apart."""
    number, at = deployment.id.rpartition("/")[2], deployment.created_at
    together: dict[timedelta, Mapping[str, Any]] = {}
    for each in listed:
        if each.get("targetServiceRevisionArn", "").rpartition("/")[2] == number:
            return each
        if at and (apart := abs(_created_at(each) - at)) <= CLOCK_SKEW:
            together[apart] = each
    return together[min(together)] if together else None


def described(client: Any, target: Target, arns: Sequence[str]) -> dict[str, ServiceDeployment] | None:
    """Return the present service deployments by ARN, at most twenty of one account; None if ECS refuses the call.

    Source: ecs DescribeServiceDeployments.

    """
    try:
        return _described(client, target, arns)
    except AwsError:
        return None


def _described(client: Any, target: Target, arns: Sequence[str]) -> dict[str, ServiceDeployment]:
    with translated(str(target)):
        found = client.describe_service_deployments(serviceDeploymentArns=list(arns))["serviceDeployments"]
    return {each["serviceDeploymentArn"]: _read(each) for each in found}


def before(client: Any, target: Target, at: datetime) -> Iterator[Ran]:
    """Yield what the successful service deployments created by then deployed, newest first.

    Raises:
        AwsError: ECS does not answer, among others because the region has no service deployments.

    Source: ecs ListServiceDeployments, DescribeServiceRevisions. ECS keeps 90 days of them.

    """
    until = at + timedelta(seconds=1)  # botocore sends whole seconds
    made = [each for each in _succeeded(client, target, before=until) if _created_at(each) <= at]
    return _brought(client, target, sorted(made, key=_created_at, reverse=True))


def since(client: Any, target: Target, at: datetime) -> Iterator[Ran]:
    """Yield what the successful service deployments created from then on deployed, oldest first.

    Raises:
        AwsError: as `before`.

    """
    made = [each for each in _succeeded(client, target, after=at) if _created_at(each) >= at]
    return _brought(client, target, sorted(made, key=_created_at))


def _succeeded(client: Any, target: Target, **when: datetime) -> Iterator[Mapping[str, Any]]:
    return _listed(client, target, status=["SUCCESSFUL"], createdAt=when)


def _brought(client: Any, target: Target, deployments: Sequence[Mapping[str, Any]]) -> Iterator[Ran]:
    """Yield what each service deployment deployed; skip those whose service revision ECS no longer describes."""
    arns = [arn for each in deployments if (arn := each.get("targetServiceRevisionArn"))]
    for at in range(0, len(arns), _REVISIONS_A_CALL):
        batch = arns[at : at + _REVISIONS_A_CALL]
        with translated(str(target)):
            listed = client.describe_service_revisions(serviceRevisionArns=batch)["serviceRevisions"]
        known = {each["serviceRevisionArn"]: _ran(each) for each in listed if each.get("taskDefinition")}
        yield from (known[arn] for arn in batch if arn in known)


def _ran(told: Mapping[str, Any]) -> Ran:
    images: Iterable[Mapping[str, Any]] = told.get("containerImages", [])
    return Ran(
        told["taskDefinition"],
        {each["containerName"]: each["imageDigest"] for each in images if each.get("imageDigest")},
    )


def under_way(client: Any, target: Target) -> ServiceDeployment | None:
    """Return the service's unfinished service deployment, the newest if several; None if there is none.

    Raises:
        AwsError: ECS does not answer, among others because the region has no service deployments.

    Source: ecs ListServiceDeployments, DescribeServiceDeployments.

    """
    newest = max(_listed(client, target, status=list(UNDER_WAY)), key=_created_at, default=None)
    if newest is None:
        return None
    arn = newest["serviceDeploymentArn"]
    return _described(client, target, [arn]).get(arn)


def stop(client: Any, target: Target, arn: str, *, back: bool) -> None:
    """Stop the service deployment: with `back` roll back to what ran before, else leave it where it stands.

    Raises:
        AwsError: it has ended already, or ECS refused the call.

    Source: ecs StopServiceDeployment, which takes ROLLBACK even where no rollback is configured.

    """
    try:
        with translated(str(target)):
            client.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK" if back else "ABORT")
    except AwsError as error:
        found = _looked_up(client, target, arn, error)
        if found is None or found.is_under_way:
            raise


def proceed(client: Any, target: Target, waiting: ServiceDeployment) -> None:
    """Let the service deployment continue from the hook that it waits on.

    Raises:
        AwsError: it no longer waits on that hook, or ECS refused the call.

    Source: ecs ContinueServiceDeployment.

    """
    try:
        with translated(str(target)):
            client.continue_service_deployment(serviceDeploymentArn=waiting.arn, hookId=waiting.hook, action="CONTINUE")
    except AwsError as error:
        found = _looked_up(client, target, waiting.arn, error)
        if found is None or found.hook == waiting.hook:
            raise


def _looked_up(client: Any, target: Target, arn: str, error: AwsError) -> ServiceDeployment | None:
    """Return the service deployment if an answer was lost: a repeated call is refused for what the first one did."""
    return (described(client, target, [arn]) or {}).get(arn) if was_repeated(error) else None


def _listed(client: Any, target: Target, **wanted: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the service deployments, asking for each page only when it is needed; botocore has no paginator for it."""
    asked = {"maxResults": 100, **wanted}
    while True:
        with translated(str(target)):
            answer = client.list_service_deployments(cluster=target.cluster, service=target.ecs_service, **asked)
        yield from answer["serviceDeployments"]
        if not answer.get("nextToken"):
            return
        asked["nextToken"] = answer["nextToken"]


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
    """Return whether a person stopped it.

    False if it is STOPPED and ECS reports no circuit breaker: that may have stopped it.
    """
    watched = [told.get(each, {}).get("status") for each in ("deploymentCircuitBreaker", "alarms")]
    is_by_hand = "TRIGGERED" not in watched and watched[0] is not None
    return told.get("status") == "STOP_REQUESTED" or (told.get("status") == "STOPPED" and is_by_hand)


def _created_at(told: Mapping[str, Any]) -> datetime:
    at: datetime = told["createdAt"]
    return at
