"""Start a rollout: run its `before_deploy` steps, mark its revision as begun, and only then update its service."""

from collections.abc import Mapping
from datetime import UTC, datetime
from operator import call
from typing import Any

from msgspec.structs import replace

from deploytasks.aws import ecs
from deploytasks.aws import tags as aws_tags
from deploytasks.aws.errors import may_pass
from deploytasks.aws.lock_holders import LockLost
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, contained
from deploytasks.model import Deployment, Result, Rollout, primary_of
from deploytasks.rollout import jobs
from deploytasks.rollout.before_deploy import Before, Held, StepFailed
from deploytasks.rollout.finish import outcome_of
from deploytasks.rollout.follow import UnderWay, under_way
from deploytasks.rollout.resources import Resources, announce, record
from deploytasks.rules.verdict import deployments


class Overtaken(AwsError):
    """The service's deployment is no longer the one that the rollout was planned from."""


def start(rollout: Rollout, resources: Resources, before: Before) -> UnderWay | Result:
    """Start the rollout; return it under way, or its result if there was nothing to do or it could not start."""
    try:
        with contained(str(rollout.target)):
            return _started(rollout, resources, before)
    except AwsError as error:
        return _not_started(rollout, error)


def held_back(rollout: Rollout, why: str, before: Before) -> Result:
    """Return the result of a rollout that must not begin, because one that goes first did not end well.

    The reason is `why`, unless `before_deploy` failed in its environment.
    """
    try:
        before.raise_if_failed(rollout)
    except AwsError as error:
        return _not_started(rollout, error)
    return outcome_of(rollout, "not attempted", why)


def _not_started(rollout: Rollout, error: AwsError) -> Result:
    detail = error.render_at(str(rollout.target), rollout.target.environment.tier)
    failed = outcome_of(rollout, "failed", detail)
    match error:
        case StepFailed():
            return replace(failed, tasks=error.tasks, step=error.step)
        case Held() | LockLost():
            return replace(failed, outcome="not attempted")
        case Overtaken() | jobs.Repointed():
            return replace(failed, outcome="superseded")
        case _:
            return failed


def _started(rollout: Rollout, resources: Resources, before: Before) -> UnderWay | Result:
    match rollout.action:
        case _ if rollout.target.job:
            return jobs.carried_out(rollout, resources)
        case "nothing":
            return outcome_of(rollout, "unchanged", "", rollout.live.primary if rollout.live else None)
        case "follow" if followed := rollout.deployment or (rollout.live and rollout.live.primary):
            return under_way(rollout, followed, resources)
        case _:
            return under_way(rollout, _begin(rollout, resources, before), resources)


def _begin(rollout: Rollout, resources: Resources, before: Before) -> Deployment:
    """Start the rollout at AWS; return its deployment, which is the PRIMARY of the answer.

    Raises:
        StepFailed, Held: `before_deploy` failed, the rollout's own or another service's.
        LockLost: the tier's lock is no longer ours.
        Overtaken: another deployment began since the plan.
        AwsError: an AWS call failed, or the command was interrupted.

    """
    target, client = rollout.target, resources.clients.of("ecs", rollout.target.access)
    resources.fence.raise_if_lost()
    before.run(rollout, resources)
    if resources.stopped.is_set():
        raise AwsError.of(str(target), "interrupted before its service was touched")
    each(call, (lambda: _raise_if_overtaken(client, rollout), resources.fence.check))  # at once
    if rollout.request:
        begun = {**rollout.unrecorded, "at": aws_tags.stamp(datetime.now(UTC))}
        announce(resources, target, rollout.revision, begun, "rollback and history will not know this revision")
    resources.fence.check_again()
    try:
        primary = primary_of(deployments(_touched(client, rollout, resources)))
    except AwsError as error:
        if rollout.request and not may_pass(error):
            record(resources, target, rollout.revision, {"ended": "failed"})  # it never ran: rollback must not take it
        raise
    if primary is None:
        raise AwsError.of(str(target), "ECS named no deployment that could be followed", "look at its service in ECS")
    return primary


def _raise_if_overtaken(client: Any, rollout: Rollout) -> None:
    """Raise Overtaken if another deployment of the service began since the rollout was planned.

    An older deployment than the planned one is a stale answer, and ignored.
    """
    planned = rollout.live.primary if rollout.live else None
    if planned is None:
        return
    primary = primary_of(deployments(ecs.service_of(client, rollout.target)))
    if primary is None or primary.id == planned.id:
        return
    if primary.created_at and planned.created_at and primary.created_at < planned.created_at:
        return
    what = f"{primary.revision.rpartition('/')[2]} was rolled out by another command since this was planned"
    raise Overtaken.of(str(rollout.target), what, "look at what runs there now: inv status")


def _touched(client: Any, rollout: Rollout, resources: Resources) -> Mapping[str, Any]:
    """Create or update the service, and return it as ECS answers; without a revision, force a new deployment."""
    running = rollout.live.primary if rollout.live else None
    if rollout.action == "create" and rollout.create and rollout.revision:
        return ecs.create(client, rollout.target, rollout.create, rollout.revision)
    _record(rollout, resources)
    return ecs.update(client, rollout.target, rollout.revision or None, running.id if running else "")


def _record(rollout: Rollout, resources: Resources) -> None:
    """Tag the service with what it rolls out next, if no new revision carries those tags.

    The tags are written before the rollout begins, so that after a sudden death the rollout is still known as ours.
    They count once the service has a later deployment than the one named by `after`.
    """
    live = rollout.live
    if rollout.request is None and live and live.primary:
        at = aws_tags.stamp(datetime.now(UTC))
        record(resources, rollout.target, live.arn, {**rollout.tags, "at": at, "after": live.primary.id})
