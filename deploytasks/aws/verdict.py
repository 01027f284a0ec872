"""How our own deployment stands, read off what DescribeServices answers, and ECS's service deployment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from deploytasks.aws.native import ServiceDeployment
from deploytasks.model import Deployment, Outcome, primary_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a rollout stands; `outcome` is None while it is under way."""

    outcome: Outcome | None
    state: str
    detail: str = ""
    running: int = 0
    desired: int = 0
    last_event: str = ""


@dataclass(frozen=True, slots=True)
class Ailment:
    """Why a target is not healthy any more, and what its rollout comes to by that.

    One that `may_pass` by itself counts only at two looks in a row: a service that scales out is short for a while.
    """

    why: str
    outcome: Outcome = "failed"
    may_pass: bool = False


def deployments(service: Mapping[str, Any]) -> tuple[Deployment, ...]:
    """A described service's deployments as values, in ECS's own order."""
    return tuple(
        Deployment(
            id=each["id"],
            status=each["status"],
            rollout_state=each.get("rolloutState", ""),
            revision=each["taskDefinition"],
            desired=each.get("desiredCount", 0),
            running=each.get("runningCount", 0),
            reason=each.get("rolloutStateReason", ""),
            created_at=each.get("createdAt"),
            failed=each.get("failedTasks", 0),
        )
        for each in service.get("deployments", [])
    )


def judge(service: Mapping[str, Any], deployment_id: str, started_at: datetime | None = None) -> Verdict:
    """How the deployment stands that UpdateService answered with, whatever else goes on in the service.

    COMPLETED counts only with every desired task running: a service's first deployment is born COMPLETED.
    A deployment that failed and lost its place is `rolled back`, once the rollback has ended itself; one that lost
    its place without failing is `superseded`.
    """
    listed = deployments(service)
    ours = next((each for each in listed if each.id == deployment_id), None)
    primary = primary_of(listed)
    if ours is not None and ours.status == "PRIMARY":
        return _as_primary(service, ours)
    if primary is None:
        return _verdict(service, ours, "failed", "the service has no deployment any more")
    if _was_rolled_back(service, ours, primary, deployment_id, started_at):
        return _as_rolled_back(service, ours, primary)
    return _verdict(service, ours, "superseded", f"deployment {primary.id} ({_short(primary.revision)}) replaced ours")


def natively(service: Mapping[str, Any], verdict: Verdict, told: ServiceDeployment) -> Verdict:
    """The verdict, as ECS's own service deployment decides it; what DescribeServices shows may be half of a strategy.

    Source: ServiceDeploymentStatus in ECS's documentation; STOPPED is one that another deployment replaced, or that
    somebody aborted.
    """
    match told.status:
        case "PENDING" | "IN_PROGRESS" if told.hook:
            return replace(verdict, outcome="paused", state="paused", detail=f"waits on hook {told.hook}")
        case "PENDING" | "IN_PROGRESS" | "STOP_REQUESTED":
            return replace(verdict, outcome=None, state=told.stage or told.status.replace("_", " ").lower())
        case "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS":
            return replace(verdict, outcome=None, state="rolling back", detail=told.reason)
        case "ROLLBACK_SUCCESSFUL":
            return replace(verdict, outcome="rolled back", state="rolled back", detail=_back_on(service, told.reason))
        case "ROLLBACK_FAILED":
            return replace(verdict, outcome="failed", state="failed", detail=f"its rollback failed: {told.reason}")
        case "STOPPED" if verdict.outcome != "superseded":
            return replace(verdict, outcome="failed", state="failed", detail=told.reason or "somebody stopped it")
        case _:
            return verdict


def is_unexplained(service: Mapping[str, Any], verdict: Verdict) -> bool:
    """Whether only ECS's service deployment tells how the rollout really stands: another strategy, or a lost place."""
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    return strategy != "ROLLING" or verdict.outcome in ("rolled back", "superseded")


def ailment(service: Mapping[str, Any] | None, well: Deployment) -> Ailment | None:
    """Why the service is not as healthy as its deployment was when it was well; None where it is."""
    primary = primary_of(deployments(service or {}))
    if service is None or primary is None:
        return Ailment("the service is gone")
    if primary.id != well.id:
        return Ailment("another deployment took its place", "superseded")
    if primary.rollout_state == "FAILED":
        return Ailment(primary.reason or "ECS gave the deployment up")
    if primary.failed > well.failed:
        return Ailment(_failed_so_far(primary))
    wanted = min(service["desiredCount"], well.desired)  # of those that it is scaling out to, some may be on their way
    if service["runningCount"] < wanted:
        return Ailment(f"{service['runningCount']} of {wanted} tasks run", may_pass=True)
    return None


def took_s(service: Mapping[str, Any]) -> float | None:
    """How long the service's last completed rollout took, in seconds; None where its events do not tell."""
    primary = primary_of(deployments(service))
    if primary is None or primary.created_at is None:
        return None
    said = f"(deployment {primary.id}) deployment completed"
    ends = (event["createdAt"] for event in service.get("events", []) if said in event["message"])
    seconds = [(at - primary.created_at).total_seconds() for at in ends]
    return next((each for each in seconds if each > 0), None)


def given_up(service: Mapping[str, Any]) -> str:
    """Why the service's last rollout was given up; empty where it was not, or where a later one began.

    A deployment that failed is told by its own state; once ECS has let go of it, by the service's events alone.
    """
    listed = deployments(service)
    primary = primary_of(listed)
    if primary is None:
        return ""
    failed = [each for each in listed if each.rollout_state == "FAILED" and not _is_before(each, primary)]
    if failed:
        return failed[0].reason or "ECS gave the deployment up"
    return _told_failure(service, primary)


def _is_before(deployment: Deployment, primary: Deployment) -> bool:
    """Whether the primary began after it, and so is no deployment that was gone back to."""
    if deployment.id == primary.id or not deployment.created_at or not primary.created_at:
        return False
    return deployment.created_at < primary.created_at


def _told_failure(service: Mapping[str, Any], primary: Deployment) -> str:
    """What the newest event about a failed deployment says, if the primary is what was gone back to after it."""
    events = service.get("events", [])
    back = any(f"rolling back to deployment {primary.id}" in event["message"] for event in events)
    for event in events:
        at, said = event.get("createdAt"), str(event["message"]).partition("deployment failed:")[2]
        if said and (back or (at and primary.created_at and at > primary.created_at)):
            return said.strip()
    return ""


def _as_primary(service: Mapping[str, Any], ours: Deployment) -> Verdict:
    match ours.rollout_state:
        case "COMPLETED" if ours.running >= ours.desired:
            detail = "" if ours.desired else "0 desired: nothing proves that it starts"
            return _verdict(service, ours, "deployed", detail)
        case "FAILED" if _rolls_back(service):
            return _verdict(service, ours, None, ours.reason, state="rolling back")
        case "FAILED":
            return _verdict(service, ours, "failed", ours.reason)
        case "" if ours.running >= ours.desired and len(service.get("deployments", [])) == 1:
            return _verdict(service, ours, "deployed", "")  # no circuit breaker state from this controller
        case _:
            return _verdict(service, ours, None, _failed_so_far(ours))


def _failed_so_far(deployment: Deployment) -> str:
    """What is to be said of the tasks that failed; nothing, as long as none did."""
    count = deployment.failed
    return f"{count} tasks failed one after the other" if count > 1 else "1 task failed" * count


def _rolls_back(service: Mapping[str, Any]) -> bool:
    """Whether ECS is about to put an earlier deployment in the place of the failed one."""
    breaker = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {})
    return bool(breaker.get("rollback")) and len(service.get("deployments", [])) > 1


def _was_rolled_back(
    service: Mapping[str, Any],
    ours: Deployment | None,
    primary: Deployment,
    deployment_id: str,
    started_at: datetime | None,
) -> bool:
    told = any(f"deployment {deployment_id}" in event and "fail" in event.lower() for event in _events(service))
    if ours is not None:  # which ECS goes on calling IN_PROGRESS for a minute or two after it gave it up
        return told or ours.rollout_state == "FAILED"
    older = bool(started_at and primary.created_at and primary.created_at < started_at)
    return told or older


def _as_rolled_back(service: Mapping[str, Any], ours: Deployment | None, primary: Deployment) -> Verdict:
    detail = _back_on(service, ours.reason if ours else _told_failure(service, primary))
    if primary.rollout_state == "IN_PROGRESS":
        return _verdict(service, ours, None, detail, state="rolling back")
    return _verdict(service, ours, "rolled back", detail)


def _back_on(service: Mapping[str, Any], reason: str) -> str:
    primary = primary_of(deployments(service))
    said = (reason or "ECS gave the deployment up").removesuffix(".")
    return f"{said}. Back on {_short(primary.revision)}." if primary else f"{said}."


def _verdict(
    service: Mapping[str, Any], ours: Deployment | None, outcome: Outcome | None, detail: str, state: str = "rolling"
) -> Verdict:
    return Verdict(
        outcome=outcome,
        state=outcome or state,
        detail=detail,
        running=ours.running if ours else service.get("runningCount", 0),
        desired=ours.desired if ours else service.get("desiredCount", 0),
        last_event=next(iter(_events(service)), ""),
    )


def _events(service: Mapping[str, Any]) -> list[str]:
    return [event["message"] for event in service.get("events", [])[:20]]


def _short(revision: str) -> str:
    return revision.rsplit("/", 1)[-1]
