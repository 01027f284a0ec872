"""The plan for the targets of a tier: rendered, compared with what runs, decided."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from deploytasks import __version__, plan
from deploytasks.aws import ecs
from deploytasks.errors import Complaint, Invalid
from deploytasks.journey.config import read_for
from deploytasks.journey.errand import Errand
from deploytasks.journey.ran_then import Then
from deploytasks.model import Definition, Live, Project, Rollout, Target, Wish
from deploytasks.ours import Container, container_of, given
from deploytasks.plan import Candidate
from deploytasks.running import is_inactive, tagged
from deploytasks.template.canonical import same
from deploytasks.template.check import joined
from deploytasks.template.render import Renderer, image_name, placeholder

UNBUILT = "(to be built)"


def renders(errand: Errand, renderer: Renderer, wishes: Sequence[Wish]) -> tuple[Complaint, ...]:
    """Return what is wrong with the selected targets' templates, or with what those are given, each fault once."""
    by_service = {wish.service: wish for wish in wishes}
    found: list[tuple[Target, Complaint]] = []
    for target in errand.targets:
        try:
            render(errand, renderer, target, by_service[target.service])
        except Invalid as error:
            found += ((target, each) for each in error.complaints)
    return joined(found)


def unfit_for_steps(errand: Errand, renderer: Renderer, wishes: Sequence[Wish]) -> Iterator[Complaint]:
    """Whose definition has no container in which the tasks before a deploy could run."""
    by_service = {wish.service: wish for wish in wishes if errand.project.service(wish.service).before_deploy}
    for target in errand.targets:
        wish = by_service.get(target.service)
        if wish and not container_of(_given(errand, renderer, target, wish), target.service):
            image = errand.images[target.service]
            what = f"before_deploy: no container of its definition runs {image}, or more than one does"
            yield Complaint(str(target), what, f"let one do so that is called {target.service}, as the service is")


def _given(errand: Errand, renderer: Renderer, target: Target, wish: Wish) -> tuple[Container, ...]:
    image = image_name(errand.project, target, errand.tier, _known(errand, target, wish))
    return given(render(errand, renderer, target, wish)[0]["containerDefinitions"], image)


def rollouts(
    errand: Errand, renderer: Renderer, lives: Iterable[Live], wishes: Iterable[Wish]
) -> tuple[tuple[Rollout, ...], ...]:
    """The waves of rollouts that bring every selected target to its wish."""
    by_service, config = {wish.service: wish for wish in wishes}, config_name(errand, renderer)
    return plan.waves(_rollout(errand, renderer, live, by_service[live.target.service], config) for live in lives)


def returns(
    errand: Errand,
    renderer: Renderer,
    lives: Iterable[Live],
    wishes: Mapping[Target, Wish],
    thens: Mapping[Target, Then],
) -> tuple[tuple[Rollout, ...], ...]:
    """The waves of rollouts that bring every target back to its revision of then; one without is rendered now."""
    return plan.waves(
        _return(errand, renderer, live, wishes[live.target], thens.get(live.target, Then())) for live in lives
    )


def _return(errand: Errand, renderer: Renderer, live: Live, wish: Wish, then: Then) -> Rollout:
    live = kept_back(errand.project, renderer, live)
    revision, image = then.revision, errand.images[wish.service]
    if revision is None:
        rendered = _rollout(errand, renderer, live, wish, config_name(errand, renderer))
        rendered = replace(rendered, steps=None)  # what came before has migrated already
        why = f"rendered now: {then.how or 'no revision of then carries the release'}"
        return rendered if rendered.action == "nothing" else replace(rendered, reason=why)
    known = replace(live, definition=revision.definition, revision_tags=revision.record)
    moving = [name for name in tagged(known, image) if name == f"{image}:{errand.tier.name}"]
    back = Rollout(
        live.target,
        "update",
        "",
        wish,
        moving[0] if moving else f"{image}@{wish.digest}",
        tags=_audit(errand, wish, revision.record.get("config", "")),
        live=live,
        fallback=plan.fallback(live, image),
    )
    back = plan.back(back, revision.arn, image if moving else "")
    back = replace(back, reason=f"{back.reason} ({then.how})") if then.how else back
    if back.action not in ("update", "force") or not is_inactive(revision.definition):
        return back
    copy = ecs.copied(errand.clients.of("ecs", live.target.access), revision.definition, {})
    why = f"{back.reason}; a copy is registered, since that revision is inactive"
    return replace(back, action="update", reason=why, request=copy, revision="")


def pin_rules(errand: Errand, wishes: Iterable[Wish]) -> Iterator[Complaint]:
    """A definition that names a tag can only roll out what that tag names."""
    if errand.tier.pin != "tag" or not (errand.options.to or errand.options.at):
        return
    flag = "--at" if errand.options.at else "--to"
    for wish in wishes:
        if errand.tier.tag == "mutable":
            what = f"the definitions name {wish.repository}:{errand.tier.name}, so {flag} cannot choose another image"
            yield Complaint(errand.tier.name, what, f"move the tag: inv release.{errand.tier.name} --commit …")
        elif wish.release is None:
            what = f"{wish.commit_tag[:7]} has no release tag of {errand.tier.name} that a definition could name"
            yield Complaint(errand.tier.name, what, f"inv tag.{errand.tier.name} --commit {wish.commit_tag}")


def config_name(errand: Errand, renderer: Renderer) -> str:
    """Return what the selected targets' requests are made of, once they were all rendered."""
    return str(errand.config.named(read_for(errand.targets, renderer))) if errand.config else ""


def changed(errand: Errand, renderer: Renderer, lives: Iterable[Live], wishes: Iterable[Wish]) -> tuple[Live, ...]:
    """Return the targets whose service is missing, or whose definition a rollout would change."""
    by_service = {wish.service: wish for wish in wishes}
    seen = (live for live in lives if not live.complaint)
    return tuple(live for live in seen if changes(errand, renderer, live, by_service[live.target.service]))


def changes(errand: Errand, renderer: Renderer, live: Live, wish: Wish) -> bool:
    """Return whether a rollout would change the target's definition; an image that is to be built does."""
    return wish.digest is None or not _same(render(errand, renderer, live.target, wish)[0], live)


def _rollout(errand: Errand, renderer: Renderer, live: Live, wish: Wish, config: str) -> Rollout:
    request, create = render(errand, renderer, live.target, wish)
    live = kept_back(errand.project, renderer, live)
    candidate = Candidate(
        target=live.target,
        wish=wish,
        image=_image(errand, live.target, wish),
        live=live,
        same=wish.digest is not None and _same(request, live),
        request=request,
        create=create if not live.exists else None,
        tags=_audit(errand, wish, config),
        steps=plan.steps(live.target, errand.project.service(wish.service).before_deploy, wish),
    )
    return plan.rollout(candidate, errand.images[wish.service], force=errand.options.force)


def kept_back(project: Project, renderer: Renderer, live: Live) -> Live:
    """Return the target with all of its definition hidden that the template takes from the environment's variables."""
    if live.definition is None:
        return live
    wish = placeholder(project, live.target)
    image = image_name(project, live.target, project.tier(live.target.environment.tier), wish)
    return replace(live, definition=renderer.hidden_in(live.target, wish, image, live.definition))


def _same(request: Definition, live: Live) -> bool:
    """Whether what runs is what was rendered, however AWS spells it."""
    return live.definition is not None and same(request, live.definition)


def render(errand: Errand, renderer: Renderer, target: Target, wish: Wish) -> tuple[Definition, Definition | None]:
    """The two requests; of an image that is still to be built, with a digest of zeros."""
    known = _known(errand, target, wish)
    image = image_name(errand.project, target, errand.tier, known)
    return renderer.definition(target, known, image), renderer.service(target, known, image)


def _known(errand: Errand, target: Target, wish: Wish) -> Wish:
    return wish if wish.digest else replace(wish, digest=placeholder(errand.project, target).digest)


def _image(errand: Errand, target: Target, wish: Wish) -> str:
    if wish.digest is None and errand.tier.pin == "digest":
        return f"{errand.images[wish.service]}@{UNBUILT}"
    return image_name(errand.project, target, errand.tier, wish)


def _audit(errand: Errand, wish: Wish, config: str) -> dict[str, str]:
    """The record that AWS keeps for us on the revision, or on the service."""
    return {
        "project": errand.project.name,
        "commit": wish.commit_tag,
        "digest": wish.digest or "",
        "release": wish.release or "",
        "config": config,
        "version": __version__,
        "by": errand.author.by,
        "ci": errand.author.ci,
        "override": errand.options.override or "",
    }
