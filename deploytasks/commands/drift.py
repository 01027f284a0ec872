"""Find targets whose live definition differs from what their template and settings render for the running image."""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks.commands import rollouts
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Note
from deploytasks.errors import Complaint, Invalid, listed
from deploytasks.model import Definition, DesiredImage, Live, Project, Target, shown
from deploytasks.rules.observed import pinned, record, what_runs
from deploytasks.template.canonical import same
from deploytasks.template.render import Renderer, image_name
from deploytasks.template.service import differing_keys


def drifted(
    project: Project, renderer: Renderer, lives: Iterable[Live], images: dict[str, str]
) -> tuple[frozenset[Target], tuple[Complaint, ...]]:
    """Return the targets that drifted, and why others could not be checked. An older image is not drift."""
    found: set[Target] = set()
    complaints: list[Complaint] = []
    for live in lives:
        try:
            if live.definition and _differs(project, renderer, live, images[live.target.service]):
                found.add(live.target)
        except Invalid as error:
            complaints += error.complaints
    return frozenset(found), tuple(dict.fromkeys(complaints))


def _differs(project: Project, renderer: Renderer, live: Live, image: str) -> bool:
    """Return whether it differs from what is rendered for its pinned image, and the recorded commit and release."""
    target, kept, service = live.target, record(live), project.service(live.target.service)
    digests = pinned(live, image) or tuple(filter(None, [kept.get("digest")])) or what_runs(live, image)[0]
    digest, commit = next(iter(digests), None), kept.get("commit", "")
    desired = DesiredImage(service.name, service.repository, commit, digest, kept.get("release"))
    named = image_name(project, target, project.tier(target.environment.tier), desired)
    return not same(renderer.definition(target, desired, named), live.definition or {})


_MOST_KEYS = 20


def service_template_notes(
    context: Context, lives: Iterable[Live], desired_images: Sequence[DesiredImage]
) -> Iterator[Note]:
    """Yield the notes on all targets, grouping equal ones; templates that fail to render are reported elsewhere."""
    by_service = {desired.service: desired for desired in desired_images}
    said: dict[str, list[str]] = {}
    for live in lives:
        try:
            create = rollouts.render(context, live.target, by_service[live.target.service])[1]
        except Invalid:
            continue
        for text in service_notes(create, live):
            said.setdefault(text, []).append(str(live.target))
    return (Note(f"{listed(targets)}: {text}") for text, targets in said.items())


def service_notes(create: Definition | None, live: Live) -> Iterator[str]:
    """Yield how the CreateService request differs from the live service, if there are both."""
    if create is None or not live.service:
        return
    keys = differing_keys(create, live.service)
    if others := [key for key in keys if key != "desiredCount"]:
        what = "the service template differs; it is read only where the service does not exist yet"
        yield f"{what}: {listed(others, _MOST_KEYS)}"
    if "desiredCount" in keys:
        what = f"desiredCount is {shown(create['desiredCount'])} in the service template and {live.desired} live"
        yield f"{what}: the template's counts only at creation, and autoscaling may set another"
