"""Check and render all targets' templates offline, with placeholders for images and revisions."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from deploytasks.errors import Complaint, Invalid, listed
from deploytasks.model import JobSchedule, Project, Target
from deploytasks.rules.schedule import request
from deploytasks.template.render import Renderer
from deploytasks.template.shape import Problem


def check_all(project: Project) -> tuple[Complaint, ...]:
    """Return all that is wrong with the templates, or with the values that targets give them, each complaint once."""
    renderer = Renderer(project)
    found = ((target, each) for target in project.targets for each in _complaints(renderer, target))
    return joined(chain(found, shared_schedules(renderer, project.targets)))


def joined(found: Iterable[tuple[Target, Complaint]]) -> tuple[Complaint, ...]:
    """Return the complaints with those of the same template line and fault joined into one that lists their targets."""
    targets: dict[tuple[str, str, str], list[str]] = {}
    for target, complaint in found:
        targets.setdefault((complaint.file or complaint.where, complaint.what, complaint.to_do), []).append(str(target))
    return tuple(
        Complaint(f"{place}: {listed(those, 3)}", what, to_do) for (place, what, to_do), those in targets.items()
    )


def shared_schedules(renderer: Renderer, targets: Iterable[Target]) -> Iterator[tuple[Target, Complaint]]:
    """Yield each job whose valid schedule is that of another one, by the name and group that its template gives it."""
    first: dict[tuple[str, str, str, str], Target] = {}
    for target, job in _schedules(renderer, targets):
        key = (target.access.account, target.access.region, job.group, job.name)
        other = first.setdefault(key, target)
        if other is not target:
            what = f"it is the schedule of {other} too: {job.group}/{job.name}, account {key[0]}, {key[1]}"
            found = Problem(("Name",), what, "give each a Name of its own; left out, it is the family")
            named = target if job.template is not None else other
            complaints = renderer.complaints(named, renderer.tried(named), [found], "CreateSchedule")
            yield from ((named, each) for each in complaints)


def unchecked(project: Project) -> tuple[str, ...]:
    """Return what of valid templates this machine can't check, each once with its targets."""
    renderer, targets = Renderer(project), dict[str, list[str]]()
    for target, job in _schedules(renderer, project.targets):
        from deploytasks.template.schedule import unchecked as unchecked_of  # what only jobs need

        if what := unchecked_of(job):
            targets.setdefault(renderer.veiled(what), []).append(str(target))
    return tuple(f"not checked: {what} ({listed(those, 3)})" for what, those in targets.items())


def rendered(project: Project, targets: Iterable[Target]) -> dict[str, Any]:
    """Return the targets' RegisterTaskDefinition requests by name, for placeholder images.

    Beside that of a job with a schedule stands its CreateSchedule request: `nightly.schedule`.

    Raises:
        Invalid: with every complaint.
    """
    renderer, made = Renderer(project), dict[str, Any]()
    for target in targets:
        made[target.name] = renderer.definition(target, renderer.tried(target))
        if job := renderer.job_schedule(target, renderer.tried(target)):
            made[f"{target.name}.schedule"] = request(job)
    return made


def _schedules(renderer: Renderer, targets: Iterable[Target]) -> Iterator[tuple[Target, JobSchedule]]:
    """Yield the jobs that have a valid schedule, each with what it is made of."""
    for target in targets:
        if target.job is None:
            continue
        with suppress(Invalid):
            if job := renderer.job_schedule(target, renderer.tried(target)):
                yield target, job


def _complaints(renderer: Renderer, target: Target) -> Iterator[Complaint]:
    desired = renderer.tried(target)
    for render in (renderer.definition, renderer.service, renderer.schedule):
        try:
            render(target, desired)
        except Invalid as error:
            yield from error.complaints
