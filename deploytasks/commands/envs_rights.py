"""The roles that a project needs, each with its trust and its least policies, from envs/ and templates/ alone."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import git
from deploytasks.aws import rights, trust
from deploytasks.aws.operations import Role, Use
from deploytasks.aws.trust import Repository
from deploytasks.commands.named_resources import Named, arns_of, of_registry, of_target
from deploytasks.config import select
from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.git_url import host_and_path
from deploytasks.model import Access, Project, Target, tenants_of
from deploytasks.model.rights import HOLDERS, Grant, Holder
from deploytasks.regions import partition_name, suffix
from deploytasks.spelling import suggestion
from deploytasks.template.check import joined
from deploytasks.template.render import Renderer

CI_ROLE = "release"
"""The name of CI's role, in the registry's account: `init` writes it into its pipelines."""
_REPOSITORY = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[\w.-]+){2,}", re.ASCII)
_TRUSTED = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/[!-~]+")


class Asked(Struct, frozen=True):
    """What the flags say; empty where one is not given."""

    holders: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    repository: str = ""
    branch: str = ""
    trusted: tuple[str, ...] = ()


class Signer(Struct, frozen=True, order=True):
    """Who acts in an account: by which role, else by which profile, else by the default chain's credentials."""

    account: str
    role: str = ""
    profile: str = ""

    @property
    def who(self) -> str:
        """Return how the credentials are found."""
        name = f"profile {self.profile}" if self.profile else "the default credentials"
        return f"role {self.role}" if self.role else name


def grants(project: Project, asked: Asked) -> tuple[Grant, ...]:
    """Return the roles that the flags select; of tenants, only these tenants' if they are named.

    Raises:
        Invalid: a flag is wrong, a template is, or a role's policies are more than IAM takes.

    """
    raise_all(Invalid, [*_complaints(project, asked)])
    holders = asked.holders or (("tenant",) if asked.tenants else HOLDERS)
    made: Mapping[Holder, Callable[[Project, Asked], Iterable[Grant]]] = {
        "registry": _registry,
        "tenant": _tenants,
        "ci": _ci,
        "bootstrap": _bootstrap,
    }
    found = tuple(grant for holder in HOLDERS if holder in holders for grant in made[holder](project, asked))
    raise_all(Invalid, [*_too_long(found)])
    return found


def repository(project: Project, asked: Asked) -> Repository:
    """Return the repository whose CI is trusted: the flag's, else git's `origin`.

    Raises:
        Invalid: neither names one.

    """
    url = asked.repository or git.origin_url(project.root)
    host, path = host_and_path(url)
    if asked.repository and not host:  # as the flag's help has it: github.com/acme/shop
        host, _, path = path.partition("/")
        host = host.lower()
    if _REPOSITORY.fullmatch(f"{host}/{path}"):
        if not (asked.repository or "gitlab" in host or host.startswith("github.")):
            what = f"git's origin is {host}/{path}: neither GitHub nor a GitLab by its name"
            to_do = f"if a GitLab answers there: --repository {host}/{path}\nor leave CI out: --role registry,tenant"
            raise Invalid.of("--repository", what, to_do)
        return Repository(host, path, asked.branch or git.default_branch(project.root) or "main")
    what = (
        f"'{url.rpartition('@')[2][:80]}' names no repository" if url else "is missing, and git has no remote `origin`"
    )
    to_do = "name it: --repository github.com/acme/shop, gitlab.com/acme/shop\nor leave CI out: --role registry,tenant"
    raise Invalid.of("--repository", what, to_do)


def notes(found: Sequence[Grant]) -> Iterator[str]:
    """Yield what must be there before the roles are made, and which roles the policies name that are not among them."""
    if others := _passed(found) - {grant.role for grant in found}:
        names = sorted({arn.partition(":role/")[2] for arn in others})
        yield f"not written, make them in the tenants' accounts (docs/rights.md): {', '.join(names)}"
    for grant in found:
        for statement in grant.trust["Statement"] if grant.trust else ():
            if provider := statement["Principal"].get("Federated"):
                token = {key.rpartition(":")[2]: value for key, value in statement["Condition"]["StringEquals"].items()}
                issuer, audience = provider.partition("/")[2], token["aud"]
                make = f"aws iam create-open-id-connect-provider --url https://{issuer} --client-id-list {audience}"
                yield f"account {grant.account} must have the identity provider: {make}"
                yield f"{grant.role} trusts {token['sub'][0]}; --branch names another branch"


def _passed(found: Iterable[Grant]) -> set[str]:
    """Return the roles that the policies let be passed to ECS, Scheduler or EventBridge; a wildcard is none."""
    statements = (each for grant in found for document in grant.policies for each in document["Statement"])
    arns = {arn for each in statements if "iam:PassRole" in each["Action"] for arn in each["Resource"]}
    return {arn for arn in arns if "*" not in arn}


def _complaints(project: Project, asked: Asked) -> Iterator[Complaint]:
    for name in asked.holders:
        if name not in HOLDERS:
            yield Complaint("--role", f"'{name[:40]}' is not known", suggestion(name, HOLDERS))
    yield from select.unknown("--tenant", asked.tenants, project.tenants)
    for arn in asked.trusted:
        if not _TRUSTED.fullmatch(arn):
            to_do = "for example --trust arn:aws:iam::012345678922:role/ops; * stands for anything"
            yield Complaint("--trust", f"'{arn[:80]}' is not the ARN of a role or user", to_do)


def _registry(project: Project, asked: Asked) -> Iterator[Grant]:
    """Yield the registry's role; without one CI's role has its rights, and if that is not selected, policies alone."""
    access = project.registry.access
    signer = Signer(access.account, access.role or "", access.profile or "")
    if signer != Signer(access.account) or "ci" not in (asked.holders or HOLDERS):
        yield _grant("registry", access, signer, _of_registry(project), _trust(project, asked, [access]))


def _tenants(project: Project, asked: Asked) -> Iterator[Grant]:
    """Yield the role of each tenant's account, or the policies of whoever signs in there without one."""
    wanted = [target for target in project.targets if target.environment.tenant in (asked.tenants or project.tenants)]
    signers = {_signer(target) for target in wanted}
    together = sorted((each for each in project.targets if _signer(each) in signers), key=_signer)
    named = _named(project, together)
    for signer, group in groupby(together, key=_signer):
        if _is_ci(project, signer):
            continue
        targets = [*group]
        arns = arns_of(each for target in targets for each in named[target])
        statements = _statements("tenant", ("read", "check", "change"), arns)
        trusting = _trust(project, asked, [target.access for target in targets])
        grant = _grant("tenant", targets[0].access, signer, statements, trusting)
        yield replace(grant, tenants=tenants_of(targets))


def _ci(project: Project, asked: Asked) -> Iterator[Grant]:
    """Yield CI's role: it assumes all others, and acts itself where envs/ names no role."""
    access = project.registry.access
    roles = sorted({each.role for each in (access, *(target.access for target in project.targets)) if each.role})
    own = [target for target in project.targets if _is_ci(project, _signer(target))]
    arns = arns_of(each for named in _named(project, own).values() for each in named)
    statements = [
        *_statements("caller", ("assume",), {"role": roles}),
        *(_of_registry(project) if not (access.role or access.profile) else ()),
        *_statements("tenant", ("read", "check", "change"), arns),
    ]
    role = f"arn:{partition_name(access.region)}:iam::{access.account}:role/{CI_ROLE}"
    tiers = [tier.name for tier in project.tiers]
    trusting = trust.by_ci(repository(project, asked), access.account, access.region, tiers)
    yield _grant("ci", access, Signer(access.account, role), statements, trusting)


def _bootstrap(project: Project, _asked: Asked) -> Iterator[Grant]:
    access = project.registry.access
    statements = _statements("registry", ("read", "check", "bootstrap"), arns_of(of_registry(project)))
    yield _grant("bootstrap", access, Signer(access.account), statements)


def _grant(
    holder: Holder,
    access: Access,
    signer: Signer,
    statements: Sequence[Mapping[str, Any]],
    trusting: Mapping[str, Any] | None = None,
) -> Grant:
    who = "whoever runs inv envs.bootstrap" if holder == "bootstrap" else signer.who
    return Grant(
        holder=holder,
        account=signer.account,
        region=access.region,
        name=signer.role.rpartition("/")[2] or re.sub(r"[^\w+=,.@-]", "-", signer.profile) or holder,
        who=who,
        policies=rights.documents(statements),
        role=signer.role,
        trust=trusting if signer.role else None,
    )


def _statements(role: Role, uses: Sequence[Use], arns: Mapping[Any, Sequence[str]]) -> list[dict[str, Any]]:
    return [statement for use in uses for statement in rights.statements(role, use, arns)]


def _of_registry(project: Project) -> list[dict[str, Any]]:
    """Return the statements of a release; a key is used by Parameter Store and Secrets Manager alone."""
    found = _statements("registry", ("read", "check", "change", "notify"), arns_of(of_registry(project)))
    region = project.registry.access.region
    via = [f"{service}.{region}.{suffix(region)}" for service in ("secretsmanager", "ssm")]
    through = {"Condition": {"StringEquals": {"kms:ViaService": via}}}
    return [{**each, **through} if each["Action"] == ["kms:Decrypt"] else each for each in found]


def _named(project: Project, targets: Iterable[Target]) -> dict[Target, list[Named]]:
    """Return what each target's role works on.

    Raises:
        Invalid: with what is wrong with all their templates.

    """
    renderer, found, wrong = Renderer(project), dict[Target, list[Named]](), list[tuple[Target, Complaint]]()
    for target in targets:
        try:
            found[target] = [*of_target(renderer, target)]
        except Invalid as error:
            wrong += ((target, complaint) for complaint in error.complaints)
    raise_all(Invalid, joined(wrong))
    return found


def _signer(target: Target) -> Signer:
    access = target.access
    return Signer(access.account, access.role or "", "" if access.role else access.profile or "")


def _is_ci(project: Project, signer: Signer) -> bool:
    """Return whether CI acts there as itself: in the registry's account, by neither a role nor a profile."""
    return signer == Signer(project.registry.access.account)


def _trust(project: Project, asked: Asked, accesses: Iterable[Access]) -> dict[str, Any]:
    """Return the trust in CI's role and in those that the flag names."""
    access = project.registry.access
    partition = partition_name(access.region)
    trusted = (f"arn:{partition}:iam::{access.account}:role/{CI_ROLE}", *asked.trusted)
    return trust.by_roles(trusted, {each.external_id for each in accesses}, partition)


def _too_long(found: Iterable[Grant]) -> Iterator[Complaint]:
    """Yield a complaint about each role that has more than IAM takes."""
    for grant in found:
        if len(grant.policies) > rights.MOST_POLICIES:
            what = f"needs {len(grant.policies)} policies, and IAM lets a role have {rights.MOST_POLICIES}"
            yield Complaint(grant.who, what, "split the project, or write one of them yourself, with wildcards")
        if grant.trust and (size := rights.length(grant.trust)) > rights.LONGEST_TRUST:
            what = f"its trust policy would have {size} characters, and IAM takes {rights.LONGEST_TRUST}"
            yield Complaint(grant.who, what, "name fewer by --trust, or use * in their ARNs")
