"""ECR's repositories: their settings, policies and tags."""

from collections.abc import Mapping
from typing import Any

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation
from tests.cloud.ecr import Repository, as_json, repository_of


def describe_repositories(account: Account, ask: Ask) -> Answer:
    """Source: DescribeRepositories."""
    owner = account.cloud.account(ask.get("registryId", account.id))
    names = ask.get("repositoryNames", list(owner.repositories))
    found = [repository_of(account, {**ask, "repositoryName": name}) for name in names]
    return {"repositories": [_described(repository) for repository in found]}


def _described(repository: Repository) -> dict[str, Any]:
    host = f"{repository.account.id}.dkr.ecr.us-east-1.amazonaws.com"
    filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in repository.excluded]
    return {
        "repositoryArn": repository.account.arn("ecr", f"repository/{repository.name}"),
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "repositoryUri": f"{host}/{repository.name}",
        "imageTagMutability": repository.mutability,
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }


def create_repository(account: Account, ask: Ask) -> Answer:
    """Source: CreateRepository."""
    name = ask["repositoryName"]
    if name in account.repositories:
        message = f"The repository with name '{name}' already exists in the registry with id '{account.id}'"
        raise AwsError("RepositoryAlreadyExistsException", message)
    excluded = tuple(each["filter"] for each in ask.get("imageTagMutabilityExclusionFilters", []))
    made = Repository(name, account, ask.get("imageTagMutability", "MUTABLE"), excluded, marks=_marks(ask))
    account.repositories[name] = made
    return {"repository": _described(made)}


def set_repository_policy(account: Account, ask: Ask) -> Answer:
    """Source: SetRepositoryPolicy."""
    repository = repository_of(account, ask)
    as_json(ask["policyText"], "PolicyText")
    repository.policy = ask["policyText"]
    return get_repository_policy(account, ask)


def get_repository_policy(account: Account, ask: Ask) -> Answer:
    """Source: GetRepositoryPolicy."""
    repository = repository_of(account, ask)
    if repository.policy is None:
        raise AwsError("RepositoryPolicyNotFoundException", f"'{repository.name}' has no policy.")
    return {
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "policyText": repository.policy,
    }


def list_tags_for_resource(account: Account, ask: Ask) -> Answer:
    """Source: ListTagsForResource, whose tags have members in capitals, unlike those of ECS."""
    marks = _named_by_arn(account, ask).marks
    return {"tags": [{"Key": key, "Value": value} for key, value in marks.items()]}


def tag_resource(account: Account, ask: Ask) -> Answer:
    """Source: TagResource."""
    _named_by_arn(account, ask).marks.update(_marks(ask))
    return {}


def _marks(ask: Ask) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in ask.get("tags", [])}


def _named_by_arn(account: Account, ask: Ask) -> Repository:
    name = ask["resourceArn"].partition(":repository/")[2]
    if ask["resourceArn"] != account.arn("ecr", f"repository/{name}"):
        raise AwsError("InvalidParameterException", f"Invalid ARN: {ask['resourceArn']}")
    return repository_of(account, {"repositoryName": name})


OPERATIONS: Mapping[str, Operation] = {
    "CreateRepository": create_repository,
    "DescribeRepositories": describe_repositories,
    "ListTagsForResource": list_tags_for_resource,
    "SetRepositoryPolicy": set_repository_policy,
    "TagResource": tag_resource,
    "GetRepositoryPolicy": get_repository_policy,
}
