"""STS: keys of a role, which carry their account."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation, key_for
from tests.cloud.wire import query_answer

_XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"


def assume_role(account: Account, ask: Ask) -> Answer:
    """Source: AssumeRole. The keys handed out, and the ARN of who one is now, carry the role's account.

    No session's token comes twice.
    """
    return _assumed(account, ask, "AssumeRole")


def assume_role_with_web_identity(account: Account, ask: Ask) -> Answer:
    """Source: AssumeRoleWithWebIdentity: nothing signs the request, its token says who asks."""
    return _assumed(account, ask, "AssumeRoleWithWebIdentity")


def _assumed(account: Account, ask: Ask, operation: str) -> Answer:
    _, _, _, _, owner, role = ask["RoleArn"].split(":", 5)
    name, session = role.rsplit("/", 1)[-1], ask["RoleSessionName"]
    lasts_s = float(ask.get("DurationSeconds", account.cloud.session_s))
    if "DurationSeconds" in ask and not 900 <= lasts_s <= 43200:  # Source: both operations, DurationSeconds
        raise AwsError("ValidationError", "durationSeconds must be between 900 and 43200.")
    expires = (datetime.now(UTC) + timedelta(seconds=lasts_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return query_answer(
        operation,
        f"<AssumedRoleUser><AssumedRoleId>AROA{owner}ROLE:{session}</AssumedRoleId>"
        f"<Arn>arn:aws:sts::{owner}:assumed-role/{name}/{session}</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{key_for(owner)}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
        f"<SessionToken>token-{account.cloud.next_id()}</SessionToken><Expiration>{expires}</Expiration></Credentials>",
        _XMLNS,
    )


def get_caller_identity(account: Account, ask: Ask) -> Answer:
    """Source: GetCallerIdentity."""
    arn = f"arn:aws:sts::{account.id}:assumed-role/deploy/session"
    told = f"<Arn>{arn}</Arn><UserId>AROA</UserId><Account>{account.id}</Account>"
    return query_answer("GetCallerIdentity", told, _XMLNS)


OPERATIONS: Mapping[str, Operation] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
}
