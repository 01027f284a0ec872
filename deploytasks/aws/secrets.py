"""Parameters and secrets of the registry's account, by name or ARN, and whether those of a definition exist."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.errors import translated


def parameter(client: Any, name: str) -> str:
    """Return the value of an SSM parameter, decrypted if it is a SecureString.

    Raises:
        AwsError: among others, there is none of that name.

    Source: ssm GetParameter.

    """
    with translated(f"parameter {name}"):
        value: str = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return value


def secret(client: Any, name: str) -> str:
    """Return the text of a secret; empty if it holds bytes and no text.

    Raises:
        AwsError: among others, there is none of that name.

    Source: secretsmanager GetSecretValue.

    """
    with translated(f"secret {name}"):
        text: str = client.get_secret_value(SecretId=name).get("SecretString", "")
    return text


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


def _path(arn: str) -> str:
    """Return the role's path and name, case-folded as IAM does not distinguish upper from lower case."""
    return arn.partition(":role")[2].casefold()


def _names_ecs(principal: Any) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    services = [str(each) for each in _listed(principal.get("Service"))]
    return "*" in [*services, *_listed(principal.get("AWS"))] or any(each.startswith(_ECS) for each in services)


def _assumes(action: Any) -> bool:
    return any(fnmatchcase("sts:assumerole", str(each).lower()) for each in _listed(action))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
