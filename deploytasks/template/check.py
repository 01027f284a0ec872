"""All targets' templates tried offline, with an image that nobody built."""

from collections.abc import Iterator

from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Definition, Project, Target, Wish
from deploytasks.template.render import Renderer, image_name, placeholder


def check_all(project: Project) -> tuple[Complaint, ...]:
    """Everything that is wrong with the templates, or with what the targets give them; the same is said once."""
    renderer = Renderer(project)
    targets: dict[tuple[str, str, str], list[Target]] = {}
    for target in project.targets:
        for complaint in _complaints(renderer, project, target):
            place = complaint.where.removesuffix(f": {target}")
            targets.setdefault((place, complaint.what, complaint.to_do), []).append(target)
    return tuple(
        Complaint(f"{place}: {_listed(those)}", what, to_do) for (place, what, to_do), those in targets.items()
    )


def rendered(project: Project, target: Target) -> Definition:
    """The target's RegisterTaskDefinition request, for an image that nobody built.

    Raises:
        Invalid: with every complaint.
    """
    return Renderer(project).definition(target, *_nobodys(project, target))


def _complaints(renderer: Renderer, project: Project, target: Target) -> Iterator[Complaint]:
    wish, image = _nobodys(project, target)
    for render in (renderer.definition, renderer.service):
        try:
            render(target, wish, image)
        except Invalid as error:
            yield from error.complaints


def _nobodys(project: Project, target: Target) -> tuple[Wish, str]:
    wish = placeholder(project, target)
    return wish, image_name(project, target, project.tier(target.environment.tier), wish)


def _listed(targets: list[Target]) -> str:
    names = ", ".join(map(str, targets[:3]))
    return names if len(targets) <= 3 else f"{names} and {len(targets) - 3} more"
