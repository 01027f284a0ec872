"""Read what envs/project.toml says beside settings: the registry, images, what runs from them, and tiers' policies."""

import tomllib
from collections.abc import Iterator, Mapping

import msgspec

from deploytasks import cron
from deploytasks.config import images_of_services, schema, service_order
from deploytasks.config.check import fits
from deploytasks.config.files import Fault, Source, table
from deploytasks.config.lines import dotted
from deploytasks.config.names import ALL_IMAGES, RESERVED_TIER_NAMES, promotion_order
from deploytasks.durations import seconds
from deploytasks.model import Access, Image, Job, Registry, Service, Tier, Webhook
from deploytasks.spelling import suggestion

MOST_TIERS = 5
"""A tier's tag needs one of ECR's filters that exclude a tag from immutability; a repository has five."""


def faults_in(source: Source) -> Iterator[Fault]:
    """Yield the faults of project.toml that the check of single keys can't find."""
    for kind in ("images", "tiers"):
        if source.data.get(kind) == {}:
            yield Fault(source.origin(kind), f"there is no {kind[:-1]}", f"add a table [{kind}.<name>]", shown="")
    if not (source.data.get("services") or source.data.get("jobs")):
        to_do = "add a table [services.<name>] or [jobs.<name>]"
        yield Fault(source.origin("services"), "there is no service and no job", to_do, shown="")
    yield from _shared_repositories(source)
    yield from images_of_services.faults_in(source)
    yield from service_order.faults_in(source)
    yield from _jobs(source)
    yield from _role_elsewhere(source)
    yield from _webhook_elsewhere(source)
    if ALL_IMAGES in table(source.data, "images"):
        what = f"'{ALL_IMAGES}' is the name of another task"
        to_do = f"choose another name: inv build.{ALL_IMAGES} builds every image"
        yield Fault(source.origin(dotted("images", ALL_IMAGES)), what, to_do)
    yield from _tier_names(source)
    yield from _tier_order(source)
    for name in table(source.data, "tiers"):
        timeout = table(source.data, "tiers", name).get("timeout")
        if isinstance(timeout, str) and seconds(timeout) == 0:
            yield Fault(source.origin(dotted("tiers", name, "timeout")), "is zero")


def _jobs(source: Source) -> Iterator[Fault]:
    """Yield a fault for each job with a service's name, or with a schedule that Scheduler would refuse."""
    for name, found in table(source.data, "jobs").items():
        if name in table(source.data, "services"):
            what = f"'{name}' is the name of a service too"
            yield Fault(source.origin(dotted("jobs", name)), what, "give the job a name of its own")
        schedule = found.get("schedule") if isinstance(found, dict) else None
        for what, to_do in cron.faults(schedule) if isinstance(schedule, str) else ():
            yield Fault(source.origin(dotted("jobs", name, "schedule")), what, to_do)


def order_of_tiers(source: Source) -> tuple[str, ...]:
    """Return the tiers' names in promotion order, as far as their `after` is valid."""
    tiers = table(source.data, "tiers")
    return promotion_order({name: _after(source, name) for name in tiers})


def _after(source: Source, tier: str) -> str | None:
    after = table(source.data, "tiers", tier).get("after")
    return after if isinstance(after, str) else None


def _tier_names(source: Source) -> Iterator[Fault]:
    tiers = table(source.data, "tiers")
    if len(tiers) > MOST_TIERS:
        why = "each one's tag needs one of the five filters that an ECR repository has"
        yield Fault(source.origin("tiers"), f"{len(tiers)} tiers are more than {MOST_TIERS}", why)
    for name in tiers:
        if name in RESERVED_TIER_NAMES:
            to_do = f"choose another name; taken are {', '.join(sorted(RESERVED_TIER_NAMES))}"
            yield Fault(source.origin(f"tiers.{name}"), f"'{name}' is the name of another task", to_do)


def _tier_order(source: Source) -> Iterator[Fault]:
    """Yield a fault unless exactly one tier is the first, and every other one leads back to it by `after`."""
    after = {name: _after(source, name) for name in table(source.data, "tiers")}
    for name, before in after.items():
        if before is not None and before not in after:
            at = source.origin(dotted("tiers", name, "after"))
            yield Fault(at, f"there is no tier '{before}'", suggestion(before, after))
        elif _goes_round(name, after):
            at = source.origin(dotted("tiers", name, "after"))
            yield Fault(at, f"'{name}' comes after itself", "promotion goes from one first tier onwards")
    first = [name for name in after if "after" not in table(source.data, "tiers", name)]
    for name in first[1:]:
        to_do = f'write which tier is before it, such as after = "{first[0]}"'
        what = f"a second first tier beside '{first[0]}': it would build, and pass no gate"
        yield Fault(source.origin(dotted("tiers", name)), what, to_do)


def _goes_round(name: str, after: Mapping[str, str | None]) -> bool:
    """Return whether following `after` from a tier leads back to it."""
    before = after[name]
    for _ in after:
        if before is None or before == name:
            break
        before = after.get(before)
    return before == name


def _shared_repositories(source: Source) -> Iterator[Fault]:
    """Yield a fault for two images with one repository: they would compete for the same commit tag."""
    owners: dict[str, str] = {}
    project = table(source.data, "project").get("name")
    for name in table(source.data, "images"):
        key = dotted("images", name, "repository")
        by_default = images_of_services.default_repository(project, name) if isinstance(project, str) else None
        repository = table(source.data, "images", name).get("repository", by_default)
        if not isinstance(repository, str):
            continue
        if not fits(repository, schema.Repository):
            yield Fault(source.origin(key), f"'{repository}' can't be an ECR repository", "give another repository")
        owner = owners.setdefault(repository, name)
        if owner != name:
            what = f"is the repository of '{owner}' too: '{repository}'"
            yield Fault(
                source.origin(key), what, "both would be pushed under the same commit tag: give each image its own"
            )


def _role_elsewhere(source: Source) -> Iterator[Fault]:
    registry = table(source.data, "registry")
    account = registry.get("account")
    role = registry.get("role")
    if isinstance(role, str) and isinstance(account, str) and account_of(role) != account:
        what = f"is a role of account {account_of(role)}, but the registry's is {account}"
        yield Fault(source.origin("registry.role"), what, "the registry is reached by a role of its own account")


def _webhook_elsewhere(source: Source) -> Iterator[Fault]:
    """Yield a fault if the webhook's secret is elsewhere: it is read with the registry's credentials, in its region."""
    registry, webhook = table(source.data, "registry"), table(source.data, "notify").get("webhook")
    place, arn, named = str(webhook).partition(":arn:")
    wanted = [registry.get("region"), registry.get("account")]
    if not arn or not all(isinstance(each, str) for each in wanted):
        return
    found = named.split(":")[2:4]
    if found != wanted:
        what = f"is in account {found[1]}, {found[0]}, but the registry is in {wanted[1]}, {wanted[0]}"
        yield Fault(source.origin("notify.webhook"), what, f"keep it beside the registry: {place}:NAME")


def account_of(role: str) -> str:
    """Return the account in a role's ARN."""
    return role.split(":")[4]


def typed(source: Source) -> schema.ProjectFile:
    """Return the struct of a file without faults."""
    return msgspec.convert(source.data, schema.ProjectFile)


def registry(file: schema.ProjectFile) -> Registry:
    """Return the ECR registry that all tenants share."""
    table = file.registry
    access = Access(table.account, table.region, table.profile, table.role, table.external_id)
    return Registry(access, table.host or images_of_services.own_host(table.account, table.region))


def webhook(file: schema.ProjectFile) -> Webhook | None:
    """Return where the webhook's address is stored; None if there is no webhook."""
    if file.notify is None:
        return None
    place, _, name = file.notify.webhook.partition(":")
    return Webhook(place, name)  # type: ignore[arg-type]  # the grammar knows these three places


def images(file: schema.ProjectFile) -> tuple[Image, ...]:
    """Return the images in file order."""
    return tuple(_image(name, table, file.project.name) for name, table in file.images.items())


def image_in(text: str, name: str) -> Image | None:
    """Return the image as the text of another commit's project.toml describes it; None if that has no valid table."""
    try:
        whole = tomllib.loads(text)
        return _image(name, msgspec.convert(whole["images"][name], schema.ImageTable), str(whole["project"]["name"]))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError, TypeError):
        return None


def _image(name: str, table: schema.ImageTable, project: str) -> Image:
    return Image(
        name=name,
        repository=table.repository or images_of_services.default_repository(project, name),
        context=table.context,
        dockerfile=table.dockerfile,
        platforms=table.platforms,
        builder=table.builder,
        paths=table.paths,
        artifacts=table.artifacts,
    )


def services(file: schema.ProjectFile) -> tuple[Service, ...]:
    """Return the services in file order."""
    return tuple(
        Service(
            name=name,
            image=table.image or images_of_services.default_image(name, file.images),
            uses=table.uses,
            after=table.after,
            before_deploy=tuple(map(tuple, table.before_deploy)),
        )
        for name, table in file.services.items()
    )


def jobs(file: schema.ProjectFile) -> tuple[Job, ...]:
    """Return the jobs in file order."""
    return tuple(
        Job(
            name=name,
            image=table.image or images_of_services.default_image(name, file.images),
            uses=table.uses,
            schedule=table.schedule,
        )
        for name, table in file.jobs.items()
    )


def tiers(file: schema.ProjectFile) -> tuple[Tier, ...]:
    """Return the tiers in promotion order."""
    order = promotion_order({name: table.after for name, table in file.tiers.items()})
    return tuple(_tier(name, file.tiers[name]) for name in order)


def _tier(name: str, table: schema.TierTable) -> Tier:
    return Tier(
        name=name,
        tag=table.tag,
        after=table.after,
        pin=table.pin,
        parallel=table.parallel,
        timeout_s=seconds(table.timeout),
        soak_s=seconds(table.soak),
        on_failure=table.on_failure,
    )
