"""Select the targets of a command, and those that must run an image first."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from deploytasks.errors import Complaint, DeployError, Invalid, raise_all
from deploytasks.model import Image, Job, Project, Scope, Service, Target, Tier
from deploytasks.spelling import suggestion


def names(flag: str, text: str | None) -> tuple[str, ...]:
    """Return the names in the comma-separated text of a flag (`tenant`), each once; () if the flag is not given.

    Raises:
        Invalid: it, or one of its items, is empty, so that `--tenant $UNSET` never selects everything.
    """
    if text is None:
        return ()
    found = [item.strip() for item in text.split(",")]
    if not all(found):
        what = "is empty" if not text.strip() else f"has an empty name in '{text}'"
        raise Invalid.of(f"--{flag}", what, f"leave --{flag} out to mean all, or name them: --{flag} one,two")
    return tuple(dict.fromkeys(found))


def tier(project: Project, name: str) -> Tier:
    """Return the tier of that name.

    Raises:
        Invalid: there is none of that name.
    """
    known = [each.name for each in project.tiers]
    if name not in known:
        raise Invalid.of("tier", f"there is no tier '{name}'", suggestion(name, known))
    return project.tier(name)


def select(project: Project, scope: Scope) -> tuple[Target, ...]:
    """Return the targets that the scope selects, in file order; never none.

    Raises:
        Invalid: the scope names what does not exist, or selects nothing.
    """
    tier(project, scope.tier)
    raise_all(Invalid, list(_complaints(project, scope)))
    chosen = tuple(target for target in project.targets if is_in(target, scope))
    if not chosen:
        raise nothing_left(scope.tier, scope)
    return chosen


def upstream_targets(project: Project, tier: Tier, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return the targets that must run the images before the tier accepts them, each once, in the targets' order.

    For each target that is the same tenant's same service in the nearest earlier tier that has it; a target without one
    contributes nothing.
    """
    known = {(each.environment.tenant, each.environment.tier, each.name): each for each in project.targets}
    found: dict[Target, None] = {}
    for target in targets:
        keys = ((target.environment.tenant, before, target.name) for before in tiers_before(project, tier))
        nearest = next((known[key] for key in keys if key in known), None)
        if nearest is not None:
            found[nearest] = None
    return tuple(found)


def tiers_before(project: Project, tier: Tier) -> Iterator[str]:
    """Yield the names of the earlier tiers, the nearest first; the last one is the first tier, which builds."""
    while tier.after is not None:
        yield tier.after
        tier = project.tier(tier.after)


def is_in(target: Target, scope: Scope) -> bool:
    """Return whether the scope's tier and flags select the target."""
    tenant = target.environment.tenant
    return (
        target.environment.tier == scope.tier
        and tenant not in scope.exclude
        and (not scope.tenants or tenant in scope.tenants)
        and (not scope.services or target.name in scope.services)
    )


def _complaints(project: Project, scope: Scope) -> Iterator[Complaint]:
    yield from unknown_names(project, scope)
    there = [each.environment.tenant for each in project.of_tier(scope.tier)]
    for tenant in scope.tenants:
        if tenant in project.tenants and tenant not in there:
            having = ", ".join(dict.fromkeys(there)) or "none"
            to_do = f"tenants that have it: {having}\nto add it, write [tiers.{scope.tier}] in envs/{tenant}.toml"
            yield Complaint("--tenant", f"'{tenant}' has no {scope.tier}", to_do)


def unknown_names(project: Project, scope: Scope) -> Iterator[Complaint]:
    """Yield a complaint for each name in the scope's flags that the project does not have."""
    yield from unknown("--tenant", scope.tenants, project.tenants)
    yield from unknown("--service", scope.services, [each.name for each in project.services_and_jobs])
    yield from unknown("--image", scope.images, [image.name for image in project.images])
    yield from unknown("--exclude", scope.exclude, project.tenants)


def unknown(where: str, named: Iterable[str], known: Iterable[str]) -> Iterator[Complaint]:
    """Yield a complaint for each unknown name, with the most likely known one."""
    word = "tenant" if where == "--exclude" else where.removeprefix("--")
    for name in named:
        if name not in known:
            yield Complaint(where, f"there is no {word} '{name}'", suggestion(name, known))


def nothing_left(where: str, scope: Scope, tiers: tuple[str, ...] = ()) -> DeployError:
    """Return the refusal of flags that select no target; `tiers` are the names given by `--tier`."""
    named = {"--tier": tiers, "--tenant": scope.tenants, "--service": scope.services, "--exclude": scope.exclude}
    flags = " ".join(f"{flag} {','.join(each)}" for flag, each in named.items() if each)
    what = f"no target of any environment is left by {flags}" if flags else "no tenant has it"
    return Invalid.of(where, what, "see which there are: inv envs.list")


def services(project: Project, text: str | None) -> tuple[Service | Job, ...]:
    """Return the services and jobs that `--service` names; all if it is not given."""
    wanted, known = names("service", text), project.services_and_jobs
    _refuse_unknown("--service", wanted, (each.name for each in known))
    return tuple(each for each in known if not wanted or each.name in wanted)


def images(project: Project, text: str | None) -> tuple[Image, ...]:
    """Return the images that the text of `--image` names; all if it is not given."""
    wanted = names("image", text)
    _refuse_unknown("--image", wanted, (image.name for image in project.images))
    return tuple(image for image in project.images if not wanted or image.name in wanted)


def environment(project: Project, name: str, service: str | None) -> tuple[Target, ...]:
    """Return the targets of an environment, given by its shown name."""
    _refuse_unknown("environment", [name], dict.fromkeys(str(target.environment) for target in project.targets))
    wanted = {each.name for each in services(project, service)}
    return tuple(each for each in project.targets if str(each.environment) == name and each.name in wanted)


def anywhere(project: Project, tiers: str | None, scope: Scope) -> tuple[Target, ...]:
    """Return the targets of any tier that the flags select; () only if the project has no targets.

    The scope's own tier is ignored.

    Raises:
        Invalid: a flag names what does not exist, or the flags select none of the project's targets.
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


def one(project: Project, scope: Scope, job: str = "") -> Target:
    """Return the one service of an environment that the scope selects, or the one job of that name.

    Raises:
        Invalid: the scope selects several or none, or it or `job` names what does not exist.
    """
    _refuse_other_kind(project, scope, job)
    chosen = select(project, replace(scope, services=(job,)) if job else scope)
    found = tuple(target for target in chosen if bool(target.job) is bool(job))
    if not found:
        raise nothing_left(scope.tier, scope)
    if len(found) > 1:
        tenants = dict.fromkeys(f"--tenant {target.environment.tenant}" for target in found)
        services = dict.fromkeys(f"--service {target.name}" for target in found)
        flags = " ".join(next(iter(each)) for each in (tenants, services) if len(each) > 1)
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        to_do = f"name one, such as {flags}; there are {', '.join(map(str, found[:8]))}{more}"
        raise Invalid.of(scope.tier, f"{len(found)} targets are meant, and a command runs in one", to_do)
    return found[0]


def _refuse_other_kind(project: Project, scope: Scope, job: str) -> None:
    """Refuse a job that is called a service, and a service that is called a job."""
    jobs = [each.name for each in project.jobs]
    if job and job in (each.name for each in project.services):
        raise Invalid.of("--job", f"{job} is a service", f"a command runs in it by: --service {job} -- CMD…")
    _refuse_unknown("--job", [job] if job else (), jobs)
    if named := [name for name in scope.services if name in jobs]:
        raise Invalid.of("--service", f"{named[0]} is a job", f"it is run by: --job {named[0]}")


def _refuse_unknown(where: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    raise_all(Invalid, list(unknown(where, wanted, tuple(known))))
