"""Which targets' live definitions differ from what their templates and settings give for the image that runs."""

from collections.abc import Iterable

from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Live, Project, Target, Wish
from deploytasks.running import pinned, record, what_runs
from deploytasks.template.canonical import same
from deploytasks.template.render import Renderer, image_name


def drifted(
    project: Project, renderer: Renderer, lives: Iterable[Live], images: dict[str, str]
) -> tuple[frozenset[Target], tuple[Complaint, ...]]:
    """The targets that drifted, and why it could not be judged of others. That an image is older is no drift."""
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
    target, wish = live.target, _as_it_runs(project, live, image)
    named = image_name(project, target, project.tier(target.environment.tier), wish)
    return not same(renderer.definition(target, wish, named), live.definition or {})


def _as_it_runs(project: Project, live: Live, image: str) -> Wish:
    """What the running definition was rendered from: the image that it pins, the commit and release on record."""
    kept, service = record(live), project.service(live.target.service)
    digests = pinned(live, image) or tuple(filter(None, [kept.get("digest")])) or what_runs(live, image)[0]
    digest = next(iter(digests), None)
    return Wish(service.name, service.repository, kept.get("commit", ""), digest, kept.get("release"))
