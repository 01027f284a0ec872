"""What the registry's account keeps for us and nobody else may read: a parameter, or a secret, by its name or ARN."""

from typing import Any

from deploytasks.aws.failures import translated


def parameter(client: Any, name: str) -> str:
    """The value of an SSM parameter, decrypted where it is a SecureString.

    Raises:
        AwsError: among others, there is none of that name.

    Source: ssm GetParameter.

    """
    with translated(f"parameter {name}"):
        value: str = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return value


def secret(client: Any, name: str) -> str:
    """The text of a secret; empty where it holds bytes and no text.

    Raises:
        AwsError: among others, there is none of that name.

    Source: secretsmanager GetSecretValue.

    """
    with translated(f"secret {name}"):
        text: str = client.get_secret_value(SecretId=name).get("SecretString", "")
    return text
