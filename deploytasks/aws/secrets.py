"""Parameters and secrets, by name or ARN: the values of our own, and whether those that a definition names exist."""

from collections.abc import Iterable
from typing import Any

from deploytasks.aws.errors import translated

ECS_TASKS = "ecs-tasks.amazonaws.com"
"""The service principal that runs tasks."""
MISSING, DELETED, UNTRUSTING = "does not exist", "is marked for deletion", f"does not trust {ECS_TASKS}"
PARAMETERS_A_CALL = 10


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
