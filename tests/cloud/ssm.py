"""SSM's parameters."""

from collections.abc import Mapping

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation, page


def put_parameter(account: Account, ask: Ask) -> Answer:
    """Source: PutParameter."""
    held = account.parameters.get(ask["Name"])
    if held and not ask.get("Overwrite"):
        message = "The parameter already exists. To overwrite this value, set the overwrite option to true."
        raise AwsError("ParameterAlreadyExists", message)
    version = held["Version"] + 1 if held else 1
    account.parameters[ask["Name"]] = {
        "Name": ask["Name"],
        "Type": ask.get("Type", "String"),
        "Value": ask["Value"],
        "Version": version,
        "LastModifiedDate": account.cloud.clock(),
        "ARN": account.arn("ssm", f"parameter{ask['Name']}"),
        "DataType": "text",
    }
    return {"Version": version, "Tier": "Standard"}


def get_parameter(account: Account, ask: Ask) -> Answer:
    """Source: GetParameter. A SecureString is told in the clear only to those who ask for that."""
    held = _parameter(account, ask)
    hidden = held["Type"] == "SecureString" and not ask.get("WithDecryption")
    return {"Parameter": {**held, "Value": "AQICAHh…"} if hidden else held}


def get_parameters(account: Account, ask: Ask) -> Answer:
    """Source: GetParameters, ten names a call; what is not there comes in InvalidParameters of a successful call.

    An ARN for a name is refused (aws/amazon-ecs-cli#1020), and so is a name of several parts that begins with no `/`.
    """
    names = ask["Names"]
    if not 1 <= len(names) <= 10 or len(set(names)) < len(names):
        raise AwsError("ValidationException", "Member must have length less than or equal to 10.")
    if any(name.startswith("arn:") or ("/" in name and name[0] != "/") for name in names):
        raise AwsError("ValidationException", 'Parameter name: can\'t be prefixed with "ssm" (case-insensitive).')
    found = [name for name in names if name not in account.missing]
    value = {"Type": "String", "Value": "value", "Version": 1}
    return {
        "Parameters": [{"Name": name, **value} for name in found],
        "InvalidParameters": sorted(set(names) - set(found)),
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
    below = [held for name, held in sorted(account.parameters.items()) if name.startswith(f"{ask['Path']}/")]
    found, more = page(below, {"nextToken": ask.get("NextToken", 0)}, size)
    return {"Parameters": found, **({"NextToken": more["nextToken"]} if more else {})}


def _parameter(account: Account, ask: Ask) -> dict[str, object]:
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
