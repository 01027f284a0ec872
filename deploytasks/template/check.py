"""Check all targets' templates offline, with a placeholder for the image."""

from collections.abc import Iterable, Iterator

from deploytasks.errors import Complaint, Invalid, listed
from deploytasks.model import Definition, Project, Target
from deploytasks.template.render import Renderer


def check_all(project: Project) -> tuple[Complaint, ...]:
    """Return all that is wrong with the templates, or with the values that targets give them, each complaint once."""
    renderer = Renderer(project)
    return joined((target, each) for target in project.targets for each in _complaints(renderer, target))


def joined(found: Iterable[tuple[Target, Complaint]]) -> tuple[Complaint, ...]:
    """Return the complaints with those of the same template line and fault joined into one that lists their targets."""
    targets: dict[tuple[str, str, str], list[str]] = {}
    for target, complaint in found:
        targets.setdefault((complaint.file or complaint.where, complaint.what, complaint.to_do), []).append(str(target))
    return tuple(
        Complaint(f"{place}: {listed(those, 3)}", what, to_do) for (place, what, to_do), those in targets.items()
    )


def rendered(project: Project, target: Target) -> Definition:
    """Return the target's RegisterTaskDefinition request, for a placeholder image.

    Raises:
        Invalid: with every complaint.
    """
    renderer = Renderer(project)
    return renderer.definition(target, renderer.tried(target))


def _complaints(renderer: Renderer, target: Target) -> Iterator[Complaint]:
    desired = renderer.tried(target)
    for render in (renderer.definition, renderer.service):
        try:
            render(target, desired)
        except Invalid as error:
            yield from error.complaints
