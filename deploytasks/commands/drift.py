"""Find targets whose live definition differs from what their template and settings render for the running image."""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks import tags
from deploytasks.commands import jobs, rollouts
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Note
from deploytasks.errors import Complaint, Invalid, listed
from deploytasks.model import Definition, DesiredImage, Live, Project, Target, desired_by, joined, shown
from deploytasks.rules.observed import digest_key, pinned, record, tagged, what_runs
from deploytasks.rules.schedule import changes
from deploytasks.template.canonical import same
from deploytasks.template.render import Renderer
from deploytasks.template.service import differing_keys


def drifted(
    project: Project, renderer: Renderer, lives: Iterable[Live]
) -> tuple[frozenset[Target], tuple[Complaint, ...]]:
    """Return the targets that drifted, and why others could not be checked. An older image is not drift."""
    found: set[Target] = set()
    complaints: list[Complaint] = []
    for live in lives:
        try:
            if live.definition and _differs(project, renderer, live):
                found.add(live.target)
        except Invalid as error:
            complaints += error.complaints
    return frozenset(found), tuple(dict.fromkeys(complaints))


def _differs(project: Project, renderer: Renderer, live: Live) -> bool:
    """Return whether it differs from what is rendered for its pinned images, and the recorded commit and release.

    What starts a job counts too.
    """
    desired = joined(_running(project, live, name) for name in live.target.images)
    rendered = renderer.definition(live.target, desired)
    if not same(rendered, live.definition or {}):
        return True
    revision = live.primary.revision if live.primary else ""
    wanted = jobs.asked(renderer, live.target, desired, rendered, revision)
    return bool(wanted and changes(wanted, live.schedule))


def _running(project: Project, live: Live, name: str) -> DesiredImage:
    """Return the image as it runs, in the shape in which a template is rendered for it."""
    image, kept = project.image(name), record(live)
    recorded = tuple(filter(None, [kept.get(digest_key(name, live.target.image))]))
    digests = pinned(live, name) or recorded or what_runs(live, name)[0]
    release = _named_release(live, name) or kept.get("release")
    return DesiredImage(name, image.repository, kept.get("commit", ""), next(iter(digests), None), release)


def _named_release(live: Live, name: str) -> str:
    """Return the release tag by which the definition names the image; it may be older than the target's release."""
    found = (each.rpartition(":")[2] for each in tagged(live, name))
    return next((tag for tag in found if tags.is_release(tag, live.target.environment.tier)), "")


_MOST_KEYS = 20


def service_template_notes(
    context: Context, lives: Iterable[Live], desired_images: Sequence[DesiredImage]
) -> Iterator[Note]:
    """Yield the notes on all targets, grouping equal ones; templates that fail to render are reported elsewhere."""
    said: dict[str, list[str]] = {}
    for live in lives:
        try:
            create = rollouts.render(context, live.target, desired_by(live.target, desired_images))[1]
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
