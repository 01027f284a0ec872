"""Compare live definitions with rendered ones, or with those of another environment. Read-only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.commands import config_rules, desired_images, drift, jobs, rollouts
from deploytasks.commands.context import Context, begin_to_look, quiet, reach
from deploytasks.commands.observe import observe
from deploytasks.concurrency import each, together
from deploytasks.config.select import select
from deploytasks.errors import AwsError, Complaint, Invalid, once
from deploytasks.model import (
    Command,
    Definition,
    DesiredImage,
    Difference,
    Image,
    JobSchedule,
    Live,
    Options,
    Project,
    Scope,
    Target,
    desired_by,
    tenants_of,
)
from deploytasks.rules.schedule import changes, pointed
from deploytasks.spelling import suggestion
from deploytasks.template.canonical import canonical
from deploytasks.template.render import Renderer


class Rendered(Struct, frozen=True):
    """What a deploy would register, in canonical form, and its name in the diff; if None, `complaints` say why.

    `create` is the CreateService request if there is a service template, `schedule` what is to start a job.
    """

    name: str
    definition: Definition | None = None
    create: Definition | None = None
    schedule: JobSchedule | None = None
    complaints: tuple[Complaint, ...] = ()


def differences(project: Project, scope: Scope) -> tuple[Difference, ...]:
    """Compare each target's live definition with what a deploy of its tier would register now, in canonical form.

    Raises:
        Refusal: a name does not exist, or the credentials belong to another account than the registry's.
        AwsError: there are no credentials for the registry, or it can't be reached.

    """
    context = begin_to_look(Command.DEPLOY, project, scope, Options(), quiet)
    lives, rendered = together(
        lambda: observe(context.clients, context.targets, renderer=context.renderer, reading="none"),
        lambda: _rendered(context),
    )
    found = tuple(_from_rendered(live, rendered[live.target]) for live in lives)
    differ = [live for live, each in zip(lives, found, strict=True) if each.differs]
    ages = config_rules.ages(context.config, context.renderer, differ) if context.config else {}
    return tuple(replace(each, notes=(*filter(None, [ages.get(each.target)]), *each.notes)) for each in found)


def across(project: Project, scope: Scope, name: str) -> tuple[Difference, ...]:
    """Compare each target's live definition with the same service's in another environment or tenant.

    Without tenants in the scope the targets are those of tenant `main`. A target that would be compared with itself is
    left out. Families are not compared, because they always differ between environments.

    Raises:
        Invalid: the environment does not exist, no tenant is given and there is no `main`, or nothing to compare.

    """
    found, others = select(project, scope), _environment(project, scope.tier, name)
    lefts = _lefts(project, found, scope, others)
    pairs = {left: others.get(left.name) for left in lefts if left not in others.values()}
    if not pairs:
        raise Invalid.of("--across", f"{name} would be compared with itself", "name another one, or another --tenant")
    asked = dict.fromkeys([*pairs, *filter(None, pairs.values())])
    seen = observe(reach(project), asked, renderer=Renderer(project), reading="none")
    lives = {live.target: live for live in seen}
    return tuple(_between(lives[left], lives[right] if right else None, name) for left, right in pairs.items())


def _rendered(context: Context) -> dict[Target, Rendered]:
    """Return what a deploy would register for each target, or why it would not."""
    images = context.images
    answers = each(lambda image: _named(context, image), images)
    wanted = dict(zip((image.name for image in images), answers, strict=True))
    return {target: _request(context, target, [wanted[name] for name in target.images]) for target in context.targets}


def _named(context: Context, image: Image) -> DesiredImage | Complaint:
    """Return what the tier tag names of the image, or why it is not known."""
    try:
        desired = desired_images.named(context, image, context.tier.name)
    except AwsError as error:
        return error.complaints[0]
    return next(iter(desired_images.missing(context, [desired])), desired)


def _request(context: Context, target: Target, wanted: Sequence[DesiredImage | Complaint]) -> Rendered:
    """Return the request in canonical form. Without an image the template is rendered too, to find its errors."""
    complaints = [each for each in wanted if isinstance(each, Complaint)]
    known = [each for each in wanted if isinstance(each, DesiredImage)]
    desired = context.renderer.tried(target) if complaints else desired_by(target, known)
    try:
        made, create = rollouts.render(context, target, desired)
        schedule = jobs.asked(context.renderer, target, desired, made)
    except Invalid as error:
        complaints += error.complaints
    if complaints:
        return Rendered(f"rendered {target}", complaints=tuple(complaints))
    name = f"rendered {target} for {tags.short(desired.commit_tag) or desired.digest}"
    return Rendered(name, canonical(made), create, schedule)


def _from_rendered(live: Live, rendered: Rendered) -> Difference:
    before, after = _canonical(live, rendered.definition), rendered.definition
    if rendered.schedule and after is not None and not live.complaint:
        before, after = _with_schedule(live, rendered.schedule, before, after)
    return Difference(
        target=live.target,
        left=_called(live),
        right=rendered.name,
        before=before,
        after=after,
        complaints=tuple(once([*_unseen(live), *rendered.complaints])),
        notes=tuple(drift.service_notes(rendered.create, live)),
    )


def _with_schedule(
    live: Live, wanted: JobSchedule, before: Definition | None, after: Definition
) -> tuple[Definition | None, Definition]:
    """Return both definitions with what starts the job beside them, if a deploy would change that."""
    there = live.schedule
    asked = replace(wanted, revision=live.primary.revision) if live.primary else wanted
    if not changes(asked, there):
        return before, after
    key = "rule target" if there and there.is_rule else "schedule"
    sent = _plain(pointed(asked, there))
    if live.primary is None:
        del sent["Target"]["EcsParameters"]["TaskDefinitionArn"]  # which one is known once it is registered
    return ({**before, key: _plain(there.told)} if before and there else before), {**after, key: sent}


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as JSON has it, with times as text, and the input of its target as the JSON that it holds."""
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    target = plain.get("Target", plain)
    with suppress(ValueError, TypeError):
        target["Input"] = json.loads(target.get("Input"))
    return plain


def _between(left: Live, right: Live | None, name: str) -> Difference:
    where, kind = str(left.target), left.target.kind
    if right is None:
        complaint = Complaint(where, f"{name} has no {kind} {left.target.name} to compare with")
        return Difference(left.target, _called(left), name, complaints=(complaint,))
    complaints = [*_unseen(left), *_unseen(right)]
    if not complaints and not left.exists and not right.exists:
        missing = "ECS service" if kind == "service" else "deployed job"
        complaints.append(Complaint(where, f"there is no {missing}, here or in {right.target.environment}"))
    return Difference(
        target=left.target,
        left=_called(left),
        right=_called(right),
        before=_without_family(left),
        after=_without_family(right),
        against=right.target,
        complaints=tuple(complaints),
    )


def _unseen(live: Live) -> Iterator[Complaint]:
    """Yield why the target can't be compared; a service that does not exist yet can."""
    if live.complaint:
        yield live.complaint
    elif live.exists and live.definition is None:
        what = f"its service names no task definition (deployment controller {live.controller})"
        yield Complaint(str(live.target), what, "only what ECS's own controller deploys can be compared")


def _canonical(live: Live, request: Definition | None = None) -> Definition | None:
    return canonical(live.definition, request) if live.definition else None


def _without_family(live: Live) -> Definition | None:
    definition = _canonical(live)
    return {key: value for key, value in definition.items() if key != "family"} if definition else None


def _called(live: Live) -> str:
    if live.complaint:
        return f"live {live.target} (not seen)"
    none = "(not deployed yet)" if live.target.job else "(no service yet)"
    revision = live.primary.revision.rpartition("/")[2] if live.primary else none
    return f"live {live.target} {revision}"


def _lefts(project: Project, found: tuple[Target, ...], scope: Scope, others: dict[str, Target]) -> tuple[Target, ...]:
    """Return the targets to compare: those of the tenants in the scope, by default of tenant `main`.

    Raises:
        Invalid: no tenant is given, and `main` has no target here.

    """
    own = found if scope.tenants else tuple(target for target in found if target.environment.tenant == "main")
    if own:
        return own
    there = tenants_of(target for target in found if target not in others.values())
    if not there:
        raise Invalid.of(
            "--across", "there is no other tenant to compare with it", "see which there are: inv envs.list"
        )
    what = f"it does not say whose {scope.tier} to compare: {_why_not_main(project, scope)}"
    raise Invalid.of("--across", what, f"name it: --tenant {there[0]}\ntenants there: {', '.join(there)}")


def _why_not_main(project: Project, scope: Scope) -> str:
    """Return why no target of tenant `main`, the default, is selected."""
    if "main" not in project.tenants:
        return "no tenant here is called main"
    tiers = {target.environment.tier for target in project.targets if target.environment.tenant == "main"}
    return "the flags leave none of tenant main" if scope.tier in tiers else f"tenant main has no {scope.tier}"


def _environment(project: Project, tier: str, name: str) -> dict[str, Target]:
    """Return service → target of the environment; `name` is a tenant that has the tier, or an environment's name.

    Raises:
        Invalid: there is no such environment.

    """
    own = [one for one in project.targets if (one.environment.tenant, one.environment.tier) == (name, tier)]
    found = own or [one for one in project.targets if str(one.environment) == name]
    if not found and name in project.tenants:
        there = dict.fromkeys(str(one.environment) for one in project.targets if one.environment.tenant == name)
        raise Invalid.of("--across", f"'{name}' has no {tier}", f"its environments: {', '.join(there) or 'none'}")
    if not found:
        known = dict.fromkeys([*project.tenants, *(str(one.environment) for one in project.targets)])
        raise Invalid.of("--across", f"there is no tenant or environment '{name}'", suggestion(name, known))
    return {target.name: target for target in found}
