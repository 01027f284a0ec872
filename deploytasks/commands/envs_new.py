"""Compose the file of a new tenant, after checking that nothing else has its name, its environments or its account."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from deploytasks.commands import envs_schema
from deploytasks.config import agreement, new_tenant, policy, select
from deploytasks.config.check import checked, fits
from deploytasks.config.files import Fault, Source, complaints, read_envs, table
from deploytasks.config.load import load
from deploytasks.config.names import is_name
from deploytasks.config.new_tenant import Draft, Pattern, Wanted, accounts_in
from deploytasks.config.schema import Account, Text
from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.model import Project
from deploytasks.regions import advice, partition_of
from deploytasks.spelling import suggestion
from deploytasks.template.check import check_all


class Asked(Struct, frozen=True):
    """What the flags say; empty where one is not given."""

    tenant: str
    account: str = ""
    like: str = ""
    tiers: tuple[str, ...] = ()
    region: str = ""
    profile: str = ""

    @property
    def file(self) -> str:
        """The tenant's file, below the root."""
        return f"envs/{self.tenant}.toml"


def new(root: Path, asked: Asked) -> Draft:
    """Return the tenant's file; nothing is written.

    Raises:
        Invalid: with every complaint about the flags, or about the files of envs/.

    """
    faults: list[Fault] = []
    sources = {source.name: checked(source, faults) for source in read_envs(root, faults)}
    raise_all(Invalid, complaints(root, faults))
    project = sources.pop("project")
    tiers = asked.tiers or _tiers(project, sources.get(asked.like))
    wanted = Wanted(asked.tenant, asked.account, tiers, asked.region, asked.profile)
    raise_all(Invalid, [*_misnamed(root, asked), *_misplaced(asked), *_unknown(asked, project, sources)])
    raise_all(Invalid, [*_taken(asked, project, sources.values()), *_shown_alike(root, wanted, sources.values())])
    first_line = envs_schema.first_line(root)
    if not asked.like:
        return new_tenant.minimal(wanted, project.data, first_line)
    return new_tenant.like(wanted, _pattern(root, project, sources[asked.like]), first_line)


def told(root: Path, asked: Asked, draft: Draft) -> Iterator[str]:
    """Yield what to say of the file now that it is written: what is left to fill in or to mend, and what comes next."""
    yield f"{asked.file}: written{f', like {asked.like}' if asked.like else ''}"
    for each in draft.left_out:
        yield f"{asked.file}:{each.line}: {each.key}: left out, since it {each.why}; fill it in if it is needed"
    project, wrong = _checked(root)
    for complaint in wrong:
        yield from str(complaint).splitlines()
    yield f"next: {'fix that until inv envs.check finds nothing' if wrong else 'read the file'}, commit it, then"
    yield f"  inv envs.rights --tenant {asked.tenant} : the policies of its roles"
    yield f"  inv envs.bootstrap : lets account {asked.account} pull the images"
    yield from _rolling_out(project, asked) if project else ()
    yield f"until its roles and clusters are there, release to the others by --exclude {asked.tenant}"


def _rolling_out(project: Project, asked: Asked) -> Iterator[str]:
    """Yield the commands that roll out the tenant's environments; the first tenant of all has nothing to take."""
    tiers = [target.environment.tier for target in project.targets if target.environment.tenant == asked.tenant]
    verb = "deploy" if len(project.tenants) > 1 else "release"
    yield from (f"  inv {verb}.{tier} --tenant {asked.tenant}" for tier in dict.fromkeys(tiers))


def _checked(root: Path) -> tuple[Project | None, Sequence[Complaint]]:
    """Return the project with the new tenant, None if it has faults, and what `inv envs.check` finds in it."""
    try:
        project = load(root)
        return project, check_all(project)
    except Invalid as error:
        return None, error.complaints


def _tiers(project: Source, like: Source | None) -> tuple[str, ...]:
    known = policy.order_of_tiers(project)
    return tuple(tier for tier in known if like is None or tier in table(like.data, "tiers"))


def _misnamed(root: Path, asked: Asked) -> Iterator[Complaint]:
    path = root / asked.file
    if not is_name(asked.tenant):
        to_do = "take lower-case letters, digits and dashes, a letter first, at most 63: inv envs.new acme"
        yield Complaint("envs.new", f"'{asked.tenant[:80]}' can't be a tenant's name", to_do)
    elif asked.tenant == "project":
        yield Complaint("envs.new", "'project' can't be a tenant's name: envs/project.toml is the project's", "")
    elif path.exists() or path.is_symlink():
        yield Complaint(asked.file, "is there already", "edit it, or choose another name; nothing was overwritten")


def _misplaced(asked: Asked) -> Iterator[Complaint]:
    """Yield a complaint about each flag whose value can't be one, or is missing."""
    if not asked.account:
        to_do = f"name it, 12 digits: inv envs.new {asked.tenant} --account …; no other tenant's account is ever taken"
        yield Complaint("--account", f"is missing: the AWS account of {asked.tenant}", to_do)
    elif not fits(asked.account, Account):
        yield Complaint("--account", f"'{asked.account[:40]}' is not an AWS account", _digits(asked.account))
    if asked.region and not partition_of(asked.region):
        yield Complaint("--region", f"there is no AWS region '{asked.region[:40]}'", advice(asked.region))
    if asked.profile and not fits(asked.profile, Text):
        yield Complaint("--profile", "has blanks around it, or control characters", "name a profile of ~/.aws/config")


def _digits(account: str) -> str:
    is_number = account.isascii() and account.isdecimal()
    return f"it has {len(account)} digits; an account has 12" if is_number else "an account has 12 digits"


def _unknown(asked: Asked, project: Source, tenants: Mapping[str, Source]) -> Iterator[Complaint]:
    if asked.like and asked.like not in tenants:
        yield Complaint("--like", f"there is no tenant '{asked.like}'", suggestion(asked.like, tenants))
    yield from select.unknown("--tier", asked.tiers, policy.order_of_tiers(project))


def _taken(asked: Asked, project: Source, tenants: Collection[Source]) -> Iterator[Complaint]:
    """Yield a complaint if the account is another tenant's: a release to the new one could change that one's."""
    for tenant in tenants:
        if asked.account in _accounts(project, tenant):
            to_do = f"name the account of {asked.tenant}; tenants that share one are written by hand (docs/envs.md)"
            yield Complaint("--account", f"{asked.account} is the account of {tenant.name} ({tenant.file})", to_do)


def _accounts(project: Source, tenant: Source) -> frozenset[str]:
    """Return the accounts of a tenant: its file's, and if that names none for all tiers, those of project.toml."""
    own = accounts_in(tenant.data)
    if "account" in tenant.data:
        return own
    return own | accounts_in(table(project.data, "defaults")) | accounts_in(table(project.data, "tiers"))


def _shown_alike(root: Path, wanted: Wanted, tenants: Collection[Source]) -> Iterator[Complaint]:
    made = Source(f"envs/{wanted.tenant}.toml", wanted.tenant, {"tiers": {tier: {} for tier in wanted.tiers}})
    yield from complaints(root, agreement.shown_alike((*tenants, made)))


def _pattern(root: Path, project: Source, like: Source) -> Pattern:
    own = _accounts(project, like)
    shared = frozenset({str(table(project.data, "registry").get("account"))}) - own
    text = (root / like.file).read_text("utf-8-sig")
    return Pattern(like.name, text.replace("\r\n", "\n"), own, shared)
