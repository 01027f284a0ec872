"""What a person names outside a tier's own tasks: services, a tier, an environment, or targets anywhere."""

from collections.abc import Iterable
from dataclasses import replace

from deploytasks.errors import Invalid, raise_all
from deploytasks.model import Project, Scope, Service, Target
from deploytasks.project.select import is_in, names, nothing_left, select, unknown, unknown_names


def services(project: Project, text: str | None) -> tuple[Service, ...]:
    """The services that `--service` names; all where it is left out."""
    wanted = names("service", text)
    _refuse_unknown("--service", wanted, (service.name for service in project.services))
    return tuple(service for service in project.services if not wanted or service.name in wanted)


def environment(project: Project, name: str, service: str | None) -> tuple[Target, ...]:
    """The targets of an environment, named as it is shown."""
    _refuse_unknown("environment", [name], dict.fromkeys(str(target.environment) for target in project.targets))
    wanted = {each.name for each in services(project, service)}
    return tuple(each for each in project.targets if str(each.environment) == name and each.service in wanted)


def anywhere(project: Project, tiers: str | None, scope: Scope) -> tuple[Target, ...]:
    """The targets of any tier that the flags leave; none only of a project that has none.

    The scope's own tier is not looked at.

    Raises:
        Invalid: a flag names what is not there, or nothing is left of the project's targets.

    """
    wanted_tiers = names("tier", tiers)
    known_tiers = [tier.name for tier in project.tiers]
    raise_all(Invalid, [*unknown("--tier", wanted_tiers, known_tiers), *unknown_names(project, scope)])
    found = tuple(
        target
        for target in project.targets
        if target.environment.tier in (wanted_tiers or (target.environment.tier,))
        and is_in(target, replace(scope, tier=target.environment.tier))
    )
    if project.targets and not found:
        raise nothing_left("status", scope, wanted_tiers)
    return found


def one(project: Project, scope: Scope) -> Target:
    """The one target that the scope leaves.

    Raises:
        Invalid: it leaves several, or names what is not there.

    """
    found = select(project, scope)
    if len(found) > 1:
        tenants = dict.fromkeys(f"--tenant {target.environment.tenant}" for target in found)
        services = dict.fromkeys(f"--service {target.service}" for target in found)
        flags = " ".join(next(iter(each)) for each in (tenants, services) if len(each) > 1)
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        to_do = f"name one, such as {flags}; there are {', '.join(map(str, found[:8]))}{more}"
        raise Invalid.of(scope.tier, f"{len(found)} targets are meant, and a command runs in one", to_do)
    return found[0]


def _refuse_unknown(where: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    raise_all(Invalid, list(unknown(where, wanted, tuple(known))))
