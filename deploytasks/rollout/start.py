"""Begin a rollout: run its one-off tasks, mark its revision as begun, and only then touch its service."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import ecs
from deploytasks.aws import tags as aws_tags
from deploytasks.aws.errors import is_denied, may_pass
from deploytasks.aws.fencing import LockLost
from deploytasks.errors import AwsError, DeployError, contained
from deploytasks.model import Deployment, Result, Rollout, Told, primary_of
from deploytasks.rollout import before_deploy
from deploytasks.rollout.before_deploy import Held
from deploytasks.rollout.finish import outcome_of, record
from deploytasks.rollout.follow import UnderWay, under_way
from deploytasks.rollout.resources import Resources
from deploytasks.rules.verdict import deployments


class Overtaken(AwsError):
    """The service has another deployment than the one that the rollout was planned from."""


def start(rollout: Rollout, resources: Resources) -> UnderWay | Result:
    """The rollout is under way at AWS, or at once at its end: there was nothing to do, or AWS or a step said no."""
    try:
        with contained(str(rollout.target)):
            return _started(rollout, resources)
    except before_deploy.StepFailed as failed:
        return replace(outcome_of(rollout, "failed", _own(rollout, failed)), tasks=failed.tasks)
    except (Held, LockLost) as error:
        return outcome_of(rollout, "not attempted", _own(rollout, error))
    except Overtaken as error:
        return outcome_of(rollout, "superseded", _own(rollout, error))
    except AwsError as error:
        return outcome_of(rollout, "failed", _own(rollout, error))


def _started(rollout: Rollout, resources: Resources) -> UnderWay | Result:
    match rollout.action:
        case "nothing":
            return outcome_of(rollout, "unchanged", "", rollout.live.primary if rollout.live else None)
        case "follow" if followed := rollout.deployment or (rollout.live and rollout.live.primary):
            return under_way(rollout, followed, resources)
        case _:
            return under_way(rollout, _begin(rollout, resources), resources)


def _own(rollout: Rollout, error: DeployError) -> str:
    """What went wrong, without the target's name: it stands before it in every report."""
    tier = rollout.target.environment.tier
    return error.render().removeprefix(f"{rollout.target}: ").removeprefix(f"{tier}: ")


def _begin(rollout: Rollout, resources: Resources) -> Deployment:
    """The rollout is under way at AWS; its deployment is the one that the answer calls PRIMARY."""
    target, client = rollout.target, resources.clients.of("ecs", rollout.target.access)
    resources.fence.raise_if_lost()
    if resources.steps_first:
        resources.steps_first(rollout)
    if resources.stopped.is_set():
        raise AwsError.of(str(target), "interrupted before its service was touched")
    _raise_if_overtaken(client, rollout)
    resources.fence.check()
    if rollout.request:
        _mark_begun(client, rollout, resources)
    resources.fence.check_again()
    try:
        primary = primary_of(deployments(_touched(client, rollout, resources)))
    except AwsError as error:
        if rollout.request and not may_pass(error):
            record(resources, target, rollout.revision, {"ended": "failed"})  # nobody shall go back to what never ran
        raise
    if primary is None:
        raise AwsError.of(str(target), "ECS named no deployment that could be followed", "look at its service in ECS")
    return primary


def _raise_if_overtaken(client: Any, rollout: Rollout) -> None:
    """Look at the service once more: since it was planned from, nobody may have begun another deployment of it.

    An older deployment than the planned one is a late answer.

    Raises:
        Overtaken: somebody has.

    """
    planned = rollout.live.primary if rollout.live else None
    if planned is None:
        return
    primary = primary_of(deployments(ecs.service_of(client, rollout.target)))
    if primary is None or primary.id == planned.id:
        return
    if primary.created_at and planned.created_at and primary.created_at < planned.created_at:
        return
    what = f"{primary.revision.rpartition('/')[2]} was rolled out by somebody else since this was planned"
    raise Overtaken.of(str(rollout.target), what, "look at what runs there now: inv status")


def _mark_begun(client: Any, rollout: Rollout, resources: Resources) -> None:
    """Write on the new revision that it has begun, and what an adopted one does not record yet.

    A role that may not tag rolls out all the same: what has run is the truth, and only its record is lost.

    Raises:
        AwsError: AWS failed otherwise; the service was not touched.

    """
    tags = {**rollout.unrecorded, "at": aws_tags.stamp(datetime.now(UTC))}
    try:
        ecs.record(client, rollout.target, rollout.revision, tags)
    except AwsError as error:
        if not is_denied(error):
            raise
        what = f"rollback and history will not know this revision: {error.complaints[0].what}"
        resources.tell(Told("record", what, str(rollout.target)))


def _touched(client: Any, rollout: Rollout, resources: Resources) -> Mapping[str, Any]:
    """The service as ECS answers that it rolls out the revision, or, without one, what it runs anew."""
    running = rollout.live.primary if rollout.live else None
    if rollout.action == "create" and rollout.create and rollout.revision:
        return ecs.create(client, rollout.target, rollout.create, rollout.revision)
    _record(rollout, resources)
    return ecs.update(client, rollout.target, rollout.revision or None, running.id if running else "")


def _record(rollout: Rollout, resources: Resources) -> None:
    """Where no revision carries it, the service itself says what it rolls out next.

    It is written before that begins, so that nobody who comes after a sudden death takes the rollout for another's; it
    counts as soon as the service is `after` the deployment that it had until then.
    """
    live = rollout.live
    if rollout.request is None and live and live.primary:
        at = aws_tags.stamp(datetime.now(UTC))
        record(resources, rollout.target, live.arn, {**rollout.tags, "at": at, "after": live.primary.id})
