"""Turn merged settings into targets, and check each by itself and against all others."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deploytasks.config.check import BAD
from deploytasks.config.files import Fault, Source, table
from deploytasks.config.layers import Merged
from deploytasks.config.lines import dotted
from deploytasks.config.policy import account_of
from deploytasks.model import Access, Environment, Origin, Target
from deploytasks.spelling import suggestion

REQUIRED = ("account", "region", "cluster")
LONGEST = 255
"""The most characters of a cluster's, a service's or a family's name. Source: the ECS API reference."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place that settings are for; `origin` is where the tenant's file declares the environment."""

    project: str
    environment: Environment
    service: str
    origin: Origin


def target(place: Place, merged: Merged, faults: list[Fault]) -> Target | None:
    """Return the target of the merged settings; None if they have faults. Adds to `faults`."""
    found = [*_missing(place, merged), *_role_elsewhere(place, merged), *_in_env_and_secrets(place, merged)]
    if not found and not _has_bad(merged.values):
        made = _made(place, merged)
        found = list(_too_long(place, made))
        if not found:
            return made
    faults.extend(found)
    return None


def clashes(targets: Iterable[Target]) -> Iterator[Fault]:
    """Yield a fault for targets that share an ECS service, or a task definition family in one account."""
    known = tuple(targets)
    by_service = _pairs(known, lambda each: (each.access.account, each.access.region, each.cluster, each.ecs_service))
    for one, other in by_service:
        what = f"{one} and {other} are the same ECS service: {one.cluster}/{one.ecs_service}, {_whereabouts(one)}"
        at = one.origins.get("ecs_service", one.origins["cluster"])
        yield Fault(at, what, "give one of them another account, cluster or ecs_service")
    by_family = _pairs(known, lambda each: (each.access.account, each.access.region, each.family))
    for one, other in by_family:
        what = f"{one} and {other} share the task definition family {one.family}, {_whereabouts(one)}"
        at = one.origins.get("family", one.origins["account"])
        yield Fault(at, what, "give one of them another account or family")


def _pairs(targets: tuple[Target, ...], identity: Callable[[Target], Hashable]) -> Iterator[tuple[Target, Target]]:
    """Yield each target that repeats an identity, with the first target that has it."""
    first: dict[Hashable, Target] = {}
    for each in targets:
        other = first.setdefault(identity(each), each)
        if other is not each:
            yield each, other


def _whereabouts(target: Target) -> str:
    return f"account {target.access.account}, {target.access.region}"


def _missing(place: Place, merged: Merged) -> Iterator[Fault]:
    for key in REQUIRED:
        if key not in merged.values:
            what = f"{place.environment} has no {key}"
            to_do = f"write {key} = … here, at the top of {place.origin.file}, or under [defaults] in envs/project.toml"
            yield Fault(place.origin, what, to_do)


def _role_elsewhere(place: Place, merged: Merged) -> Iterator[Fault]:
    role, account = merged.values.get("role"), merged.values.get("account")
    if isinstance(role, str) and isinstance(account, str) and account_of(role) != account:
        what = f"is a role of account {account_of(role)}, but {place.environment} is account {account}"
        to_do = f"the account is from {merged.origins['account']}\ngive {place.environment} a role of its own account"
        yield Fault(merged.origins["role"], what, to_do)


def _in_env_and_secrets(place: Place, merged: Merged) -> Iterator[Fault]:
    secrets = table(merged.values, "secrets")
    for name in table(merged.values, "env"):
        if name in secrets:
            key = dotted(name)
            other = merged.origins[f"secrets.{key}"]
            what = f"{place.environment} has {name} among its secrets too, from {other}"
            yield Fault(merged.origins[f"env.{key}"], what, f"keep one; {name} = false removes an inherited one")


def _too_long(place: Place, made: Target) -> Iterator[Fault]:
    for key in ("cluster", "ecs_service", "family"):
        name = getattr(made, key)
        if len(name) > LONGEST:
            what = f"the {key} of {made} has {len(name)} characters, ECS allows {LONGEST}: {name[:40]}…"
            yield Fault(made.origins.get(key, place.origin), what)


def _has_bad(values: dict[str, Any]) -> bool:
    return any(value is BAD or (isinstance(value, dict) and BAD in value.values()) for value in values.values())


def _made(place: Place, merged: Merged) -> Target:
    values = merged.values
    return Target(
        environment=place.environment,
        service=place.service,
        access=_access(values),
        cluster=_filled(values["cluster"], place),
        ecs_service=_filled(values.get("ecs_service", place.service), place),
        family=values.get("family", f"{place.project}-{place.environment}-{place.service}"),
        wave=values.get("wave", 1),
        cpu=values.get("cpu"),
        memory=values.get("memory"),
        env={name: str(value) for name, value in values.get("env", {}).items()},
        secrets=values.get("secrets", {}),
        vars=values.get("vars", {}),
        origins=merged.origins,
    )


def _access(values: dict[str, Any]) -> Access:
    optional = {key: values.get(key) for key in ("profile", "role", "external_id")}
    return Access(account=values["account"], region=values["region"], **optional)


def _filled(text: str, place: Place) -> str:
    """Return the text with the placeholders {tenant}, {tier} and {service}, and no others, filled in."""
    names = {"tenant": place.environment.tenant, "tier": place.environment.tier, "service": place.service}
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def disagreements(project: Source, tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield the tiers and services that project.toml does not have, and environments with the same shown name."""
    tenants = tuple(tenants)
    yield from _unknown_services(project, [project, *tenants])
    yield from _unknown_tiers(project, tenants)
    yield from _shown_alike(tenants)


def without_tier(tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield a fault for each tenant without any environment: an empty file is most likely a mistake."""
    for tenant in tenants:
        if tenant.data.get("tiers") == {}:
            what = f"'{tenant.name}' has no tier"
            yield Fault(tenant.origin("tiers"), what, "add a table such as [tiers.dev]; it may be empty", shown="")


def _unknown_services(project: Source, sources: Iterable[Source]) -> Iterator[Fault]:
    known = table(project.data, "services")
    for source in sources:
        for path in _layers(source):
            for name in table(source.data, *path, "services"):
                if name not in known:
                    at = source.origin(dotted(*path, "services", name))
                    yield Fault(at, f"there is no service '{name}' in {project.file}", suggestion(name, known))


def _layers(source: Source) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the tables of settings in a file."""
    yield ("defaults",) if source.is_project else ()
    for tier in table(source.data, "tiers"):
        yield ("tiers", tier, "settings") if source.is_project else ("tiers", tier)


def _unknown_tiers(project: Source, tenants: Iterable[Source]) -> Iterator[Fault]:
    known = table(project.data, "tiers")
    for tenant in tenants:
        for name in table(tenant.data, "tiers"):
            if name not in known:
                at = tenant.origin(dotted("tiers", name))
                yield Fault(at, f"there is no tier '{name}' in {project.file}", suggestion(name, known))


def _shown_alike(tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield a fault for environments whose shown names are the same."""
    first: dict[str, str] = {}
    for tenant in tenants:
        for tier in table(tenant.data, "tiers"):
            shown = str(Environment(tenant.name, tier))
            owner = first.setdefault(shown, f"{tenant.file}: tiers.{tier}")
            if owner != f"{tenant.file}: tiers.{tier}":
                at = tenant.origin(dotted("tiers", tier))
                yield Fault(at, f"is shown as '{shown}', and so is {owner}", "rename the tenant's file or the tier")
