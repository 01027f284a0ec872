"""Create the project's ECR repositories, and let all tenants' accounts pull from them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

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
    doubt: Complaint | None = None
    foreign: Complaint | None = None


def bootstrap(project: Project, agreed: Agreed | None = None, *, dry_run: bool) -> Iterator[str]:
    """Create each image's ECR repository: release tags immutable, tier tags mutable, pull access for all accounts.

    Yield a description of each change once it is made; in a dry run, of each change that would be made. An existing
    repository keeps its settings. One without a project tag is adopted only if `agreed` returns true or is None.

    Raises:
        NotReady: a repository belongs to another project, or `agreed` returned false; nothing was changed.
        AwsError: AWS refused a change half-way; running the same command again continues from there.

    """
    with before_any_change():
        client = registry(project, "ecr")
        found = each(partial(_look, client, project), project.images)
        raise_all(NotReady, [one.foreign for one in found if one.foreign])
    doubts = [one.doubt for one in found if one.doubt]
    if doubts and agreed and not dry_run and not agreed(doubts):
        raise NotReady(*doubts)
    if dry_run:
        yield from (f"{doubt.where}: {doubt.what}" for doubt in doubts)
    for one in found:
        yield from _changes(client, project, one, dry_run=dry_run)


def _look(client: Any, project: Project, image: Image) -> Found:
    name = image.repository
    if not repositories.exists(client, name):
        former = ownership.former_repository(client, project, image)
        what = f"there is none yet, but there is {former}"
        doubt = Complaint(f"ECR {name}", what, ownership.keeping(image, former)) if former else None
        return Found(name, doubt=doubt)
    policy = repositories.policy(client, name)
    try:
        owner = repositories.owner(client, project.registry.access.account, name)
    except AwsError as error:
        if not is_denied(error):
            raise
        return Found(name, exists=True, policy=policy, is_marked=True, unread=reason(error))
    if owner is None:
        to_do = f"mark it as project {project.name}'s with --yes, or name another in envs/project.toml: `repository`"
        doubt = Complaint(f"ECR {name}", "the repository is there already, and carries no project", to_do)
        return Found(name, exists=True, policy=policy, doubt=doubt)
    foreign = None if owner == project.name else ownership.foreign(client, project, name, owner)
    return Found(name, exists=True, policy=policy, is_marked=True, foreign=foreign)


def _changes(client: Any, project: Project, found: Found, *, dry_run: bool) -> Iterator[str]:
    """Create what is missing; yield a description of each change once it is made."""
    tiers = [tier.name for tier in project.tiers]
    account = project.registry.access.account
    accounts = {target.access.account for target in project.targets} - {account}
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
    if not all(repositories.allows_pull(found.policy, account) for account in accounts):
        if not dry_run:
            repositories.let_pull(client, found.name, accounts, found.policy)
        yield f"repository {found.name}: {', '.join(sorted(accounts))} may pull"
