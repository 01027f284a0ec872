"""Turn a rollout that ended into its result: check what its tasks run, or explain why it failed."""

from functools import partial

from msgspec.structs import replace

from deploytasks.aws import tasks
from deploytasks.errors import AwsError, contained
from deploytasks.model import Deployment, Evidence, Outcome, Result, Rollout
from deploytasks.rollout.follow import UnderWay
from deploytasks.rollout.resources import Resources, record
from deploytasks.rules import task_deaths
from deploytasks.rules.observed import given


def finish(ended: UnderWay, resources: Resources) -> Result:
    """Return the result of a rollout that ended, with what its tasks run, or why they died."""
    outcome: Outcome = ended.verdict.outcome or "failed"
    result = replace(as_it_stands(ended, outcome, ended.verdict.detail), duration_s=resources.clock() - ended.since)
    try:
        with contained(str(result.target)):
            return _look_again(ended, result, resources)
    except AwsError as error:
        why = error.render_at(str(result.target))
        return replace(result, outcome="failed", detail=f"{result.detail} {why}".strip())


def not_waited_for(begun: UnderWay) -> Result:
    """Return the result of a rollout that is not followed; the task counts are its deployment's at the start."""
    return as_it_stands(begun, "started", "not waited for")


def is_short(result: Result) -> bool:
    """Return whether there was nothing to roll out, and fewer tasks ran than are desired."""
    return result.outcome == "unchanged" and result.running < result.desired


def not_looked_again(result: Result) -> Result:
    """Return the result of a target without a soak, with a detail that says so if tasks are missing."""
    if not is_short(result):
        return result
    what = f"only {result.running} of {result.desired} tasks run, and it was not looked at again"
    return replace(result, detail=what)


def as_it_stands(under_way: UnderWay, outcome: Outcome, detail: str) -> Result:
    """Return the rollout's result with the task counts of its own deployment, as last seen."""
    result = outcome_of(under_way.rollout, outcome, detail, under_way.deployment)
    return replace(result, running=under_way.verdict.running, desired=under_way.verdict.desired)


def _look_again(ended: UnderWay, result: Result, resources: Resources) -> Result:
    """Compare a success with what the tasks run; explain a failure by the tasks that died."""
    target, deployment = result.target, ended.deployment
    client = resources.clients.of("ecs", target.access)
    if result.outcome == "deployed":
        _forget_failure(ended, resources)
        running = task_deaths.started_by(tasks.tasks_of(client, target), deployment.id, deployment.revision)
        image, tier, digest = (
            resources.images[target.service],
            target.environment.tier,
            ended.rollout.desired.digest or "",
        )
        return _compared(result, ended.rollout, tasks.task_digests(running, image, tier, digest, _names(ended.rollout)))
    if result.row.has_dead_tasks:
        if ended.rollout.request and result.outcome != "timed out" and not ended.unseen:
            record(resources, target, deployment.revision, {"ended": result.outcome})
        return replace(
            result, tasks=tasks.dead_tasks(client, partial(resources.clients.of, "logs"), target, deployment)
        )
    return result


def _names(rollout: Rollout) -> list[str]:
    """Return the names of our containers if the rollout brings a definition of its own; [] if not."""
    listed = rollout.request["containerDefinitions"] if rollout.request else []
    return [each["name"] for each in given(listed, rollout.image)]


def _forget_failure(ended: UnderWay, resources: Resources) -> None:
    """Remove the mark of failure from a revision that failed before and now succeeded, so that rollback may take it."""
    live, revision = ended.rollout.live, ended.deployment.revision
    if live and live.primary and live.primary.revision == revision and live.revision_tags.get("ended"):
        record(resources, ended.rollout.target, revision, {"ended": ""})


def _compared(result: Result, rollout: Rollout, digests: tuple[str, ...]) -> Result:
    """Return the result with the digest that the tasks run, and the evidence for it; `failed` if it is not the desired.

    Any digest will do if none is desired.
    """
    desired = rollout.desired
    if desired.digest is None:
        return replace(result, digest=next(iter(digests), None), evidence="seen" if digests else None)
    evidence: Evidence = "seen" if digests else "defined" if "@" in rollout.image else "recorded"
    ours = {desired.digest, *(desired.image.children if desired.image else ())}
    if digests and not ours.issuperset(digests):
        detail = f"its tasks run {', '.join(digests)}, and not {desired.digest}"
        return replace(result, outcome="failed", detail=detail, digest=digests[0], evidence="seen")
    return replace(result, evidence=evidence)


def outcome_of(rollout: Rollout, outcome: Outcome, detail: str, deployment: Deployment | None = None) -> Result:
    """Return a result from what the rollout itself knows: the desired image, and the live task counts."""
    live = rollout.live
    return Result(
        target=rollout.target,
        outcome=outcome,
        detail=detail,
        revision=deployment.revision if deployment else "",
        deployment=deployment,
        commit_tag=rollout.desired.commit_tag,
        release=rollout.desired.release,
        digest=rollout.desired.digest,
        evidence="defined" if outcome == "unchanged" and "@" in rollout.image else None,
        running=live.running if live else 0,
        desired=live.desired if live else 0,
    )
