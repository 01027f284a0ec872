"""The little that a release asks of STS, IAM, SSM, Secrets Manager and CloudWatch Logs."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from urllib.parse import quote

from benchmarks.cloud import REGION, Account, Answer, Ask, AwsError, Operation, key_for, page

MOST_EVENTS = 10_000
"""The most lines of a page of FilterLogEvents; AWS's pages hold fewer as well, and ours always do."""
_EVENTS_A_PAGE = 100
_STS_XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM_XMLNS = "https://iam.amazonaws.com/doc/2010-05-08/"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def _query(operation: str, result: str, namespace: str) -> str:
    """An answer of the query protocol."""
    return (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
    )


def assume_role(account: Account, ask: Ask) -> Answer:
    """Source: AssumeRole. The keys handed out, and the ARN of who one is now, carry the role's account.

    No session's token comes twice.
    """
    _, _, _, _, owner, role = ask["RoleArn"].split(":", 5)
    name, session = role.rsplit("/", 1)[-1], ask["RoleSessionName"]
    expires = (datetime.now(UTC) + timedelta(seconds=account.cloud.session_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _query(
        "AssumeRole",
        f"<AssumedRoleUser><AssumedRoleId>AROA{owner}ROLE:{session}</AssumedRoleId>"
        f"<Arn>arn:aws:sts::{owner}:assumed-role/{name}/{session}</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{key_for(owner)}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
        f"<SessionToken>token-{account.cloud.next_id()}</SessionToken><Expiration>{expires}</Expiration></Credentials>",
        _STS_XMLNS,
    )


def get_caller_identity(account: Account, ask: Ask) -> Answer:
    """Source: GetCallerIdentity."""
    arn = f"arn:aws:sts::{account.id}:assumed-role/deploy/session"
    told = f"<Arn>{arn}</Arn><UserId>AROA</UserId><Account>{account.id}</Account>"
    return _query("GetCallerIdentity", told, _STS_XMLNS)


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


def get_role(account: Account, ask: Ask) -> Answer:
    """Source: GetRole, whose policy document is URL-encoded JSON (RFC 3986); ECS's tasks are trusted unless told."""
    name = ask["RoleName"]
    if name in account.missing:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    document = quote(json.dumps(account.trust.get(name, _TRUST)))
    arn = f"arn:aws:iam::{account.id}:role{account.paths.get(name, '/')}{name}"
    members = {"Path": account.paths.get(name, "/"), "RoleName": name, "RoleId": "AROA", "Arn": arn}
    told = "".join(f"<{key}>{value}</{key}>" for key, value in members.items())
    created = "<CreateDate>2026-01-01T00:00:00Z</CreateDate>"
    policy = f"<AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>"
    return _query("GetRole", f"<Role>{told}{created}{policy}</Role>", _IAM_XMLNS)


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


def write_log(account: Account, group: str, stream: str, message: str, *, ago_s: float = 0) -> None:
    """One more line in a log stream, which is made if it is not there; written some time ago, it arrives now."""
    at = int((account.cloud.clock() - ago_s) * 1000)
    account.log_streams.setdefault((group, stream), []).append((at, message))


def regional(group: str, region: str = REGION) -> str:
    """The log group of that name in the region.

    Source: log groups are a region's own (botocore: CloudWatch Logs has an endpoint a region).

    """
    return group if region == REGION else f"{group}@{region}"


def get_log_events(account: Account, ask: Ask) -> Answer:
    """Source: GetLogEvents."""
    lines = account.log_streams.get((regional(ask["logGroupName"], account.asked_in), ask["logStreamName"]))
    if lines is None:
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    events = [
        {"timestamp": at, "ingestionTime": at, "message": line} for at, line in lines[-ask.get("limit", 10_000) :]
    ]
    return {"events": events, "nextForwardToken": f"f/{len(lines)}", "nextBackwardToken": "b/0"}


def filter_log_events(account: Account, ask: Ask) -> Answer:
    """Source: FilterLogEvents. A page may be empty and not the last, as AWS's may: the first one is."""
    group = regional(ask["logGroupName"], account.asked_in)
    prefix, limit = ask.get("logStreamNamePrefix", ""), int(ask.get("limit", MOST_EVENTS))
    if not 1 <= limit <= MOST_EVENTS or (prefix and "logStreamNames" in ask):
        raise AwsError("InvalidParameterException", "limit, logStreamNames or logStreamNamePrefix is not valid.")
    if group not in {name for name, _ in account.log_streams}:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    found = [
        {"eventId": f"{stream}:{n}", "logStreamName": stream, "timestamp": at, "ingestionTime": at, "message": line}
        for (name, stream), lines in account.log_streams.items()
        for n, (at, line) in enumerate(lines)
        if name == group and stream.startswith(prefix) and at >= ask.get("startTime", 0)
    ]
    found.sort(key=itemgetter("timestamp"))
    if "nextToken" not in ask:
        return {"events": [], "nextToken": "0", "searchedLogStreams": []}
    events, more = page(found, ask, min(limit, _EVENTS_A_PAGE))
    return {"events": events, **more, "searchedLogStreams": []}


STS: Mapping[str, Operation] = {"AssumeRole": assume_role, "GetCallerIdentity": get_caller_identity}
SSM: Mapping[str, Operation] = {
    "PutParameter": put_parameter,
    "GetParameter": get_parameter,
    "GetParameters": get_parameters,
    "DeleteParameter": delete_parameter,
    "GetParametersByPath": get_parameters_by_path,
}
SECRETS_MANAGER: Mapping[str, Operation] = {
    "GetSecretValue": get_secret_value,
    "DescribeSecret": describe_secret,
}
IAM: Mapping[str, Operation] = {"GetRole": get_role}
LOGS: Mapping[str, Operation] = {"GetLogEvents": get_log_events, "FilterLogEvents": filter_log_events}
