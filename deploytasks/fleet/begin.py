"""A rollout begins: its revision is registered, its one-off tasks have run, and only then its service is touched."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import audit, ecs
from deploytasks.aws.failures import may_pass
from deploytasks.aws.verdict import deployments
from deploytasks.errors import AwsError, DeployError
from deploytasks.fleet import steps
from deploytasks.fleet.finish import outcome_of, record
from deploytasks.fleet.follow import UnderWay, under_way
from deploytasks.fleet.means import Means
from deploytasks.model import Deployment, Result, Rollout, primary_of


def start(rollout: Rollout, means: Means) -> UnderWay | Result:
    """The rollout is under way at AWS, or at once at its end: there was nothing to do, or AWS or a step said no."""
    try:
        match rollout.action:
            case "nothing":
                return outcome_of(rollout, "unchanged", "", rollout.live.primary if rollout.live else None)
            case "follow" if followed := rollout.deployment or (rollout.live and rollout.live.primary):
                return under_way(rollout, followed, means)
            case _:
                return under_way(rollout, _begin(rollout, means), means)
    except steps.StepFailed as failed:
        return replace(outcome_of(rollout, "failed", _own(rollout, failed)), tasks=failed.tasks)
    except AwsError as error:
        return outcome_of(rollout, "failed", _own(rollout, error))


def _own(rollout: Rollout, error: DeployError) -> str:
    """What went wrong, without the target's name: it stands before it in every report."""
    return error.render().removeprefix(f"{rollout.target}: ")


def _begin(rollout: Rollout, means: Means) -> Deployment:
    """The rollout is under way at AWS; its deployment is the one that the answer calls PRIMARY."""
    target, client = rollout.target, means.clients.of("ecs", rollout.target.access)
    running = rollout.live.primary if rollout.live else None
    before = steps.known(client, rollout, rollout.steps) if rollout.steps else None
    revision = rollout.revision or None
    if rollout.request:
        kept = steps.record_of(before) if before else {}
        revision = ecs.register(client, target, rollout.request, {**rollout.tags, **kept})
    if before:
        steps.run(client, rollout, before, revision or (running.revision if running else ""), means)
    if means.stopped.is_set():
        raise AwsError.of(str(target), "interrupted before its service was touched")
    try:
        primary = primary_of(deployments(_touched(client, rollout, revision, means)))
    except AwsError as error:
        if rollout.request and revision and not may_pass(error):
            record(means, target, revision, {"ended": "failed"})  # nobody shall go back to what never ran
        raise
    if primary is None:
        raise AwsError.of(str(target), "ECS named no deployment that could be followed", "look at its service in ECS")
    return primary


def _touched(client: Any, rollout: Rollout, revision: str | None, means: Means) -> Mapping[str, Any]:
    """The service as ECS answers that it rolls out the revision, or, for None, the same one anew."""
    running = rollout.live.primary if rollout.live else None
    if rollout.action == "create" and rollout.create and revision:
        return ecs.create(client, rollout.target, rollout.create, revision)
    _record(rollout, means)
    return ecs.update(client, rollout.target, revision, running.id if running else "")


def _record(rollout: Rollout, means: Means) -> None:
    """Where no revision carries it, the service itself says what it rolls out next.

    It is written before that begins, so that nobody who comes after a sudden death takes the rollout for another's; it
    counts as soon as the service is `after` the deployment that it had until then.
    """
    live = rollout.live
    if rollout.request is None and live and live.primary:
        at = audit.stamp(datetime.now(UTC))
        record(means, rollout.target, live.arn, {**rollout.tags, "at": at, "after": live.primary.id})
