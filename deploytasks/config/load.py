"""Load envs/*.toml as a Project: read, check each file, check them together, merge, make targets; or all complaints."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from deploytasks.config import policy
from deploytasks.config import targets as config_targets
from deploytasks.config.check import checked
from deploytasks.config.files import Fault, Source, complaints, read_envs, table
from deploytasks.config.layers import Layer, merge
from deploytasks.config.lines import dotted
from deploytasks.config.schema import ProjectFile
from deploytasks.config.targets import Place, clashes, target
from deploytasks.errors import Invalid
from deploytasks.model import Environment, Origin, Project, SessionFactory, Target


def load(root: Path, sessions: SessionFactory | None = None) -> Project:
    """Return the project of envs/ under the root, whose commands sign in with `sessions`, if given.

    Raises:
        Invalid: with every complaint about every file, sorted by file and line.
    """
    faults: list[Fault] = []
    sources = [checked(source, faults) for source in read_envs(root, faults)]
    tenants = [source for source in sources if not source.is_project]
    faults.extend(config_targets.without_tier(tenants))
    project = next((source for source in sources if source.is_project), None)
    if project is None:
        raise Invalid(*complaints(root, faults))
    if not (tenants or faults):
        faults.append(Fault(Origin("envs/", ""), "there is no tenant", _HOW_TO_ADD_ONE))
    faults.extend(policy.faults_in(project))
    faults.extend(config_targets.disagreements(project, tenants))
    targets = tuple(_targets(project, tenants, faults))
    faults.extend(clashes(targets))
    if faults:
        raise Invalid(*complaints(root, faults))
    made = _project(root, policy.typed(project), [tenant.name for tenant in tenants], targets)
    return replace(made, sessions=sessions)


_HOW_TO_ADD_ONE = """\
write envs/<tenant>.toml: account, region, cluster, and a [tiers.NAME] table for each tier that it has
docs/envs.md in deploytasks' own repository shows a complete one"""


def _targets(project: Source, tenants: Sequence[Source], faults: list[Fault]) -> Iterator[Target]:
    """Yield every valid tenant × tier × service that is not absent."""
    tiers = policy.order_of_tiers(project)
    for tenant in tenants:
        for tier in tiers:
            if tier in table(tenant.data, "tiers"):
                yield from _targets_of(Environment(tenant.name, tier), project, tenant, faults)


def _targets_of(at: Environment, project: Source, tenant: Source, faults: list[Fault]) -> Iterator[Target]:
    layers = _layers(project, tenant, at.tier)
    name = str(table(project.data, "project").get("name"))
    for service in table(project.data, "services"):
        merged = merge(layers, service)
        if merged.values.get("absent") is not True:
            place = Place(name, at, service, tenant.origin(dotted("tiers", at.tier)))
            made = target(place, merged, faults)
            if made is not None:
                yield made


def _layers(project: Source, tenant: Source, tier: str) -> tuple[Layer, ...]:
    """Return the layers of an environment, the most general first."""
    ours, theirs = Layer(project.file, "", project.data), Layer(tenant.file, "", tenant.data)
    return ours.within("defaults"), ours.within("tiers", tier, "settings"), theirs, theirs.within("tiers", tier)


def _project(root: Path, file: ProjectFile, tenants: Sequence[str], targets: tuple[Target, ...]) -> Project:
    return Project(
        root=root,
        name=file.project.name,
        registry=policy.registry(file),
        services=policy.services(file),
        tiers=policy.tiers(file),
        tenants=tuple(tenants),
        targets=targets,
        webhook=policy.webhook(file),
    )
