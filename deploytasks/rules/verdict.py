"""The state of our own deployment, from what DescribeServices answers and from ECS's service deployment."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.model import Deployment, Outcome, primary_of
from deploytasks.model.service_deployments import ServiceDeployment


class Verdict(Struct, frozen=True):
    """The state of a rollout; `outcome` is None while it is under way."""

    outcome: Outcome | None
    state: str
    detail: str = ""
    running: int = 0
    desired: int = 0
    last_event: str = ""


_BIRTH = timedelta(minutes=1)
"""A deployment created within this time after its service is the service's first."""


def deployments(service: Mapping[str, Any]) -> tuple[Deployment, ...]:
    """Return a described service's deployments as values, in ECS's own order."""
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
            pending=each.get("pendingCount", 0),
            ended_at=_ended_at(service, each),
            is_born=_is_born(service, each),
        )
        for each in service.get("deployments", [])
    )


def _ended_at(service: Mapping[str, Any], listed: Mapping[str, Any]) -> datetime | None:
    """Return when the deployment completed: its event's time, else when ECS last changed it."""
    if listed.get("rolloutState") != "COMPLETED":
        return None
    return next(_completions(service, listed["id"]), None) or listed.get("updatedAt")


def _completions(service: Mapping[str, Any], deployment_id: str) -> Iterator[datetime | None]:
    """Yield when the service's events say that the deployment completed, newest first."""
    said = f"(deployment {deployment_id}) deployment completed"
    return (event.get("createdAt") for event in service.get("events", []) if said in event["message"])


def _is_born(service: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    """Return whether it is a service's only deployment and COMPLETED before anything runs, as emulators create it.

    Source: observed in ministack 1.5; ECS itself begins with IN_PROGRESS.
    """
    if listed.get("rolloutState") != "COMPLETED" or listed.get("runningCount", 0) or not listed.get("desiredCount", 0):
        return False
    made, began = service.get("createdAt"), listed.get("createdAt")
    is_first = made is None or began is None or began - made <= _BIRTH
    return is_first and len(service["deployments"]) == 1


def judge(service: Mapping[str, Any], deployment_id: str, started_at: datetime | None = None) -> Verdict:
    """Return the state of the deployment that UpdateService returned, whatever else happens in the service.

    ECS's COMPLETED is final however few tasks run, except for a service's first deployment that is born COMPLETED.
    A deployment that failed and lost its place is `rolled back`, once the rollback itself has ended; one that lost
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
    """Return the verdict as decided by ECS's service deployment; DescribeServices may show only half of a strategy.

    Source: ServiceDeploymentStatus in ECS's documentation; STOPPED is one that another deployment replaced, or that
    was aborted by a person.
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
        case "SUCCESSFUL" if verdict.outcome not in ("superseded", "rolled back"):
            return replace(verdict, outcome="deployed", state="deployed", detail=_fulfilled(verdict))
        case "STOPPED" if verdict.outcome != "superseded":
            return replace(verdict, outcome="failed", state="failed", detail=told.reason or "somebody stopped it")
        case _:
            return verdict


def needs_service_deployment(service: Mapping[str, Any], verdict: Verdict) -> bool:
    """Return whether to ask for ECS's service deployment, which has the last word on every end.

    A rolling one is asked for once DescribeServices shows an end. It is asked for at every look if the strategy is
    another, if early success criteria are enabled, or if DescribeServices reports no rolloutState.
    Source: botocore's DeploymentConfiguration (strategy, earlySuccessCriteria); no rolloutState behind a Classic Load
    Balancer (botocore's Deployment).
    """
    settings = service.get("deploymentConfiguration", {})
    is_early = settings.get("earlySuccessCriteria", {}).get("enable", False)
    has_states = all(each.get("rolloutState") for each in service.get("deployments", []))
    is_other = settings.get("strategy", "ROLLING") != "ROLLING"
    is_end = verdict.outcome is not None and verdict.outcome != "failed"  # rolloutState says FAILED itself
    return is_other or is_early or not has_states or is_end


def took_s(service: Mapping[str, Any]) -> float | None:
    """Return how long the service's last completed rollout took, in seconds; None if its events do not tell."""
    primary = primary_of(deployments(service))
    if primary is None or primary.created_at is None:
        return None
    seconds = [(at - primary.created_at).total_seconds() for at in _completions(service, primary.id) if at]
    return next((each for each in seconds if each > 0), None)


def given_up(service: Mapping[str, Any]) -> str:
    """Return why the service's last rollout failed; empty if it didn't, or if a later one began.

    A failed deployment has its own state; once ECS has removed it, only the service's events tell.
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
    """Return whether the primary began after it, and so isn't an earlier deployment that ECS rolled back to."""
    if deployment.id == primary.id or not deployment.created_at or not primary.created_at:
        return False
    return deployment.created_at < primary.created_at


def _told_failure(service: Mapping[str, Any], primary: Deployment) -> str:
    """Return what the newest event about a failed deployment says, if the primary replaced that deployment."""
    events = service.get("events", [])
    back = any(f"rolling back to deployment {primary.id}" in event["message"] for event in events)
    for event in events:
        at, said = event.get("createdAt"), str(event["message"]).partition("deployment failed:")[2]
        if said and (back or (at and primary.created_at and at > primary.created_at)):
            return said.strip()
    return ""


def _as_primary(service: Mapping[str, Any], ours: Deployment) -> Verdict:
    match ours.rollout_state:
        case "COMPLETED" if ours.is_complete:
            return _verdict(service, ours, "deployed", _fulfilled(ours))
        case "FAILED" if _rolls_back(service):
            return _verdict(service, ours, None, ours.reason, state="rolling back")
        case "FAILED":
            return _verdict(service, ours, "failed", ours.reason)
        case "" if ours.running >= ours.desired and len(service.get("deployments", [])) == 1:
            return _verdict(service, ours, "deployed", "")  # this controller reports no rolloutState
        case _:
            return _verdict(service, ours, None, failed_so_far(service, ours))


def _fulfilled(ended: Deployment | Verdict) -> str:
    """Return the note on a deployment that ECS calls ended; empty if all tasks run."""
    return f"ECS calls it complete at {ended.running}/{ended.desired} tasks" if ended.running < ended.desired else ""


def failed_so_far(service: Mapping[str, Any], deployment: Deployment) -> str:
    """Return how many tasks failed, and at how many the circuit breaker trips; empty if none failed."""
    breaker, count = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {}), deployment.failed
    if not count:
        return ""
    said = "1 task failed" if count == 1 else f"{count} tasks failed"
    in_a_row = " one after the other" if count > 1 and breaker.get("resetOnHealthyTask", True) else ""
    trips = f"; the circuit breaker trips at {threshold(breaker, deployment.desired)}" if breaker.get("enable") else ""
    return f"{said}{in_a_row}{trips}"


def threshold(breaker: Mapping[str, Any], desired: int) -> int:
    """Return how many failed tasks trip the circuit breaker.

    Source: botocore's ThresholdConfiguration (50 BOUNDED_PERCENT by default) and ServiceDeploymentCircuitBreaker
    (bounded by 3 and 200).
    """
    settings = breaker.get("thresholdConfiguration", {})
    value: int = settings.get("value", 50)
    match settings.get("type", "BOUNDED_PERCENT"):
        case "COUNT":
            return value
        case "UNBOUNDED_PERCENT":
            return max(1, ceil(value * desired / 100))
        case _:
            return min(max(ceil(value * desired / 100), 3), 200)


def _rolls_back(service: Mapping[str, Any]) -> bool:
    """Return whether ECS is about to replace the failed deployment by an earlier one: by its breaker, or its alarms."""
    settings = service.get("deploymentConfiguration", {})
    watched = (settings.get("deploymentCircuitBreaker", {}), settings.get("alarms", {}))
    rolls_back = any(each.get("enable", True) and each.get("rollback") for each in watched)
    return rolls_back and len(service.get("deployments", [])) > 1


def _was_rolled_back(
    service: Mapping[str, Any],
    ours: Deployment | None,
    primary: Deployment,
    deployment_id: str,
    started_at: datetime | None,
) -> bool:
    told = any(f"deployment {deployment_id}" in event and "fail" in event.lower() for event in _events(service))
    if ours is not None:  # ECS still calls it IN_PROGRESS for a minute or two after it failed
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
