"""Jobs: what starts them and what they run, as AWS has it, and what starts them by `envs/` and templates."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from msgspec.structs import replace

from deploytasks.aws import jobs, tasks
from deploytasks.aws.session import Clients
from deploytasks.commands.revisions import newest_first
from deploytasks.concurrency import each
from deploytasks.errors import AwsError
from deploytasks.model import Definition, Deployment, DesiredImage, JobSchedule, LastRun, Live, Target
from deploytasks.rules.observed import begun_at, has_begun
from deploytasks.rules.schedule import job_schedule, revision_of
from deploytasks.template.render import Renderer
from deploytasks.template.schedule import placeholder_revision

_SEARCHED = 50
"""How many revisions of a job that is run by hand are searched for the newest that has begun."""


def look(clients: Clients, renderer: Renderer, target: Target) -> Live:
    """Return the job as observed: what starts it, and the revision that this names, else the newest that has begun.

    Raises:
        AwsError: an AWS call failed, the schedule is another family's, or the rule does not tell which target is the
            job's.

    """
    schedule = jobs.found(clients, target, wanted(renderer, target))
    if schedule:
        runs = _runs(revision_of(schedule.told))
        return Live(target, exists=True, deployments=(runs,), schedule=schedule, arn=runs.revision)
    return _of_newest(clients, target)


def settled(live: Live) -> Live:
    """Return the described job with the full ARN of its revision, and when that began."""
    definition = live.definition or {}
    arn = str(definition.get("taskDefinitionArn", ""))
    at = begun_at(live.revision_tags, definition.get("registeredAt"))
    return replace(live, deployments=(_runs(arn, at),), arn=arn) if arn else live


def last_runs(clients: Clients, lives: Iterable[Live]) -> dict[Target, LastRun]:
    """Return how the jobs' last runs ended, as far as ECS still knows and may be asked."""
    targets = [live.target for live in lives if live.target.job and live.exists]

    def asked(target: Target) -> LastRun | None:
        try:
            return tasks.last_run(clients.of("ecs", target.access), target)
        except AwsError:
            return None

    found = zip(targets, each(asked, targets), strict=True)
    return {target: last for target, last in found if last}


def idle(renderer: Renderer, lives: Iterable[Live]) -> frozenset[Target]:
    """Return the jobs whose schedule is disabled because its template says so."""
    found = ((live.target, wanted(renderer, live.target)) for live in lives if live.target.job and live.schedule)
    return frozenset(target for target, one in found if one and one.named.get("State") == "DISABLED")


def wanted(renderer: Renderer, target: Target) -> JobSchedule | None:
    """Return what should start the job, as far as no image and no revision decides it; None if nothing should.

    Its template is not checked here, so that what runs is shown whatever is wrong with it.
    """
    return _made(target, renderer.unchecked_schedule(target), {})


def asked(
    renderer: Renderer, target: Target, desired: DesiredImage, definition: Definition, revision: str = ""
) -> JobSchedule | None:
    """Return what should start the job; None for a service, and for a job that is run by hand.

    Raises:
        Invalid: its schedule's template is wrong.

    """
    return _made(target, renderer.schedule(target, desired), definition, revision) if target.job else None


def _made(
    target: Target, template: Mapping[str, Any] | None, definition: Definition, revision: str = ""
) -> JobSchedule | None:
    job = target.job
    if template is None and not (job and (job.schedule or job.rule)):
        return None
    return job_schedule(target, revision or placeholder_revision(target), template, definition)


def _of_newest(clients: Clients, target: Target) -> Live:
    revisions = islice(newest_first(clients, target, at_once=1), _SEARCHED)
    newest = next((one for one in revisions if has_begun(one.record)), None)
    if newest is None:
        return Live(target)
    return Live(
        target,
        exists=True,
        deployments=(_runs(newest.arn),),
        definition=newest.definition,
        revision_tags=newest.record,
        arn=newest.arn,
    )


def _runs(revision: str, at: datetime | None = None) -> Deployment:
    """Return a job's revision as a deployment that is complete: each of its runs takes that revision."""
    return Deployment("job", "PRIMARY", "COMPLETED", revision, created_at=at)
