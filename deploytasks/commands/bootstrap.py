"""Create the project's ECR repositories, let all tenants' accounts pull from them, and take back what none needs."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.aws import repositories
from deploytasks.aws.errors import is_denied, reason
from deploytasks.commands import ownership
from deploytasks.commands.context import before_any_change
from deploytasks.commands.lock import registry
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, Complaint, NotReady, raise_all
from deploytasks.model import Image, Project

Agreed = Callable[[Sequence[Complaint]], bool]
"""Return whether to continue despite these doubts; may raise."""


class Found(Struct, frozen=True):
    """The state of one image's repository.

    `is_marked` says whether it carries a project's tag. `doubt` needs the user's agreement, `foreign` refuses the run.
    """

    name: str
    exists: bool = False
    policy: Mapping[str, Any] | None = None
    is_marked: bool = False
    unread: str = ""
    """Why its tags could not be read; empty if they were."""
    missing: tuple[str, ...] = ()
    """The tenants' accounts that may not pull yet."""
    surplus: tuple[str, ...] = ()
    """The accounts that this package let pull, and that no tenant has now."""
    foreign_pullers: Mapping[str, str] = {}
    """Who else may pull and is no tenant's account, by statements that this package did not write."""
    doubt: Complaint | None = None
    foreign: Complaint | None = None


def bootstrap(project: Project, agreed: Agreed | None = None, *, dry_run: bool, revoke: bool = False) -> Iterator[str]:
    """Create each image's ECR repository: release tags immutable, tier tags mutable, pull access for all accounts.

    Yield a description of each change once it is made; in a dry run, of each change that would be made. An existing
    repository keeps its settings. One without a project tag is adopted, and with `revoke` pull access that no tenant
    needs is taken back, only if `agreed` returns true or is None.

    Raises:
        NotReady: a repository belongs to another project, or `agreed` returned false; nothing was changed.
        AwsError: AWS refused a change half-way; running the same command again continues from there.

    """
    with before_any_change():
        client = registry(project, "ecr")
        found = each(partial(_look, client, project), project.images)
        raise_all(NotReady, [one.foreign for one in found if one.foreign])
    doubts = [one.doubt for one in found if one.doubt]
    asked = [*doubts, *(_revoking(one) for one in found if _revoked(one, revoke=revoke))]
    if asked and agreed and not dry_run and not agreed(asked):
        raise NotReady(*asked)
    if dry_run:
        yield from (f"{doubt.where}: {doubt.what}" for doubt in doubts)
    for one in found:
        yield from _changes(client, project, one, dry_run=dry_run)
        yield from _pulling(client, project, one, dry_run=dry_run, revoke=revoke)


def _look(client: Any, project: Project, image: Image) -> Found:
    name = image.repository
    if not repositories.exists(client, name):
        former = ownership.former_repository(client, project, image)
        what = f"there is none yet, but there is {former}"
        doubt = Complaint(f"ECR {name}", what, ownership.keeping(image, former)) if former else None
        return _with_pullers(project, Found(name, doubt=doubt))
    found = _with_pullers(project, Found(name, exists=True, policy=repositories.policy(client, name)))
    try:
        owner = repositories.owner(client, project.registry.access.account, name)
    except AwsError as error:
        if not is_denied(error):
            raise
        return replace(found, is_marked=True, unread=reason(error))
    if owner is None:
        to_do = f"mark it as project {project.name}'s with --yes, or name another in envs/project.toml: `repository`"
        doubt = Complaint(f"ECR {name}", "the repository is there already, and carries no project", to_do)
        return replace(found, doubt=doubt)
    foreign = None if owner == project.name else ownership.foreign(client, project, name, owner)
    return replace(found, is_marked=True, foreign=foreign)


def _with_pullers(project: Project, found: Found) -> Found:
    own = project.registry.access.account
    needing = {target.access.account for target in project.targets} - {own}
    missing = [account for account in needing if not repositories.allows_pull(found.policy, account)]
    foreign, known = repositories.foreign_pullers(found.policy), {*needing, own}
    return replace(
        found,
        missing=tuple(sorted(missing)),
        surplus=tuple(sorted(repositories.pullers(found.policy) - needing - {own})),
        foreign_pullers={name: sid for name, sid in foreign.items() if not any(each in name for each in known)},
    )


def _revoked(found: Found, *, revoke: bool) -> tuple[str, ...]:
    """Return the accounts that lose the right to pull: none of a repository that may be another project's."""
    return found.surplus if revoke and not found.unread else ()


def _revoking(found: Found) -> Complaint:
    what = f"takes back the pull right of {', '.join(found.surplus)}, which no tenant needs"
    return Complaint(f"ECR {found.name}", what, "inv envs.bootstrap --revoke --yes takes it back without asking")


def _changes(client: Any, project: Project, found: Found, *, dry_run: bool) -> Iterator[str]:
    """Create what is missing; yield a description of each change once it is made."""
    tiers = [tier.name for tier in project.tiers]
    account = project.registry.access.account
    if found.unread:
        yield f"repository {found.name}: not checked whose it is ({found.unread})"
    if not found.exists:
        if not dry_run:
            repositories.create(client, account, found.name, tiers, project.name)
        yield f"repository {found.name}: made for project {project.name}, tags immutable but {', '.join(tiers)}"
    elif not found.is_marked:
        if not dry_run:
            repositories.mark(client, account, found.name, project.name)
        yield f"repository {found.name}: marked as project {project.name}'s"


def _pulling(client: Any, project: Project, found: Found, *, dry_run: bool, revoke: bool) -> Iterator[str]:
    """Let accounts pull, or no longer; yield a description of the change once it is made, and what is left as it is."""
    revoked, name = _revoked(found, revoke=revoke), f"repository {found.name}"
    still: tuple[str, ...] = ()
    if found.missing or revoked:
        present = found.policy if dry_run else repositories.policy(client, found.name)  # others may have changed it
        policy = repositories.pull_policy(found.missing, present, revoked, project.registry.access.account)
        still = tuple(each for each in revoked if repositories.allows_pull(json.loads(policy), each))
        if not dry_run:
            repositories.let_pull(client, found.name, policy)
    if found.missing:
        yield f"{name}: {', '.join(found.missing)} may pull"
    if lost := [each for each in revoked if each not in still]:
        yield f"{name}: {', '.join(lost)} may pull no longer"
    if still:
        yield f"{name}: {', '.join(still)} may pull still, by a statement that is not deploytasks'"
    if found.surplus and not revoked:
        kept = "not taken back, since it may be another project's"
        why = kept if revoke else "inv envs.bootstrap --revoke takes it back"
        yield f"{name}: {', '.join(found.surplus)} may pull, and no tenant needs it; {why}"
    for puller, sid in found.foreign_pullers.items():
        yield f"{name}: {puller} may pull by the statement {sid}, which is not deploytasks'; left as it is"
