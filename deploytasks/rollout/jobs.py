"""Roll a job out: mark its revision as begun, and point what starts the job at it. There is nothing to follow."""

from datetime import UTC, datetime
from operator import call

from msgspec.structs import replace

from deploytasks.aws import jobs
from deploytasks.aws import tags as aws_tags
from deploytasks.aws.errors import may_pass
from deploytasks.concurrency import each
from deploytasks.errors import AwsError
from deploytasks.model import Deployment, JobSchedule, Result, Rollout, Schedule
from deploytasks.rollout.finish import outcome_of
from deploytasks.rollout.resources import Resources, announce, record
from deploytasks.rules.observed import has_arrived, has_begun
from deploytasks.rules.schedule import changes, revision_of


class Repointed(AwsError):
    """What starts the job was changed since the rollout was planned."""


def carried_out(rollout: Rollout, resources: Resources) -> Result:
    """Return the result of the job's rollout, which ends at once.

    Raises:
        LockLost: the tier's lock is no longer ours.
        Repointed: the schedule or rule runs another revision since the plan.
        AwsError: an AWS call failed, or the command was interrupted.

    """
    if rollout.action == "nothing":
        return _unchanged(rollout, resources)
    target = rollout.target
    resources.fence.raise_if_lost()
    if resources.stopped.is_set():
        raise AwsError.of(str(target), "interrupted before its schedule was touched")
    there, _ = each(call, (lambda: _found(rollout, resources), resources.fence.check))  # at once
    if not _has_begun(rollout):
        begun = {**rollout.unrecorded, "at": aws_tags.stamp(datetime.now(UTC))}
        announce(resources, target, rollout.revision, begun, "rollback and history will not know this revision")
    resources.fence.check_again()
    if rollout.schedule:
        _point(rollout, replace(rollout.schedule, revision=rollout.revision), there, resources)
    deployed = Deployment("job", "PRIMARY", "COMPLETED", rollout.revision)
    evidence = "defined" if "@" in rollout.image else "recorded"
    return replace(outcome_of(rollout, "deployed", _said(rollout, there), deployed), evidence=evidence)


def _unchanged(rollout: Rollout, resources: Resources) -> Result:
    """Return the result of a job that stays as it is; where its definition names a tag that moved, record the image."""
    live = rollout.live
    primary = live.primary if live else None
    if live and primary and not has_arrived(live, rollout.desired):
        resources.fence.check()
        record(resources, rollout.target, primary.revision, rollout.tags)
        return outcome_of(rollout, "unchanged", rollout.reason, primary)
    return outcome_of(rollout, "unchanged", "", primary)


def _found(rollout: Rollout, resources: Resources) -> Schedule | None:
    """Return what starts the job now.

    Raises:
        Repointed: it runs another revision than when the rollout was planned.

    """
    there = jobs.found(resources.clients, rollout.target, rollout.schedule)
    planned = rollout.live.schedule if rollout.live else None
    before = revision_of(planned.told) if planned else ""
    now = revision_of(there.told) if there else ""
    if now in (before, rollout.revision):
        return there
    what = f"{now.rpartition('/')[2]} was put there by another command" if now else "its schedule was deleted"
    raise Repointed.of(str(rollout.target), f"{what} since this was planned", "look at what runs there now: inv status")


def _has_begun(rollout: Rollout) -> bool:
    """Return whether the revision counts as having run already; one that is registered for this rollout has not."""
    live = rollout.live
    if rollout.request or live is None or live.primary is None or live.primary.revision != rollout.revision:
        return not rollout.request
    return has_begun(live.revision_tags)


def _point(rollout: Rollout, wanted: JobSchedule, there: Schedule | None, resources: Resources) -> None:
    target = rollout.target
    try:
        jobs.point(resources.clients, target, wanted, there)
    except AwsError as error:
        if may_pass(error) and _stands(rollout, wanted, resources):
            return  # only the answer was lost
        if rollout.request and not may_pass(error):
            record(resources, target, rollout.revision, {"ended": "failed"})  # it never ran: rollback must not take it
        raise


def _stands(rollout: Rollout, wanted: JobSchedule, resources: Resources) -> bool:
    try:
        there = jobs.found(resources.clients, rollout.target, wanted)
    except AwsError:
        return False
    return there is not None and not changes(wanted, there)


def _said(rollout: Rollout, there: Schedule | None) -> str:
    """Return what starts the job from now on, for people."""
    wanted = rollout.schedule
    if wanted is None:
        return "nothing starts it by itself: inv deploy.run does"
    kind = "rule" if there and there.is_rule else "schedule"
    state = str(wanted.named.get("State", "")) or ("DISABLED" if there and not there.is_enabled else "ENABLED")
    if state == "DISABLED" or (there and there.is_rule and not there.is_enabled):
        return f"its {kind} is disabled: nothing starts it"
    return f"its {kind} runs it from its next start on"
