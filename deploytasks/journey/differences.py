"""What differs: live definitions from the rendered ones, or one environment's from another's. Changes nothing."""

from collections.abc import Iterator

from deploytasks import tags
from deploytasks.errors import Complaint, Invalid, NotBuilt, NotReady, raise_all
from deploytasks.fleet import together
from deploytasks.journey import rolling, wishes
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import Errand, before_any_change, begin, images, reach
from deploytasks.journey.observe import observe
from deploytasks.model import Definition, Difference, Live, Options, Project, Scope, Target, Wish
from deploytasks.project.select import select
from deploytasks.project.spelling import suggestion
from deploytasks.template.canonical import canonical
from deploytasks.template.render import Renderer, placeholder


def differences(project: Project, scope: Scope) -> tuple[Difference, ...]:
    """Each target's live definition against what a deploy of its tier would register now, both in canonical form.

    Raises:
        Refusal: tier tags that name nothing, templates that cannot be rendered, names that are not there; all at once.

    """
    errand = begin("deploy", project, scope, Options(), quiet)
    with before_any_change():
        lives, rendered = together(
            lambda: observe(errand.clients, errand.targets, errand.images, reading="none"), lambda: _rendered(errand)
        )
    return tuple(_from_rendered(live, *rendered[live.target]) for live in lives)


def across(project: Project, scope: Scope, name: str) -> tuple[Difference, ...]:
    """Each target's live definition against that of the same service in the environment, or of the tenant, so named.

    Without tenants in the scope the targets are those of tenant `main`; what would meet itself is left out.

    Raises:
        Invalid: there is no such environment, or no tenant `main` in the tier, or nothing to compare.

    """
    lefts, others = _lefts(project, scope), _environment(project, scope.tier, name)
    pairs = {left: others.get(left.service) for left in lefts if left not in others.values()}
    if not pairs:
        raise Invalid.of("--across", f"{name} would be compared with itself", "name another one, or another --tenant")
    asked = dict.fromkeys([*pairs, *filter(None, pairs.values())])
    lives = {live.target: live for live in observe(reach(), asked, images(project), reading="none")}
    return tuple(_between(lives[left], lives[right] if right else None, name) for left, right in pairs.items())


def _rendered(errand: Errand) -> dict[Target, tuple[Wish, Definition]]:
    """Each target's request in canonical form, and the image that it is for.

    Raises:
        NotReady: what names no image and what cannot be rendered.

    """
    wanted, complaints = _wanted(errand)
    renderer = Renderer(errand.project)
    made: dict[Target, tuple[Wish, Definition]] = {}
    for target in errand.targets:
        wish = wanted[target.service]
        try:
            made[target] = wish, canonical(rolling.render(errand, renderer, target, wish)[0])
        except Invalid as error:
            complaints += error.complaints
    raise_all(NotReady, complaints)
    return made


def _wanted(errand: Errand) -> tuple[dict[str, Wish], list[Complaint]]:
    """What each service shall run; where some tag names nothing, an image of zeros to try the templates with."""
    try:
        return {wish.service: wish for wish in wishes.to_deploy(errand)}, []
    except NotBuilt as error:
        return {each.service: placeholder(errand.project, each) for each in errand.targets}, list(error.complaints)


def _from_rendered(live: Live, wish: Wish, request: Definition) -> Difference:
    return Difference(
        target=live.target,
        left=_called(live),
        right=f"rendered {live.target} for {tags.short(wish.commit_tag) or wish.digest}",
        before=_canonical(live),
        after=request,
        complaints=tuple(_unseen(live)),
    )


def _between(left: Live, right: Live | None, name: str) -> Difference:
    where, service = str(left.target), left.target.service
    if right is None:
        complaint = Complaint(where, f"{name} has no service {service} to compare with")
        return Difference(left.target, _called(left), name, complaints=(complaint,))
    complaints = [*_unseen(left), *_unseen(right)]
    if not complaints and not left.exists and not right.exists:
        complaints.append(Complaint(where, f"there is no ECS service, here or in {right.target.environment}"))
    return Difference(
        target=left.target,
        left=_called(left),
        right=_called(right),
        before=_canonical(left),
        after=_canonical(right),
        against=right.target,
        complaints=tuple(complaints),
    )


def _unseen(live: Live) -> Iterator[Complaint]:
    """Why there is nothing to compare with; a service that is not there yet is no reason."""
    if live.complaint:
        yield live.complaint
    elif live.exists and live.definition is None:
        what = f"its service names no task definition (deployment controller {live.controller})"
        yield Complaint(str(live.target), what, "only what ECS's own controller deploys can be compared")


def _canonical(live: Live) -> Definition | None:
    return canonical(live.definition) if live.definition else None


def _called(live: Live) -> str:
    if live.complaint:
        return f"live {live.target} (not seen)"
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


def _environment(project: Project, tier: str, name: str) -> dict[str, Target]:
    """By service, the targets of the tenant's environment of the tier, or else of the environment that is shown so.

    Raises:
        Invalid: there is none.

    """
    own = [each for each in project.targets if (each.environment.tenant, each.environment.tier) == (name, tier)]
    found = own or [each for each in project.targets if str(each.environment) == name]
    if not found and name in project.tenants:
        there = dict.fromkeys(str(each.environment) for each in project.targets if each.environment.tenant == name)
        raise Invalid.of("--across", f"'{name}' has no {tier}", f"its environments: {', '.join(there) or 'none'}")
    if not found:
        known = dict.fromkeys([*project.tenants, *(str(each.environment) for each in project.targets)])
        raise Invalid.of("--across", f"there is no tenant or environment '{name}'", suggestion(name, known))
    return {each.service: each for each in found}
