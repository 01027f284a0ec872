"""Restore a target whose rollout failed to what it last ran steadily, unless ECS itself rolls it back."""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from deploytasks.aws import ecs, service_deployments, tags
from deploytasks.errors import AwsError, contained
from deploytasks.model import OUTCOMES, Fallback, Outcome, Result, Rollout, Target, primary_of
from deploytasks.rollout.finish import as_it_stands, finish
from deploytasks.rollout.follow import UnderWay, last_look, under_way
from deploytasks.rollout.resources import Resources, record
from deploytasks.rules.verdict import Verdict, deployments, judge

_STATE = "restoring"


def concluded(ended: UnderWay, resources: Resources) -> UnderWay | Result:
    """Return the result of a rollout that ended; or, if it failed and can be restored, the restore under way."""
    try:
        with contained(str(ended.rollout.target)):
            return _concluded(ended, resources)
    except AwsError as error:
        result = ended.lost or as_it_stands(ended, ended.verdict.outcome or "failed", ended.verdict.detail)
        why = error.render_at(str(result.target))
        return replace(result, outcome="failed", detail=f"{_sentence(result.detail)} {why}".strip())


def _concluded(ended: UnderWay, resources: Resources) -> UnderWay | Result:
    if ended.lost:
        return _arrived(ended, ended.lost, resources)
    if ended.verdict.outcome == "timed out" and not ended.unseen:
        ended = last_look(ended, resources)
    result = finish(ended, resources)
    if not _must_restore(ended, resources):
        return result
    try:
        resources.fence.check()
        return _restore(ended, result, resources)
    except AwsError as error:
        return _not_restored(result, error.complaints[0].what)


def _must_restore(ended: UnderWay, resources: Resources) -> bool:
    """Return whether to restore: it failed, is seen, is not rolling back already, and was begun by us."""
    if not resources.restore or resources.stopped.is_set() or ended.unseen or ended.rollout.action == "nothing":
        return False
    outcome = ended.verdict.outcome
    return outcome is not None and OUTCOMES[outcome].restores and ended.verdict.state != "rolling back"


def _restore(ended: UnderWay, lost: Result, resources: Resources) -> UnderWay | Result:
    """Restore by ECS's own rollback if it accepts that, else by a deployment of what ran before.

    Raises:
        AwsError: an AWS call failed.

    """
    fallback = ended.rollout.fallback
    if fallback is None:
        return _not_restored(lost, "nothing that ran steadily before is known")
    client = resources.clients.of("ecs", lost.target.access)
    ours = service_deployments.of(client, lost.target, ended.deployment)
    if ours and (ours.goes_back or (ours.is_under_way and _accepts_rollback(client, lost.target, ours.arn))):
        return replace(_begun(ended, lost, resources), native=ours.arn, stopping=True)
    if overtaken := _overtaken(ended, lost, resources):
        return overtaken
    if ours and ours.aborted:
        return _not_restored(lost, "it was stopped without a rollback")
    if fallback.definition is None and fallback.revision == ended.deployment.revision:
        return _not_restored(lost, _same(ended.rollout))
    return _updated(ended, lost, fallback, resources)


def _accepts_rollback(client: Any, target: Target, arn: str) -> bool:
    """Ask ECS to roll the service deployment back; return whether it accepted."""
    try:
        service_deployments.stop(client, target, arn, back=True)
    except AwsError:
        return False
    return True


def _same(rollout: Rollout) -> str:
    """Return why the revision that failed is all there is to restore."""
    if "@" in rollout.image:
        return "it ran this very revision before"
    return "what ran before is known by a tag alone, which names another image now"


def _overtaken(ended: UnderWay, lost: Result, resources: Resources) -> UnderWay | Result | None:
    """Look once more; return what became of the rollout if it is no longer ours to restore, None if it is.

    Explaining its failure took a while: meanwhile another deployment may have replaced it, ECS may have rolled it back,
    or it may be complete.
    """
    target, ours = ended.rollout.target, ended.deployment
    service = ecs.service_of(resources.clients.of("ecs", target.access), target)
    primary, verdict = primary_of(deployments(service)), judge(service, ours.id, ours.created_at)
    if verdict.state in ("rolling back", "rolled back"):
        return replace(_begun(ended, lost, resources), stopping=True)
    if primary is None or primary.id != ours.id:
        why = "another deployment took its place" if primary else "the service is gone"
        return _not_restored(replace(lost, outcome="superseded" if primary else "failed"), why)
    if lost.outcome == "timed out" and verdict.outcome == "deployed":
        return finish(replace(ended, verdict=verdict), resources)
    return None


def _updated(ended: UnderWay, lost: Result, fallback: Fallback, resources: Resources) -> UnderWay | Result:
    target = ended.rollout.target
    client = resources.clients.of("ecs", target.access)
    revision = fallback.revision
    if fallback.definition:
        request = ecs.copied(client, fallback.definition, fallback.images)
        begun = {"at": tags.stamp(datetime.now(UTC))}
        revision = ecs.register(client, target, request, {**fallback.tags, **begun})
    else:
        revision = ecs.usable(client, target, revision)
    primary = primary_of(deployments(ecs.update(client, target, revision)))
    if primary is None or primary.id == ended.deployment.id:
        return _not_restored(lost, "ECS began no deployment of what ran before")
    return replace(_begun(ended, lost, resources), deployment=primary)


def _begun(ended: UnderWay, lost: Result, resources: Resources) -> UnderWay:
    begun = under_way(ended.rollout, ended.deployment, resources)
    return replace(begun, lost=lost, verdict=Verdict(None, _STATE, lost.detail))


def _arrived(ended: UnderWay, lost: Result, resources: Resources) -> Result:
    """Return the result of the failed rollout, with the outcome of the restore."""
    verdict = ended.verdict
    if verdict.outcome != ("rolled back" if ended.stopping else "deployed"):
        return _not_restored(lost, verdict.detail or f"its restore {verdict.outcome}")
    _remember(ended, lost, resources)
    back = ended.rollout.fallback.revision if ended.stopping and ended.rollout.fallback else ended.deployment.revision
    detail = f"{_sentence(lost.detail)} It was restored to {back.rpartition('/')[2]}.".strip()
    outcome: Outcome = "unhealthy" if lost.outcome == "unhealthy" else "rolled back"
    return replace(lost, outcome=outcome, detail=detail, running=verdict.running, desired=verdict.desired)


def _remember(ended: UnderWay, lost: Result, resources: Resources) -> None:
    """Record at AWS what was restored, and from what, as ECS does for its own rollbacks."""
    target = lost.target
    if ended.rollout.request:
        record(resources, target, lost.revision, {"ended": "rolled back"})
    try:
        service = ecs.service_of(resources.clients.of("ecs", target.access), target)
    except AwsError:
        return  # the board will show what runs, without the reason
    if primary := primary_of(deployments(service)):
        record(resources, target, service["serviceArn"], {ecs.UNDONE: f"{primary.id} {lost.detail}"})


def _not_restored(lost: Result, why: str) -> Result:
    goes_on = "; it goes on at AWS" if lost.outcome == "timed out" else ""
    return replace(lost, detail=f"{_sentence(lost.detail)} It was not restored: {why}{goes_on}".strip())


def _sentence(detail: str) -> str:
    return detail if not detail or detail.endswith(".") else f"{detail}."
