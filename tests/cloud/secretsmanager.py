"""Secrets Manager: secrets by name or ARN."""

import re
from collections.abc import Mapping

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation


def get_secret_value(account: Account, ask: Ask) -> Answer:
    """Source: GetSecretValue, which refuses a secret that is scheduled for deletion by InvalidRequestException."""
    name = _name(ask)
    if name in account.deleted:
        what = "You can't perform this operation on the secret because it was marked for deletion."
        raise AwsError("InvalidRequestException", what)
    if name not in account.secrets:
        raise _not_found()
    return {**_named(account, name), "SecretString": account.secrets[name], "VersionStages": ["AWSCURRENT"]}


def describe_secret(account: Account, ask: Ask) -> Answer:
    """Source: DescribeSecret. It takes an ARN with or without the hyphen and six characters at its end.

    A deletion that is scheduled is told by DeletedDate.
    """
    name = _name(ask)
    if ask["SecretId"].count(":") > 6:  # Source: botocore's documentation of SecretId knows no keys behind the ARN
        raise AwsError("ValidationException", "Invalid ARN.")
    if name in account.missing:
        raise _not_found()
    deleted = {"DeletedDate": account.cloud.clock()} if name in account.deleted else {}
    return {**_named(account, name), "VersionIdsToStages": {"1": ["AWSCURRENT"]}, **deleted}


def _name(ask: Ask) -> str:
    name, is_arn = ask["SecretId"], ":secret:" in ask["SecretId"]
    return re.sub(r"-[0-9A-Za-z]{6}$", "", name.rpartition(":secret:")[2]) if is_arn else str(name)


def _named(account: Account, name: str) -> dict[str, str]:
    return {"ARN": account.arn("secretsmanager", f"secret:{name}-AbCdEf"), "Name": name}


def _not_found() -> AwsError:
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


OPERATIONS: Mapping[str, Operation] = {
    "GetSecretValue": get_secret_value,
    "DescribeSecret": describe_secret,
}
