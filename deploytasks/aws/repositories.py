"""ECR repositories: their creation, owner, tag mutability, and who may pull from them.

Every function takes an ECR client of the registry's account.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError

PROJECT_TAG = "deploytasks:project"
"""The tag of a repository that names its project."""
_SID = "deploytasks"
_LONGEST_POLICY = 10_240
_PULL_ACTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")


def lets_move(client: Any, repository: str, tag: str) -> bool:
    """Return whether the tag may be moved to another image; True for a repository that does not exist yet.

    True also if exclusion filters are mentioned but not shown, as by emulators.

    Source: ecr DescribeRepositories.

    """
    with translated(f"ECR {repository}"):
        found = _described(client, repository)
    if found is None:
        return True
    mutability = str(found.get("imageTagMutability", "MUTABLE"))
    filters = found.get("imageTagMutabilityExclusionFilters", [])
    if mutability.endswith("WITH_EXCLUSION") and not filters:
        return True
    return mutability.startswith("IMMUTABLE") == any(fnmatchcase(tag, each["filter"]) for each in filters)


def policy(client: Any, repository: str) -> Mapping[str, Any] | None:
    """Return the repository's policy document, None if it has none.

    Source: ecr GetRepositoryPolicy.

    """
    with translated(f"ECR {repository}"):
        try:
            document: dict[str, Any] = json.loads(client.get_repository_policy(repositoryName=repository)["policyText"])
        except client.exceptions.RepositoryPolicyNotFoundException:
            return None
    return document


def allows_pull(document: Mapping[str, Any] | None, account: str) -> bool:
    """Return whether the policy lets the account pull. Assume that a Condition holds: only AWS can evaluate it."""
    allowed = [
        action
        for statement in _statements(document)
        if statement.get("Effect") == "Allow"
        and any(name in ("*", account) or f"::{account}:" in name for name in _principals(statement))
        for action in _listed(statement.get("Action", []))
    ]
    return all(_is_among(action, allowed) for action in _PULL_ACTIONS)


def pullers(document: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the accounts that this package's own statement lets pull; of what others added to it, whole accounts."""
    named = (_account(name) for name in _principals(_ours(document)))
    return frozenset(account for account in named if account)


def foreign_pullers(document: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the accounts, roles and users that other statements let pull, each with the statement's Sid."""
    others = [each for each in _statements(document) if each.get("Sid") != _SID and each.get("Effect") == "Allow"]
    return {
        _account(name) or name: str(statement.get("Sid", "without a Sid"))
        for statement in others
        if any(_is_among(action, _listed(statement.get("Action", []))) for action in _PULL_ACTIONS)
        for name in _principals(statement)
        if name != "*"
    }


def pull_policy(
    accounts: Iterable[str], present: Mapping[str, Any] | None = None, revoked: Collection[str] = (), own: str = ""
) -> str:
    """Return a repository policy, as JSON, that lets the accounts pull, and keeps all else of the present one.

    What others added to this package's own statement stays: conditions, actions, principals that are no accounts. The
    `revoked` accounts lose it. The registry's `own` account is named if nobody is left: ECR takes no empty policy,
    and naming it allows nothing that its IAM policies do not. A bare number is a principal in every partition of AWS.
    """
    was = _ours(present)
    kept = {_account(name) or name for name in _principals(was)} - {*revoked}
    principals = sorted(kept | {*accounts}) or [own]
    whoever = was["Principal"] if isinstance(was.get("Principal"), Mapping) else {}
    actions = dict.fromkeys([*_PULL_ACTIONS, *_listed(was.get("Action", []))])
    changed = {"Principal": {**whoever, "AWS": principals}, "Action": [*actions]}
    others = [each for each in _statements(present) if each != was]
    document = {"Version": "2012-10-17", **(present or {})}
    return json.dumps({**document, "Statement": [*others, {"Sid": _SID, "Effect": "Allow", **was, **changed}]})


def exists(client: Any, repository: str) -> bool:
    """Return whether the repository exists.

    Source: ecr DescribeRepositories.

    """
    with translated(f"ECR {repository}"):
        return _described(client, repository) is not None


def owner(client: Any, account: str, repository: str) -> str | None:
    """Return the project that the repository's tag names, None if it has no such tag.

    Raises:
        AwsError: among others, there is no such repository.

    Source: ecr ListTagsForResource.

    """
    with translated(f"ECR {repository}"):
        tags = client.list_tags_for_resource(resourceArn=arn(client, account, repository)).get("tags", [])
    return next((tag["Value"] for tag in tags if tag.get("Key") == PROJECT_TAG and tag.get("Value")), None)


def mark(client: Any, account: str, repository: str, project: str) -> None:
    """Tag the repository with the project.

    Source: ecr TagResource.

    """
    with translated(f"ECR {repository}"):
        client.tag_resource(resourceArn=arn(client, account, repository), tags=_tags(project))


def create(client: Any, account: str, repository: str, tiers: Iterable[str], project: str) -> None:
    """Create the project's repository, with immutable release tags and mutable tier tags.

    Accept a repository that is already the project's: another run made it, or a call whose answer was lost.

    Source: ecr CreateRepository with IMMUTABLE_WITH_EXCLUSION.

    """
    with translated(f"ECR {repository}"):
        try:
            client.create_repository(
                repositoryName=repository,
                tags=_tags(project),
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": tier} for tier in tiers],
                imageScanningConfiguration={"scanOnPush": True},
            )
        except client.exceptions.RepositoryAlreadyExistsException:
            if owner(client, account, repository) != project:
                raise


def let_pull(client: Any, repository: str, policy: str) -> None:
    """Put the policy that lets accounts pull.

    Source: ecr SetRepositoryPolicy.

    """
    if len(policy) > _LONGEST_POLICY:
        what = f"a policy that lets so many accounts pull has {len(policy)} characters, ECR allows {_LONGEST_POLICY}"
        to_do = "write one yourself that allows them by a Condition on aws:PrincipalOrgID"
        raise AwsError.of(f"ECR {repository}", what, to_do)
    with translated(f"ECR {repository}"):
        client.set_repository_policy(repositoryName=repository, policyText=policy)


def arn(client: Any, account: str, repository: str) -> str:
    """Return the repository's ARN in the client's partition and region."""
    return f"arn:{client.meta.partition}:ecr:{client.meta.region_name}:{account}:repository/{repository}"


def _tags(project: str) -> list[dict[str, str]]:
    return [{"Key": PROJECT_TAG, "Value": project}]


def _described(client: Any, repository: str) -> Mapping[str, Any] | None:
    """Return the repository as DescribeRepositories describes it, None if there is none."""
    try:
        found: dict[str, Any] = client.describe_repositories(repositoryNames=[repository])["repositories"][0]
    except client.exceptions.RepositoryNotFoundException:
        return None
    return found


def _statements(document: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return _listed((document or {}).get("Statement", []))


def _ours(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the statement that this package wrote; an empty one if there is none, or it was made to deny."""
    found = (each for each in _statements(document) if each.get("Sid") == _SID)
    return next((each for each in found if each.get("Effect") == "Allow" and "Principal" in each), {})


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal", [])
    return [str(name) for name in _listed(principal.get("AWS", []) if isinstance(principal, Mapping) else principal)]


def _account(principal: str) -> str:
    """Return the account that the principal is, whichever way it is written; "" if it is a role or a user."""
    found = re.fullmatch(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?", principal)
    return found[1] if found else ""


def _is_among(action: str, allowed: Iterable[str]) -> bool:
    """Return whether the action is one of these, whatever its case; `*` and `?` stand for anything."""
    return any(fnmatchcase(action.lower(), each.lower()) for each in allowed)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
