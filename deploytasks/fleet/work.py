"""What the fleet's threads do: AWS calls for one rollout, with every error turned into a value."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Event
from typing import Any

from deploytasks.aws import ecs, native, tasks
from deploytasks.aws.session import Clients
from deploytasks.aws.verdict import Verdict, deployments, judge
from deploytasks.errors import AwsError
from deploytasks.model import Deployment, Evidence, OnEvent, Outcome, Result, Rollout, Target, Told, primary_of

_POLL_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Means:
    """What carrying out needs besides the plan. `images`: what each service's image names begin with."""

    clients: Clients
    images: dict[str, str]
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    stopped: Event = field(default_factory=Event)
    """Set once somebody interrupts: no further write is begun."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rollout that AWS works on: the deployment that is ours, and since when we follow it (monotonic seconds)."""

    rollout: Rollout
    deployment: Deployment
    since: float
    verdict: Verdict
    errors: int = 0


def start(rollout: Rollout, means: Means) -> UnderWay | Result:
    """The rollout is under way at AWS, or at once at its end: there was nothing to do, or AWS said no."""
    try:
        match rollout.action:
            case "nothing":
                return outcome_of(rollout, "unchanged", "", rollout.live.primary if rollout.live else None)
            case "follow" if followed := rollout.deployment or (rollout.live and rollout.live.primary):
                return _under_way(rollout, followed, means)
            case _:
                return _under_way(rollout, _begin(rollout, means), means)
    except AwsError as error:
        return outcome_of(rollout, "failed", error.render())


def _under_way(rollout: Rollout, deployment: Deployment, means: Means) -> UnderWay:
    verdict = Verdict(None, "started", running=deployment.running, desired=deployment.desired)
    return UnderWay(rollout, deployment, means.clock(), verdict)


def poll(group: list[UnderWay], means: Means) -> list[UnderWay]:
    """Rollouts of one account and cluster, ten at most, with how they stand now."""
    target = group[0].rollout.target
    client = means.clients.of("ecs", target.access)
    try:
        services = ecs.describe(client, target.cluster, [each.rollout.target.ecs_service for each in group])
        return [_judged(client, each, services) for each in group]
    except AwsError as error:
        return [_could_not_see(each, error) for each in group]


def finish(ended: UnderWay, means: Means) -> Result:
    """The result of a rollout that ended, looked at once more: what its tasks run, or why they died."""
    outcome: Outcome = ended.verdict.outcome or "failed"
    result = replace(_as_it_stands(ended, outcome, ended.verdict.detail), duration_s=means.clock() - ended.since)
    try:
        return _look_again(ended, result, means)
    except AwsError as error:
        return replace(result, outcome="failed", detail=f"{result.detail} {error.render()}".strip())


def not_waited_for(begun: UnderWay) -> Result:
    """The result of a rollout that nobody follows: the tasks are those of its own deployment, at its start."""
    return _as_it_stands(begun, "started", "not waited for")


def _as_it_stands(under_way: UnderWay, outcome: Outcome, detail: str) -> Result:
    """The rollout's result with the tasks of its own deployment, as they were seen last."""
    result = outcome_of(under_way.rollout, outcome, detail, under_way.deployment)
    return replace(result, running=under_way.verdict.running, desired=under_way.verdict.desired)


def _look_again(ended: UnderWay, result: Result, means: Means) -> Result:
    """Success is compared with what the tasks run; failure is explained by the tasks that died."""
    target, deployment = result.target, ended.deployment
    client = means.clients.of("ecs", target.access)
    if result.outcome == "deployed":
        running = tasks.started_by(tasks.tasks_of(client, target), deployment.id, deployment.revision)
        return _compared(result, ended.rollout, tasks.task_digests(running, means.images[target.service]))
    if result.outcome in ("failed", "rolled back", "timed out"):
        if ended.rollout.request and result.outcome != "timed out":
            _record(means, target, deployment.revision, {"ended": result.outcome})
        logs = means.clients.of("logs", target.access)
        return replace(result, tasks=tasks.dead_tasks(client, logs, target, deployment.id, deployment.revision))
    return result


def _begin(rollout: Rollout, means: Means) -> Deployment:
    """The rollout is under way at AWS; its deployment is the one that the answer calls PRIMARY."""
    target, client = rollout.target, means.clients.of("ecs", rollout.target.access)
    revision = rollout.revision or None
    if rollout.request:
        revision = ecs.register(client, target, rollout.request, rollout.tags)
    if means.stopped.is_set():
        raise AwsError.of(str(target), "interrupted before its service was touched")
    if rollout.action == "create" and rollout.create and revision:
        service = ecs.create(client, target, rollout.create, revision)
    else:
        service = ecs.update(client, target, revision)
    if rollout.request is None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _record(means, target, service["serviceArn"], {**rollout.tags, "at": at})
    primary = primary_of(deployments(service))
    if primary is None:
        raise AwsError.of(str(target), "ECS named no deployment that could be followed", "look at its service in ECS")
    return primary


def _record(means: Means, target: Target, arn: str, tags: Mapping[str, str]) -> None:
    """The service, or the revision, carries the tags; a rollout is followed even where it may not be recorded."""
    try:
        ecs.record(means.clients.of("ecs", target.access), target, arn, tags)
    except AwsError as error:
        means.tell(Told("record", f"the rollout could not be recorded: {error.complaints[0].what}", str(target)))


def _judged(client: Any, under_way: UnderWay, services: dict[str, Any]) -> UnderWay:
    service = services.get(under_way.rollout.target.ecs_service)
    if service is None:
        return replace(under_way, verdict=Verdict("failed", "failed", "the service is gone"))
    verdict = judge(service, under_way.deployment.id, under_way.deployment.created_at)
    if verdict.outcome is None and (hook := _waiting_hook(client, service)):
        verdict = replace(verdict, outcome="paused", state="paused", detail=f"waits on hook {hook}")
    return replace(under_way, verdict=verdict, errors=0)


def _waiting_hook(client: Any, service: dict[str, Any]) -> str | None:
    """The hook that is waited on; a role that may not ask is told of none."""
    try:
        return native.waiting_hook(client, service)
    except AwsError:
        return None


def _could_not_see(under_way: UnderWay, error: AwsError) -> UnderWay:
    errors = under_way.errors + 1
    detail = f"its rollout can no longer be seen: {error.render()}"
    outcome: Outcome | None = "failed" if errors >= _POLL_ERRORS else None
    return replace(under_way, errors=errors, verdict=replace(under_way.verdict, outcome=outcome, detail=detail))


def _compared(result: Result, rollout: Rollout, digests: tuple[str, ...]) -> Result:
    """The result with the digest that the tasks run, and how that is known; another than the wished is a failure.

    A wish without a digest is met by any: nobody said which it shall be.
    """
    wish = rollout.wish
    if wish.digest is None:
        return replace(result, digest=next(iter(digests), None), evidence="seen" if digests else None)
    evidence: Evidence = "seen" if digests else "defined" if "@" in rollout.image else "recorded"
    ours = {wish.digest, *(wish.image.children if wish.image else ())}
    if digests and not ours.issuperset(digests):
        detail = f"its tasks run {', '.join(digests)}, and not {wish.digest}"
        return replace(result, outcome="failed", detail=detail, digest=digests[0], evidence="seen")
    return replace(result, evidence=evidence)


def outcome_of(rollout: Rollout, outcome: Outcome, detail: str, deployment: Deployment | None = None) -> Result:
    """The rollout's result as far as the rollout itself knows it."""
    live = rollout.live
    return Result(
        target=rollout.target,
        outcome=outcome,
        detail=detail,
        revision=deployment.revision if deployment else "",
        commit_tag=rollout.wish.commit_tag,
        release=rollout.wish.release,
        digest=rollout.wish.digest,
        evidence="defined" if outcome == "unchanged" and "@" in rollout.image else None,
        running=live.running if live else 0,
        desired=live.desired if live else 0,
    )
