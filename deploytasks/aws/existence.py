"""Whether what a task definition names is there: secrets, parameters and roles. No secret's value is looked at."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.failures import translated

_ECS = "ecs-tasks.amazonaws.com"
MISSING, DELETED, UNTRUSTING = "does not exist", "is marked for deletion", f"does not trust {_ECS}"
PARAMETERS_A_CALL = 10


def secret_fault(client: Any, name: str) -> str:
    """Return what is wrong with the secret of this name or ARN, with or without its last six characters; "" if nothing.

    Source: secretsmanager DescribeSecret, whose DeletedDate is that of a secret scheduled for deletion.

    """
    with translated(f"secret {name}"):
        try:
            found = client.describe_secret(SecretId=name)
        except client.exceptions.ResourceNotFoundException:
            return MISSING
    return DELETED if found.get("DeletedDate") else ""


def missing_parameters(client: Any, names: Iterable[str]) -> set[str]:
    """Return those of at most `PARAMETERS_A_CALL` parameters that do not exist.

    The ARN of `x` and that of `/x` are the same: `parameter/x` stands for either.

    Source: ssm GetParameters, InvalidParameters; without decryption.

    """
    spelled = {name: name.removeprefix("parameter/") for name in names}
    with translated("parameters"):
        invalid = _invalid(client, spelled.values())
        gone = {name for name in spelled if spelled[name] in invalid}
        again = {name: name.removeprefix("parameter") for name in gone if name.startswith("parameter/")}
        still = _invalid(client, again.values()) if again else set()
    return {name for name in gone if name not in again or again[name] in still}


def _invalid(client: Any, names: Iterable[str]) -> set[str]:
    return set(client.get_parameters(Names=sorted(set(names)), WithDecryption=False)["InvalidParameters"])


def role_fault(client: Any, role: str) -> str:
    """Return what is wrong with the role of this ARN or name, or that ECS can't assume it; "" if nothing is.

    Consoles make roles below `/service-role/`, and an ARN that leaves this out names none, as one with another path.

    Source: iam GetRole, which takes the name without its path; no two roles of an account share a name.

    """
    with translated(f"role {role}"):
        try:
            found = client.get_role(RoleName=role.rpartition("/")[2])["Role"]
        except client.exceptions.NoSuchEntityException:
            return MISSING
    actual = str(found.get("Arn", ""))
    if role.startswith("arn:") and actual.count("/") > 1 and _path(role) != _path(actual):
        return f"{MISSING}: the one of that name is {actual}"
    return "" if trusts_ecs(found.get("AssumeRolePolicyDocument")) else UNTRUSTING


def _path(arn: str) -> str:
    """Return the role's path and name, of which IAM tells no upper from lower case."""
    return arn.partition(":role")[2].casefold()


def trusts_ecs(document: Any) -> bool:
    """Return whether some Allow names ECS's tasks; conditions, denials and a document that is none are believed."""
    if not isinstance(document, Mapping):
        return True
    allows = [each for each in _listed(document.get("Statement")) if each.get("Effect") == "Allow"]
    return any(_names_ecs(each.get("Principal", "*")) and _assumes(each.get("Action", "*")) for each in allows)


def _names_ecs(principal: Any) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    services = [str(each) for each in _listed(principal.get("Service"))]
    return "*" in [*services, *_listed(principal.get("AWS"))] or any(each.startswith(_ECS) for each in services)


def _assumes(action: Any) -> bool:
    return any(fnmatchcase("sts:assumerole", str(each).lower()) for each in _listed(action))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
