"""Turn a rollout that ended into its result: check what its tasks run, or explain why it failed."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from deploytasks.aws import tasks
from deploytasks.errors import AwsError, contained
from deploytasks.model import Deployment, DesiredImage, Evidence, Outcome, Result, Rollout
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
        return _compared(result, ended.rollout, running)
    if result.row.has_dead_tasks:
        if ended.rollout.request and result.outcome != "timed out" and not ended.unseen:
            record(resources, target, deployment.revision, {"ended": result.outcome})
        return replace(
            result, tasks=tasks.dead_tasks(client, partial(resources.clients.of, "logs"), target, deployment)
        )
    return result


def _digests(rollout: Rollout, running: Iterable[Mapping[str, Any]], desired: DesiredImage) -> tuple[str, ...]:
    """Return the digests that the tasks run of the image; empty if none does, or their endpoint reports none."""
    target = rollout.target
    listed = rollout.request["containerDefinitions"] if rollout.request else []
    names = [each["name"] for each in given(listed, rollout.images[desired.name])]
    if rollout.request and not names:
        return ()  # the template names it, but not for this environment
    tier, uri = target.environment.tier, target.images[desired.name]
    return tasks.task_digests(running, uri, tier, desired.digest or "", names)


def _forget_failure(ended: UnderWay, resources: Resources) -> None:
    """Remove the mark of failure from a revision that failed before and now succeeded, so that rollback may take it."""
    live, revision = ended.rollout.live, ended.deployment.revision
    if live and live.primary and live.primary.revision == revision and live.revision_tags.get("ended"):
        record(resources, ended.rollout.target, revision, {"ended": ""})


def _compared(result: Result, rollout: Rollout, running: Sequence[Mapping[str, Any]]) -> Result:
    """Return the result with the digest that the tasks run, and the evidence for it; `failed` if it is not the desired.

    Any digest will do if none is desired. The further images that the template names are compared too.
    """
    desired = rollout.desired
    digests = _digests(rollout, running, desired)
    for each in desired.with_uses:
        ran = digests if each is desired else _digests(rollout, running, each)
        if each.digest and ran and not each.is_met_by(ran):
            of = "" if each is desired else f" of {each.name}"
            detail = f"its tasks run {', '.join(ran)}{of}, and not {each.digest}"
            return replace(
                result, outcome="failed", detail=detail, digest=next(iter(digests), result.digest), evidence="seen"
            )
    if desired.digest is None:
        return replace(result, digest=next(iter(digests), None), evidence="seen" if digests else None)
    evidence: Evidence = "seen" if digests else "defined" if "@" in rollout.image else "recorded"
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
        release=rollout.desired.newest_release or None,
        digest=rollout.desired.digest,
        evidence="defined" if outcome == "unchanged" and "@" in rollout.image else None,
        running=live.running if live else 0,
        desired=live.desired if live else 0,
    )
