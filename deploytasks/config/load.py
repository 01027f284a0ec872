"""Load envs/*.toml as a Project: read, check each file, check them together, merge, make targets; or all complaints."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.config import agreement, placeholders, policy, service_order
from deploytasks.config.check import BAD, checked
from deploytasks.config.files import PROJECT_FILE, Fault, Source, complaints, read_envs, table
from deploytasks.config.images_of_services import uris
from deploytasks.config.layers import KINDS, Layer, Merged, merge
from deploytasks.config.lines import dotted
from deploytasks.config.schema import ProjectFile
from deploytasks.errors import Invalid
from deploytasks.model import Access, Environment, JobSettings, Origin, Project, SessionFactory, Target


def load(root: Path, sessions: SessionFactory | None = None) -> Project:
    """Return the project of envs/ under the root, whose commands sign in with `sessions`, if given.

    Raises:
        Invalid: with every complaint about every file, sorted by file and line.
    """
    faults: list[Fault] = []
    sources = [checked(source, faults) for source in read_envs(root, faults)]
    tenants = [source for source in sources if not source.is_project]
    faults.extend(agreement.without_tier(tenants))
    project = next((source for source in sources if source.is_project), None)
    if project is None:
        raise Invalid(*complaints(root, faults))
    if not (tenants or faults):
        faults.append(Fault(Origin("envs/", ""), "there is no tenant", _HOW_TO_ADD_ONE))
    faults.extend(policy.faults_in(project))
    faults.extend(agreement.disagreements(project, tenants))
    targets = tuple(service_order.placed(project, _targets(project, tenants, faults)))
    faults.extend(agreement.clashes(targets))
    faults.extend(agreement.long_schedules(root, targets))
    faults.extend(service_order.wave_faults(targets))
    if faults:
        raise Invalid(*complaints(root, faults))
    made = _project(root, policy.typed(project), [tenant.name for tenant in tenants], targets)
    return replace(made, sessions=sessions)


_HOW_TO_ADD_ONE = """\
write envs/<tenant>.toml: account, region, cluster, and a [tiers.NAME] table for each tier that it has
docs/envs.md in deploytasks' own repository shows a complete one"""


def _targets(project: Source, tenants: Sequence[Source], faults: list[Fault]) -> Iterator[Target]:
    """Yield every valid tenant × tier × service or job that is not absent."""
    tiers = policy.order_of_tiers(project)
    for tenant in tenants:
        for tier in tiers:
            if tier in table(tenant.data, "tiers"):
                yield from _targets_of(Environment(tenant.name, tier), project, tenant, faults)


def _targets_of(at: Environment, project: Source, tenant: Source, faults: list[Fault]) -> Iterator[Target]:
    ours, theirs = Layer(project.file, "", project.data), Layer(tenant.file, "", tenant.data)
    general = (ours.within("defaults"), ours.within("tiers", at.tier, "settings"))
    layers = (*general, theirs, theirs.within("tiers", at.tier))
    declared, project_name = tenant.origin(dotted("tiers", at.tier)), str(table(project.data, "project").get("name"))
    for kind, name in ((each, name) for each in KINDS for name in table(project.data, each)):
        merged = merge(layers, name, kind)
        if merged.values.get("absent") is not True:
            job = table(project.data, kind, name) if kind == "jobs" else None
            place = Place(project_name, at, name, uris(project, kind, name), declared, job)
            made = target(place, merged, faults)
            if made is not None:
                yield made


def _project(root: Path, file: ProjectFile, tenants: Sequence[str], targets: tuple[Target, ...]) -> Project:
    return Project(
        root=root,
        name=file.project.name,
        registry=policy.registry(file),
        images=policy.images(file),
        services=policy.services(file),
        jobs=policy.jobs(file),
        tiers=policy.tiers(file),
        tenants=tuple(tenants),
        targets=targets,
        webhook=policy.webhook(file),
    )


REQUIRED = ("account", "region", "cluster")
_LIMITS = {**placeholders.KEYS, "family": placeholders.KEYS["ecs_service"]}


class Place(Struct, frozen=True):
    """The place that settings are for; `origin` is where the tenant's file declares the environment.

    `images` are the URIs of the images of the service or job called `name`, its own first. `job` is the job's table in
    project.toml; None for a service.
    """

    project: str
    environment: Environment
    name: str
    images: Mapping[str, str]
    origin: Origin
    job: Mapping[str, Any] | None = None


def target(place: Place, merged: Merged, faults: list[Fault]) -> Target | None:
    """Return the target of the merged settings; None if they have faults. Adds to `faults`."""
    checks = (_missing, _role_elsewhere, _in_env_and_secrets, _start_of_job)
    found = [fault for check in checks for fault in check(place, merged)]
    if not found and not _has_bad(merged.values):
        made = _made(place, Merged(_filled(place, merged.values), merged.origins))
        found = list(_too_long(place, made))
        if not found:
            return made
    faults.extend(found)
    return None


def _missing(place: Place, merged: Merged) -> Iterator[Fault]:
    for key in REQUIRED:
        if key not in merged.values:
            what = f"{place.environment} has no {key}"
            yield Fault(place.origin, what, f"write {key} = … {_where_to_write(place)}")


def _role_elsewhere(place: Place, merged: Merged) -> Iterator[Fault]:
    account = merged.values.get("account")
    for key in ("role",) if place.job is None else ("role", "schedule_role"):
        role = merged.values.get(key)
        if isinstance(role, str) and isinstance(account, str) and policy.account_of(role) not in (account, "{account}"):
            what = f"is a role of account {policy.account_of(role)}, but {place.environment} is account {account}"
            whose = f"the account is from {merged.origins['account']}"
            yield Fault(merged.origins[key], what, f"{whose}\ngive {place.environment} a role of its own account")


def _start_of_job(place: Place, merged: Merged) -> Iterator[Fault]:
    """Yield a fault for a job that both a schedule and a rule start, and for a schedule without a role to start it."""
    if place.job is None or not isinstance(place.job.get("schedule"), str):
        return
    name, environment = place.name, place.environment
    if "rule" in merged.values:
        what = f"{environment}/{name} has a rule, and [{dotted('jobs', name)}] a schedule"
        to_do = "leave one out: the rule in envs/, or `schedule` in envs/project.toml"
        yield Fault(merged.origins["rule"], what, to_do)
    elif "schedule_role" not in merged.values:
        what = f"{environment} has no schedule_role, by which EventBridge Scheduler starts the tasks of '{name}'"
        to_do = f"write schedule_role = … {_where_to_write(place)}"
        yield Fault(place.origin, what, to_do)


def _where_to_write(place: Place) -> str:
    return f"here, at the top of {place.origin.file}, or under [defaults] in envs/project.toml"


def _in_env_and_secrets(place: Place, merged: Merged) -> Iterator[Fault]:
    secrets = table(merged.values, "secrets")
    for name in table(merged.values, "env"):
        if name in secrets:
            key = dotted(name)
            other = merged.origins[f"secrets.{key}"]
            what = f"{place.environment} has {name} among its secrets too, from {other}"
            yield Fault(merged.origins[f"env.{key}"], what, f"keep one; {name} = false removes an inherited one")


def _too_long(place: Place, made: Target) -> Iterator[Fault]:
    """Yield a fault for each name that is too long now that its placeholders are filled in."""
    job = made.job or JobSettings()
    named = {
        "role": made.access.role or "",
        "cluster": made.cluster,
        "ecs_service": made.ecs_service,
        "family": made.family,
        "schedule_role": job.schedule_role,
        "rule": job.rule,
    }
    for key, value in named.items():
        if why := placeholders.too_long(_LIMITS[key], value):
            yield Fault(made.origins.get(key, place.origin), f"the {key} of {made} {why}")
    for name, value in made.secrets.items():
        if why := placeholders.too_long(_LIMITS["secrets"], value):
            yield Fault(made.origins[f"secrets.{dotted(name)}"], f"the secret {name} of {made} {why}")


def _has_bad(values: dict[str, Any]) -> bool:
    return any(value is BAD or (isinstance(value, dict) and BAD in value.values()) for value in values.values())


def _made(place: Place, merged: Merged) -> Target:
    values = merged.values
    return Target(
        environment=place.environment,
        name=place.name,
        images=place.images,
        access=Access(values["account"], values["region"], *map(values.get, ("profile", "role", "external_id"))),
        cluster=values["cluster"],
        ecs_service="" if place.job is not None else values.get("ecs_service", place.name),
        family=values.get("family", f"{place.project}-{place.environment}-{place.name}"),
        wave=values.get("wave", 1),
        cpu=values.get("cpu"),
        memory=values.get("memory"),
        env={name: str(value) for name, value in values.get("env", {}).items()},
        secrets=values.get("secrets", {}),
        vars=values.get("vars", {}),
        origins=merged.origins,
        job=None if place.job is None else _job(place, place.job, merged),
    )


def _job(place: Place, job: Mapping[str, Any], merged: Merged) -> JobSettings:
    """Return what starts the job. Adds the origin of its schedule to the merged ones."""
    values, schedule = merged.values, job.get("schedule", "")
    if schedule:
        merged.origins["schedule"] = Origin(PROJECT_FILE, dotted("jobs", place.name, "schedule"))
    return JobSettings(schedule, values.get("schedule_role", ""), values.get("rule", ""))


def _filled(place: Place, values: Mapping[str, Any]) -> dict[str, Any]:
    environment = place.environment
    meanings = {"tenant": environment.tenant, "tier": environment.tier, "service": place.name}
    return placeholders.filled(values, meanings | {key: values[key] for key in ("account", "region")})
