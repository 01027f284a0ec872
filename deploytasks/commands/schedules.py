"""Check what will start jobs, before the first write: whether ECS would start their tasks, and the role for it."""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks.aws import iam
from deploytasks.commands import rollouts
from deploytasks.commands.context import Context
from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Definition, DesiredImage, JobSchedule, Live, desired_by
from deploytasks.rules import schedule
from deploytasks.template.references import Reference, role


def unstartable(context: Context, lives: Iterable[Live], desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield complaints about changed jobs whose tasks ECS would refuse to start each time, with nobody told.

    Jobs with a wrong template are left to other checks.
    """
    for live in lives:
        if live.target.job is None or live.target.job.rule or live.complaint:
            continue
        try:
            wanted, definition = _changed(context, live, desired_by(live.target, desired_images))
        except Invalid:
            continue
        asked = schedule.pointed(wanted, live.schedule) if wanted else {}
        if asked and (found := schedule.unstartable(asked, definition)):
            yield found.at(f"{live.target}: {found.where}")


def _changed(context: Context, live: Live, desired: DesiredImage) -> tuple[JobSchedule | None, Definition]:
    """Return what is to start the job, None if nothing changes, and its definition."""
    definition = rollouts.render(context, live.target, desired)[0]
    wanted = rollouts.schedule(context, live, desired, definition)
    return (wanted if rollouts.changes(context, live, desired) else None), definition


def roles(wanted: JobSchedule | None, live: Live) -> Iterator[Reference]:
    """Yield the role by which EventBridge Scheduler is to start the job's tasks."""
    if wanted is None or live.target.job is None or live.target.job.rule:
        return
    if text := str(schedule.pointed(wanted, live.schedule)["Target"].get("RoleArn", "")):
        is_own = "RoleArn" in wanted.named.get("Target", {})
        yield role("Target.RoleArn" if is_own else "schedule_role", text, iam.SCHEDULER)
