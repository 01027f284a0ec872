"""What the files say of each other: names that must exist elsewhere, names that must be unique together."""

from collections.abc import Iterable, Iterator

from deploytasks.model import Environment
from deploytasks.project.faults import Fault
from deploytasks.project.files import Source, table
from deploytasks.project.toml_lines import dotted
from deploytasks.spelling import suggestion


def disagreements(project: Source, tenants: Iterable[Source]) -> Iterator[Fault]:
    """Tiers and services that project.toml does not have, and environments that would be shown alike."""
    tenants = tuple(tenants)
    yield from _unknown_services(project, [project, *tenants])
    yield from _unknown_tiers(project, tenants)
    yield from _shown_alike(tenants)


def without_tier(tenants: Iterable[Source]) -> Iterator[Fault]:
    """Tenants that have no environment at all: an empty file most likely is not meant."""
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
    """The paths of the tables of settings in a file."""
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
    """Environments whose names, as people read and type them, would be the same."""
    first: dict[str, str] = {}
    for tenant in tenants:
        for tier in table(tenant.data, "tiers"):
            shown = str(Environment(tenant.name, tier))
            owner = first.setdefault(shown, f"{tenant.file}: tiers.{tier}")
            if owner != f"{tenant.file}: tiers.{tier}":
                at = tenant.origin(dotted("tiers", tier))
                yield Fault(at, f"is shown as '{shown}', and so is {owner}", "rename the tenant's file or the tier")
