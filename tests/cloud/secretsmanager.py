"""Secrets Manager: secrets by name or ARN."""

import re
from collections.abc import Mapping

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation


def get_secret_value(account: Account, ask: Ask) -> Answer:
    """Source: GetSecretValue."""
    name = ask["SecretId"].rpartition(":")[2]
    if name not in account.secrets:
        raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    return {"Name": name, "SecretString": account.secrets[name], "VersionStages": ["AWSCURRENT"]}


def describe_secret(account: Account, ask: Ask) -> Answer:
    """Source: DescribeSecret. It takes an ARN with or without the hyphen and six characters at its end.

    A deletion that is scheduled is told by DeletedDate.
    """
    name = re.sub(r"-[0-9A-Za-z]{6}$", "", ask["SecretId"].rpartition(":secret:")[2])
    if ask["SecretId"].count(":") > 6:  # Source: botocore's documentation of SecretId knows no keys behind the ARN
        raise AwsError("ValidationException", "Invalid ARN.")
    if name in account.missing:
        raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    arn = account.arn("secretsmanager", f"secret:{name}-AbCdEf")
    deleted = {"DeletedDate": account.cloud.clock()} if name in account.deleted else {}
    return {"ARN": arn, "Name": name, "VersionIdsToStages": {"1": ["AWSCURRENT"]}, **deleted}


OPERATIONS: Mapping[str, Operation] = {
    "GetSecretValue": get_secret_value,
    "DescribeSecret": describe_secret,
}
