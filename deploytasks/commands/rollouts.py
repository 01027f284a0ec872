"""The plan for a tier's targets: rendered, compared with what runs, decided."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from deploytasks import __version__
from deploytasks.aws import ecs
from deploytasks.commands import jobs
from deploytasks.commands.config_version import read_for
from deploytasks.commands.context import Context
from deploytasks.commands.ran_at import Then
from deploytasks.errors import Complaint, Invalid
from deploytasks.model import (
    NOBODY,
    Command,
    Definition,
    DesiredImage,
    JobSchedule,
    Live,
    Project,
    Rollout,
    Target,
    Tier,
    desired_by,
    image_name,
)
from deploytasks.rules import plan
from deploytasks.rules.observed import Container, container_of, digest_key, given, is_inactive, tagged
from deploytasks.rules.plan import Candidate
from deploytasks.rules.schedule import changes as changed_keys
from deploytasks.template.check import joined, shared_schedules
from deploytasks.template.render import Renderer

UNBUILT = "(to be built)"


def renders(context: Context, desired_images: Sequence[DesiredImage]) -> tuple[Complaint, ...]:
    """Return what is wrong with the selected targets' templates, or with their values, each fault once."""
    found: list[tuple[Target, Complaint]] = []
    for target in context.targets:
        try:
            desired = desired_by(target, desired_images)
            jobs.asked(context.renderer, target, _known(desired), render(context, target, desired)[0])
        except Invalid as error:
            found += ((target, each) for each in error.complaints)
    return joined([*found, *shared_schedules(context.renderer, context.targets)])


def unfit_for_steps(context: Context, desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield complaints about targets whose definition has no container to run `before_deploy` in."""
    for target in context.targets:
        if not _before_deploy(context, target):
            continue
        if not container_of(_given(context, target, desired_by(target, desired_images)), target.name):
            uri = target.images[target.image]
            what = f"before_deploy: no container of its definition runs {uri}, or more than one does"
            yield Complaint(str(target), what, f"let one do so that is called {target.name}, as the service is")


def _given(context: Context, target: Target, desired: DesiredImage) -> tuple[Container, ...]:
    image = image_name(target, context.tier, _known(desired))
    return given(render(context, target, desired)[0]["containerDefinitions"], image)


def rollouts(
    context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]
) -> tuple[tuple[Rollout, ...], ...]:
    """Return the waves of rollouts that bring every selected target to its desired image."""
    listed, config = tuple(desired_images), config_name(context)
    return plan.waves(_rollout(context, live, desired_by(live.target, listed), config) for live in lives)


def returns(
    context: Context,
    lives: Iterable[Live],
    desired_images: Mapping[Target, DesiredImage],
    thens: Mapping[Target, Then],
) -> tuple[tuple[Rollout, ...], ...]:
    """Return the waves of rollouts that restore every target's revision then; a target without one is rendered now."""
    return plan.waves(
        _return(context, live, desired_images[live.target], thens.get(live.target, Then())) for live in lives
    )


def _return(context: Context, live: Live, desired: DesiredImage, then: Then) -> Rollout:
    live = kept_back(context.project, context.renderer, live)
    revision = then.revision
    if revision is None:
        rendered = _rollout(context, live, desired, config_name(context))
        rendered = replace(rendered, steps=None)  # earlier releases have migrated already
        why = f"rendered now: {then.how or 'no revision of then carries the release'}"
        return rendered if rendered.action == "nothing" else replace(rendered, reason=why)
    known = replace(live, definition=revision.definition, revision_tags=revision.record)
    back = Rollout(
        live.target,
        "update",
        "",
        desired,
        images=_images_then(context.tier, known, desired),
        tags=_audit(context, desired, revision.record.get("config", "")),
        live=live,
        fallback=None if live.target.job else plan.fallback(live),
        schedule=_kept_schedule(live) or schedule(context, live, desired, {}),
    )
    back = plan.back(back, revision.arn, moves=any("@" not in name for name in back.images.values()))
    back = replace(back, reason=f"{back.reason} ({then.how})") if then.how else back
    if back.action not in ("update", "force") or not is_inactive(revision.definition):
        return back
    copy = ecs.copied(context.clients.of("ecs", live.target.access), revision.definition, {})
    why = f"{back.reason}; a copy is registered, since that revision is inactive"
    return replace(back, action="update", reason=why, request=copy, revision="")


def _kept_schedule(live: Live) -> JobSchedule | None:
    """Return what only points the job's schedule or rule at another revision; None if there is none."""
    if live.schedule is None:
        return None
    told = live.schedule.told
    names = {key: told[key] for key in ("Name", "GroupName") if key in told}
    place = {"Target": {"Arn": told["Target"]["Arn"]}} if "Target" in told else {}
    return JobSchedule(live.target.family, live.target.cluster, "", template={**names, **place})


def _images_then(tier: Tier, known: Live, desired: DesiredImage) -> dict[str, str]:
    """Return the name of each image in the revision of then: the tier's tag where that is named, else the digest."""
    named = {}
    for each in desired.with_uses:
        uri = known.target.images[each.name]
        moving = f"{uri}:{tier.name}"
        named[each.name] = moving if moving in tagged(known, each.name) else f"{uri}@{each.digest}"
    return named


def pin_rules(context: Context, desired_images: Iterable[DesiredImage]) -> Iterator[Complaint]:
    """Yield complaints if the definitions name a tag, and `--to`, or a rollback of some targets, another image."""
    if context.tier.pin != "tag" or not (context.options.to or context.options.at):
        return
    tier, goes_back = context.tier.name, context.command is Command.ROLLBACK
    for desired in desired_images:
        named = f"the definitions name {desired.repository}:{tier}"
        if context.tier.tag == "mutable" and goes_back:
            what = f"{named}, which all tenants and services share, so some of them can't go back alone"
            yield Complaint(tier, what, f"take all back: inv release.rollback {tier}")
        elif context.tier.tag == "mutable":
            to_do = f"move the tag: inv release.{tier} --commit …"
            yield Complaint(tier, f"{named}, so --to cannot choose another image", to_do)
        elif desired.release is None:
            what = f"{desired.commit_tag[:7]} has no release tag of {tier} that a definition could name"
            yield Complaint(tier, what, f"inv tag.{tier} --commit {desired.commit_tag}")


def config_name(context: Context) -> str:
    """Return the config that the selected targets' requests are made of; call it once all are rendered."""
    return str(context.config.named(read_for(context.targets, context.renderer))) if context.config else ""


def changed(context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]) -> tuple[Live, ...]:
    """Return the targets that are missing, or whose definition or schedule a rollout would change.

    Targets with a wrong template are left to `renders`, which reports all of them.
    """
    listed, found = tuple(desired_images), list[Live]()
    for live in lives:
        with suppress(Invalid):
            if not live.complaint and changes(context, live, desired_by(live.target, listed)):
                found.append(live)
    return tuple(found)


def changes(context: Context, live: Live, desired: DesiredImage) -> bool:
    """Return whether a rollout would change the target's definition or schedule; an image still to be built does."""
    request = render(context, live.target, desired)[0]
    return (
        _is_unbuilt(desired)
        or not _same(context.renderer, request, live)
        or bool(schedule_changes(context, live, desired, request))
    )


def schedule_changes(context: Context, live: Live, desired: DesiredImage, request: Definition) -> tuple[str, ...]:
    """Return the dotted keys that a rollout would change of what starts the job, the revision aside."""
    wanted = schedule(context, live, desired, request)
    return changed_keys(wanted, live.schedule) if wanted else ()


def _rollout(context: Context, live: Live, desired: DesiredImage, config: str) -> Rollout:
    request, create = render(context, live.target, desired)
    live = kept_back(context.project, context.renderer, live)
    candidate = Candidate(
        target=live.target,
        desired=desired,
        images={each.name: _image(context, live.target, each) for each in desired.with_uses},
        live=live,
        same=not _is_unbuilt(desired) and _same(context.renderer, request, live),
        request=request,
        create=create if not live.exists else None,
        tags=_audit(context, desired, config),
        steps=plan.steps(live.target, _before_deploy(context, live.target), desired),
        schedule=schedule(context, live, desired, request),
    )
    return plan.rollout(candidate, force=context.options.force)


def _before_deploy(context: Context, target: Target) -> tuple[tuple[str, ...], ...]:
    return () if target.job else context.project.service(target.name).before_deploy


def schedule(context: Context, live: Live, desired: DesiredImage, request: Definition) -> JobSchedule | None:
    """Return what should start a job, with the revision that runs; another one replaces it once it is registered."""
    revision = live.primary.revision if live.primary else ""
    return jobs.asked(context.renderer, live.target, _known(desired), request, revision)


def kept_back(project: Project, renderer: Renderer, live: Live) -> Live:
    """Return the target with the values hidden that its template takes from environment variables."""
    if live.definition is None:
        return live
    return replace(live, definition=renderer.hidden_in(live.target, live.definition))


def _same(renderer: Renderer, request: Definition, live: Live) -> bool:
    """Return whether what runs equals what was rendered, however AWS spells it."""
    return live.definition is not None and renderer.is_same(request, live.definition)


def render(context: Context, target: Target, desired: DesiredImage) -> tuple[Definition, Definition | None]:
    """Return the definition request and the service request; for an image still to be built, with a digest of zeros."""
    known = _known(desired)
    return context.renderer.definition(target, known), context.renderer.service(target, known)


def _is_unbuilt(desired: DesiredImage) -> bool:
    return any(each.digest is None for each in desired.with_uses)


def _known(desired: DesiredImage) -> DesiredImage:
    """Return the desired image with a digest of zeros for each image that is still to be built."""
    digest = desired.digest or NOBODY.digest
    return replace(desired, digest=digest, uses=tuple(map(_known, desired.uses)))


def _image(context: Context, target: Target, desired: DesiredImage) -> str:
    if desired.digest is None and context.tier.pin == "digest":
        return f"{target.images[desired.name]}@{UNBUILT}"
    return image_name(target, context.tier, desired)


def _audit(context: Context, desired: DesiredImage, config: str) -> dict[str, str]:
    """Return the record that AWS keeps for us on the revision, or on the service."""
    images = desired.with_uses
    return {
        "project": context.project.name,
        "commit": desired.commit_tag,
        **{digest_key(each.name, desired.name): each.digest or "" for each in images},
        "release": desired.newest_release,
        "config": config,
        "version": __version__,
        "by": context.author.by,
        "ci": context.author.ci,
        "override": context.options.override or "",
    }
