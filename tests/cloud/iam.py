"""IAM: roles, and whom they trust."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation, last_part
from tests.cloud.wire import query_answer

_XMLNS = "https://iam.amazonaws.com/doc/2010-05-08/"
USERS = ["ecs-tasks.amazonaws.com", "scheduler.amazonaws.com", "events.amazonaws.com"]
"""The services that a role trusts unless told."""
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": USERS}, "Action": "sts:AssumeRole"}],
}


def get_role(account: Account, ask: Ask) -> Answer:
    """Source: GetRole, whose policy document is URL-encoded JSON (RFC 3986); `USERS` are trusted unless told."""
    name = ask["RoleName"]
    if name in account.missing:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    document = quote(json.dumps(account.trust.get(name, _TRUST)))
    arn = f"arn:aws:iam::{account.id}:role{account.paths.get(name, '/')}{name}"
    members = {"Path": account.paths.get(name, "/"), "RoleName": name, "RoleId": "AROA", "Arn": arn}
    told = "".join(f"<{key}>{value}</{key}>" for key, value in members.items())
    created = "<CreateDate>2026-01-01T00:00:00Z</CreateDate>"
    policy = f"<AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>"
    return query_answer("GetRole", f"<Role>{told}{created}{policy}</Role>", _XMLNS)


def trusts(account: Account, role: str, service: str) -> bool:
    """Whether there is such a role, by its ARN, and its trust policy names the service."""
    name = last_part(role)
    return name not in account.missing and service in json.dumps(account.trust.get(name, _TRUST))


OPERATIONS: Mapping[str, Operation] = {"GetRole": get_role}
