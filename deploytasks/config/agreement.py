"""Check the files of envs/ together: names that exist, and environments, services and families that never meet."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from deploytasks.config.files import Fault, Source, table
from deploytasks.config.layers import KINDS
from deploytasks.config.lines import dotted
from deploytasks.model import LONGEST_SCHEDULE_NAME, Environment, Target
from deploytasks.spelling import suggestion


def disagreements(project: Source, tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield the tiers, services and jobs that project.toml does not have, and environments with the same shown name."""
    tenants = tuple(tenants)
    for source in (project, *tenants):
        for path in _setting_tables(source):
            yield from _unknown(project, "service", source, *path)
            yield from _unknown(project, "job", source, *path)
    for tenant in tenants:
        yield from _unknown(project, "tier", tenant)
    yield from shown_alike(tenants)


def without_tier(tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield a fault for each tenant without any environment: an empty file is most likely a mistake."""
    for tenant in tenants:
        if tenant.data.get("tiers") == {}:
            what = f"'{tenant.name}' has no tier"
            yield Fault(tenant.origin("tiers"), what, "add a table such as [tiers.dev]; it may be empty", shown="")


def _unknown(project: Source, kind: str, source: Source, *path: str) -> Iterator[Fault]:
    """Yield a fault for each service, job or tier in that table of the source that project.toml does not have."""
    known = table(project.data, f"{kind}s")
    for name in table(source.data, *path, f"{kind}s"):
        if name not in known:
            at = source.origin(dotted(*path, f"{kind}s", name))
            other = next((each for each in KINDS if name in table(project.data, each)), "")
            to_do = f"it is a {other[:-1]}: write {dotted(other, name)}" if other else suggestion(name, known)
            yield Fault(at, f"there is no {kind} '{name}' in {project.file}", to_do)


def _setting_tables(source: Source) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the tables of settings in a file."""
    yield ("defaults",) if source.is_project else ()
    for tier in table(source.data, "tiers"):
        yield ("tiers", tier, "settings") if source.is_project else ("tiers", tier)


def shown_alike(tenants: Iterable[Source]) -> Iterator[Fault]:
    """Yield a fault for environments whose shown names are the same."""
    first: dict[str, str] = {}
    for tenant in tenants:
        for tier in table(tenant.data, "tiers"):
            shown = str(Environment(tenant.name, tier))
            owner = first.setdefault(shown, f"{tenant.file}: tiers.{tier}")
            if owner != f"{tenant.file}: tiers.{tier}":
                at = tenant.origin(dotted("tiers", tier))
                yield Fault(at, f"is shown as '{shown}', and so is {owner}", "rename the tenant's file or the tier")


def long_schedules(root: Path, targets: Iterable[Target]) -> Iterator[Fault]:
    """Yield a fault for each schedule without a template whose name, the family, is too long.

    A template may name another one, which is checked with the template.
    """
    for target in targets:
        is_long = target.job and target.job.schedule and len(target.family) > LONGEST_SCHEDULE_NAME
        template = f"templates/{target.name}.schedule.json.j2"
        if is_long and not (root / template).exists():
            what = f"the schedule of {target} has a name of {len(target.family)} characters: {target.family}"
            to_do = f'{LONGEST_SCHEDULE_NAME} are allowed: set a shorter `family` in envs/, or a "Name" in {template}'
            yield Fault(target.origins.get("family", target.origins["schedule"]), what, to_do)


def clashes(targets: Iterable[Target]) -> Iterator[Fault]:
    """Yield a fault for targets that share an ECS service, or a task definition family in one account."""
    known = tuple(targets)
    of_ecs = tuple(each for each in known if each.job is None)
    by_service = _pairs(of_ecs, lambda each: (each.access.account, each.access.region, each.cluster, each.ecs_service))
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
        if (other.environment, other.name) != (each.environment, each.name):
            yield each, other


def _whereabouts(target: Target) -> str:
    return f"account {target.access.account}, {target.access.region}"
