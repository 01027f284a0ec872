"""What differs: live definitions from the rendered ones, or one environment's from another's. Changes nothing."""

from deploytasks import tags
from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.journey import rolling, wishes
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import Errand, before_any_change, begin, images, reach
from deploytasks.journey.observe import observe
from deploytasks.model import Difference, Live, Options, Project, Scope, Target, Wish
from deploytasks.project import choose
from deploytasks.project.select import select
from deploytasks.template.canonical import canonical
from deploytasks.template.render import Renderer


def differences(project: Project, scope: Scope) -> tuple[Difference, ...]:
    """Each target's live definition against what a deploy of its tier would register now, both in canonical form.

    Raises:
        Refusal: a tier tag that names nothing, templates that cannot be rendered, names that are not there.

    """
    errand = begin("deploy", project, scope, Options(), quiet)
    renderer = Renderer(project)
    with before_any_change():
        wanted = {wish.service: wish for wish in wishes.to_deploy(errand)}
    raise_all(Invalid, list(rolling.renders(errand, renderer, tuple(wanted.values()))))
    lives = observe(errand.clients, errand.targets, errand.images, reading="none")
    return tuple(_from_rendered(errand, renderer, live, wanted[live.target.service]) for live in lives)


def across(project: Project, scope: Scope, name: str) -> tuple[Difference, ...]:
    """Each target's live definition against that of the same service in the environment, or of the tenant, so named.

    Without tenants in the scope the targets are those of tenant `main`.

    Raises:
        Invalid: there is no such environment, or no tenant `main` in the tier.

    """
    lefts = _lefts(project, scope)
    rights = {left: _counterpart(project, left, name) for left in lefts}
    asked = dict.fromkeys([*lefts, *(right for right in rights.values() if right)])
    lives = {live.target: live for live in observe(reach(), asked, images(project), reading="none")}
    return tuple(_between(lives[left], lives.get(right) if right else None, name) for left, right in rights.items())


def _from_rendered(errand: Errand, renderer: Renderer, live: Live, wish: Wish) -> Difference:
    request, _ = rolling.render(errand, renderer, live.target, wish)
    return Difference(
        target=live.target,
        left=_called(live),
        right=f"rendered {live.target} for {tags.short(wish.commit_tag)}",
        before=canonical(live.definition) if live.definition else None,
        after=canonical(request),
        complaints=(live.complaint,) if live.complaint else (),
    )


def _between(left: Live, right: Live | None, name: str) -> Difference:
    service = left.target.service
    if right is None:
        complaint = Complaint(str(left.target), f"{name} has no service {service} to compare with")
        return Difference(left.target, _called(left), name, complaints=(complaint,))
    return Difference(
        target=left.target,
        left=_called(left),
        right=_called(right),
        before=canonical(left.definition) if left.definition else None,
        after=canonical(right.definition) if right.definition else None,
        against=right.target,
        complaints=tuple(filter(None, (left.complaint, right.complaint))),
    )


def _called(live: Live) -> str:
    revision = live.primary.revision.rpartition("/")[2] if live.primary else "(no service yet)"
    return f"live {live.target} {revision}"


def _lefts(project: Project, scope: Scope) -> tuple[Target, ...]:
    """The targets to compare: those of the tenants that are named, else of the team's own."""
    found = select(project, scope)
    own = found if scope.tenants else tuple(each for each in found if each.environment.tenant == "main")
    if not own:
        there = ",".join(dict.fromkeys(each.environment.tenant for each in found))
        raise Invalid.of("--across", f"no tenant main has {scope.tier} to compare with", f"name one: --tenant {there}")
    return own


def _counterpart(project: Project, left: Target, name: str) -> Target | None:
    """The same service in the tenant's environment of the same tier, or in the environment so named."""
    if name in project.tenants:
        others = select(project, Scope(left.environment.tier, tenants=(name,)))
    else:
        others = choose.environment(project, name, None)
    return next((each for each in others if each.service == left.service), None)
