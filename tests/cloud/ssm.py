"""SSM's parameters."""

import re
from collections.abc import Mapping
from typing import Any

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation, page

_MOST_BYTES = 4096
_BAD_NAME = (
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, "
    "numbers and the following 3 symbols .-_"
)
"""Source: aws/aws-sdk-php#1952."""


def put_parameter(account: Account, ask: Ask) -> Answer:
    """Source: PutParameter."""
    held = account.parameters.get(ask["Name"])
    _check(ask, created=held is None)
    if held and not ask.get("Overwrite"):
        message = "The parameter already exists. To overwrite this value, set the overwrite option to true."
        raise AwsError("ParameterAlreadyExists", message)
    version = held["Version"] + 1 if held else 1
    account.parameters[ask["Name"]] = {
        "Name": ask["Name"],
        "Type": ask.get("Type") or (held or {})["Type"],
        "Value": ask["Value"],
        "Version": version,
        "LastModifiedDate": account.cloud.clock(),
        "ARN": account.arn("ssm", f"parameter/{ask['Name'].removeprefix('/')}"),
        "DataType": "text",
    }
    return {"Version": version, "Tier": "Standard"}


def _check(ask: Ask, *, created: bool) -> None:
    """Source: botocore's documentation of PutParameter's `Name`, `Value` and `Type`."""
    name, value = ask["Name"], ask["Value"]
    if name.lower().startswith(("/aws", "aws")):  # the words as moto quotes them
        raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.")
    if not _is_name(name):
        raise AwsError("ValidationException", _BAD_NAME)
    if not 1 <= len(value.encode()) <= _MOST_BYTES or "{{" in value:
        raise AwsError("ValidationException", "The parameter value is empty, too long, or holds {{}}.")
    if created and not ask.get("Type"):
        raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
    if ask.get("Overwrite") and ask.get("Tags"):  # the words as moto quotes them
        raise AwsError("ValidationException", "Invalid request: tags and overwrite can't be used together.")


def _is_name(name: str) -> bool:
    has_form = re.fullmatch(r"[\w.-]+|(/[\w.-]+)+", name, re.ASCII)
    return bool(has_form) and not name.lower().startswith(("ssm", "/ssm"))


def get_parameter(account: Account, ask: Ask) -> Answer:
    """Source: GetParameter."""
    return {"Parameter": _shown(_parameter(account, ask), ask)}


def _shown(held: Mapping[str, Any], ask: Ask) -> Mapping[str, Any]:
    """The parameter; a SecureString is told in the clear only to those who ask for that."""
    hidden = held["Type"] == "SecureString" and not ask.get("WithDecryption")
    return {**held, "Value": "AQICAHh…"} if hidden else held


def get_parameters(account: Account, ask: Ask) -> Answer:
    """Source: GetParameters, ten names or ARNs a call; what is not there comes in InvalidParameters.

    Parameters that nobody put are made up, but for those of `missing`.
    """
    asked = {name: re.sub(r"^arn:[^/]*:parameter(?=/)", "", name) for name in ask["Names"]}
    if not 1 <= len(ask["Names"]) <= 10:
        raise AwsError("ValidationException", "Member must have length less than or equal to 10.")
    if not all(map(_is_name, asked.values())):
        raise AwsError("ValidationException", _BAD_NAME)
    made_up = {"Type": "String", "Value": "value", "Version": 1}
    found = {
        name: account.parameters.get(name) or {"Name": name, **made_up}
        for name in sorted(asked.values())
        if name not in account.missing
    }
    return {
        "Parameters": [_shown(each, ask) for each in found.values()],
        "InvalidParameters": sorted(name for name in asked if asked[name] not in found),
    }


def delete_parameter(account: Account, ask: Ask) -> Answer:
    """Source: DeleteParameter."""
    _parameter(account, ask)
    del account.parameters[ask["Name"]]
    return {}


def get_parameters_by_path(account: Account, ask: Ask) -> Answer:
    """Source: GetParametersByPath, ten a page at most."""
    size = int(ask.get("MaxResults", 10))
    if not 1 <= size <= 10:
        raise AwsError("ValidationException", "MaxResults must be between 1 and 10.")
    if not ask["Path"].startswith("/"):  # Source: botocore's documentation of `Path`
        raise AwsError("ValidationException", "The path must begin with a slash.")
    folder = ask["Path"].rstrip("/") + "/"
    names = [name for name in sorted(account.parameters) if f"/{name.removeprefix('/')}".startswith(folder)]
    below = [_shown(account.parameters[name], ask) for name in names if ask.get("Recursive") or _is_in(folder, name)]
    found, more = page(below, {"nextToken": ask.get("NextToken", 0)}, size)
    return {"Parameters": found, **({"NextToken": more["nextToken"]} if more else {})}


def _is_in(folder: str, name: str) -> bool:
    return "/" not in f"/{name.removeprefix('/')}".removeprefix(folder)


def _parameter(account: Account, ask: Ask) -> dict[str, Any]:
    held = account.parameters.get(ask["Name"])
    if held is None:
        raise AwsError("ParameterNotFound", "")
    return held


OPERATIONS: Mapping[str, Operation] = {
    "PutParameter": put_parameter,
    "GetParameter": get_parameter,
    "GetParameters": get_parameters,
    "DeleteParameter": delete_parameter,
    "GetParametersByPath": get_parameters_by_path,
}
