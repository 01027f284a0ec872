"""ECR's repositories: made, whose they are, kept from moving release tags, and pulled by whom.

Every function takes an ECR client of the registry's account.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError

PROJECT_TAG = "deploytasks:project"
"""The tag of a repository that names the project whose it is."""
_SID = "deploytasks"
_LONGEST_POLICY = 10_240
_PULL_ACTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")


def lets_move(client: Any, repository: str, tag: str) -> bool:
    """Whether the tag may be moved to another image; of a repository that is not there yet, any may.

    So may any where exceptions are spoken of and not shown, as emulators do.

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
    """The repository's policy document, None where it has none.

    Source: ecr GetRepositoryPolicy.

    """
    with translated(f"ECR {repository}"):
        try:
            document: dict[str, Any] = json.loads(client.get_repository_policy(repositoryName=repository)["policyText"])
        except client.exceptions.RepositoryPolicyNotFoundException:
            return None
    return document


def allows_pull(document: Mapping[str, Any] | None, account: str) -> bool:
    """Whether the policy lets the account pull. A statement with a Condition is believed: only AWS can weigh it."""
    statements = _listed((document or {}).get("Statement", []))
    allowed = {
        action.lower()
        for statement in statements
        if statement.get("Effect") == "Allow" and _names(statement.get("Principal"), account)
        for action in _listed(statement.get("Action", []))
    }
    return bool(allowed & {"*", "ecr:*"}) or all(
        action.lower() in allowed or any(a.endswith("*") and action.lower().startswith(a[:-1]) for a in allowed)
        for action in _PULL_ACTIONS
    )


def pull_policy(accounts: Iterable[str], present: Mapping[str, Any] | None = None) -> str:
    """A repository policy, as JSON, that lets the accounts pull; other statements of the present one are kept.

    An account's bare number is a principal in every partition of AWS.
    """
    ours = {"Sid": _SID, "Effect": "Allow", "Principal": {"AWS": sorted(accounts)}, "Action": [*_PULL_ACTIONS]}
    others = [each for each in _listed((present or {}).get("Statement", [])) if each.get("Sid") != _SID]
    return json.dumps({"Version": "2012-10-17", "Statement": [*others, ours]})


def exists(client: Any, repository: str) -> bool:
    """Return whether there is such a repository.

    Source: ecr DescribeRepositories.

    """
    with translated(f"ECR {repository}"):
        return _described(client, repository) is not None


def owner(client: Any, account: str, repository: str) -> str | None:
    """Return the project that the repository's tag names, None where it has no such tag.

    Raises:
        AwsError: among others, there is no such repository.

    Source: ecr ListTagsForResource.

    """
    with translated(f"ECR {repository}"):
        tags = client.list_tags_for_resource(resourceArn=arn(client, account, repository)).get("tags", [])
    return next((tag["Value"] for tag in tags if tag.get("Key") == PROJECT_TAG and tag.get("Value")), None)


def mark(client: Any, account: str, repository: str, project: str) -> None:
    """Let the repository's tag name the project.

    Source: ecr TagResource.

    """
    with translated(f"ECR {repository}"):
        client.tag_resource(resourceArn=arn(client, account, repository), tags=_tags(project))


def create(client: Any, account: str, repository: str, tiers: Iterable[str], project: str) -> None:
    """Create the repository of the project: release tags immutable, tier tags not.

    One that is the project's own already was made by a call whose answer was lost, or by another run.

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


def let_pull(client: Any, repository: str, accounts: Iterable[str], present: Mapping[str, Any] | None) -> None:
    """Let the accounts pull; other statements of the present policy are kept.

    Source: ecr SetRepositoryPolicy.

    """
    text = pull_policy(accounts, present)
    if len(text) > _LONGEST_POLICY:
        what = f"a policy that lets so many accounts pull has {len(text)} characters, and ECR takes {_LONGEST_POLICY}"
        to_do = "write one yourself that allows them by a Condition on aws:PrincipalOrgID"
        raise AwsError.of(f"ECR {repository}", what, to_do)
    with translated(f"ECR {repository}"):
        client.set_repository_policy(repositoryName=repository, policyText=text)


def arn(client: Any, account: str, repository: str) -> str:
    """Return the repository's ARN in the client's partition and region."""
    return f"arn:{client.meta.partition}:ecr:{client.meta.region_name}:{account}:repository/{repository}"


def _tags(project: str) -> list[dict[str, str]]:
    return [{"Key": PROJECT_TAG, "Value": project}]


def _described(client: Any, repository: str) -> Mapping[str, Any] | None:
    """The repository as DescribeRepositories tells it, None where there is none."""
    try:
        found: dict[str, Any] = client.describe_repositories(repositoryNames=[repository])["repositories"][0]
    except client.exceptions.RepositoryNotFoundException:
        return None
    return found


def _names(principal: Any, account: str) -> bool:
    named = _listed(principal.get("AWS", [])) if isinstance(principal, Mapping) else _listed(principal)
    return any(name in ("*", account) or f"::{account}:" in str(name) for name in named)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
