"""Translation of AWS's errors into complaints that say what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from deploytasks.aws.responses import TO_DO, UNREADABLE, Unreadable, located
from deploytasks.aws.transport import Abandoned
from deploytasks.durations import spelled
from deploytasks.errors import AwsError, Complaint, Unlisted, contained

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_BY_THE_CLOCK = frozenset(
    {"SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"}
)
"""The codes with which AWS refuses, among others, a request that seems minutes old or from the future."""
_UNKNOWN_KEY = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException"}
)
_TOO_OLD_OR_NEW = ("signature expired", "not yet current", "too large", "request has expired")
_OFF_S = 60.0
"""How much a clock may differ from AWS's, which tolerates five minutes."""
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_TO_DO = {
    UNREADABLE: TO_DO,
    "RepositoryNotFoundException": "inv envs.bootstrap makes the repository, or fix `repository` in envs/project.toml",
    "ClusterNotFoundException": "make the cluster, or fix `cluster` in the environment's file",
    "ServiceNotFoundException": "make the service, or add templates/<service>.service.json.j2",
}


@contextmanager
def translated(where: str, profile: str = "") -> Iterator[None]:
    """Translate whatever is raised inside into an AwsError that says what to do.

    Raises:
        AwsError: `where: Operation: what AWS said`.
        Unlisted: the operation is not listed; code that goes on without AWS's answer must not hide that.

    """
    with contained(where, but=Unlisted):
        try:
            yield
        except ClientError as error:
            raise _said_no(where, profile, error) from error
        except (BotoCoreError, HTTPClientError) as error:
            raise AwsError(Complaint(where, " ".join(str(error).split()), _local_to_do(error, profile))) from error
        except Unreadable as error:
            raise located(where, error) from error
        except OSError as error:  # credentials that are fetched again come from files and programs
            raise no_credentials(where, profile, error) from error


def no_credentials(where: str, profile: str, error: Exception) -> AwsError:
    """Return the error for credentials that can't be obtained: a missing program or file, or invalid contents."""
    said = " ".join(str(error).split()) or "no reason given"
    what = f"its credentials can't be obtained: {type(error).__name__}: {said}"
    return AwsError(Complaint(where, what, _mend(profile)))


def may_pass(error: AwsError) -> bool:
    """Return whether the same call may succeed a little later: throttling, AWS's own failures, a lost connection."""
    match error.__cause__:
        case ClientError() as said:
            return error.error_code in THROTTLED or _status(said) >= 500
        case cause:
            return isinstance(cause, ConnectionError | HTTPClientError)


def is_lost(error: BotoCoreError | ClientError) -> bool:
    """Return whether AWS may have carried out the call nevertheless: its answer never came, or can't be read."""
    if isinstance(error, ClientError):
        return _status(error) >= 500
    return isinstance(error, HTTPClientError)


def was_repeated(error: AwsError) -> bool:
    """Return whether the call was sent more than once, or may have been carried out: an answer to it was lost."""
    match error.__cause__:
        case ClientError() as said:
            return bool(said.response.get("ResponseMetadata", {}).get("RetryAttempts")) or _status(said) >= 500
        case cause:
            return isinstance(cause, HTTPClientError)


def is_denied(error: AwsError) -> bool:
    """Return whether the role lacks the permission for the call."""
    return error.error_code in _DENIED


def reason(error: AwsError) -> str:
    """Return AWS's operation and error code; if AWS was not reached, the reason for that."""
    return f"{error.operation}: {error.error_code}" if error.operation else error.complaints[0].what


def dated(answer: Mapping[str, Any]) -> datetime | None:
    """Return when AWS answered, by its own clock; None if the answer has no valid date."""
    try:
        at = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.tzinfo else None  # -0000 gives no offset


def _said_no(where: str, profile: str, error: ClientError) -> AwsError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "") or "no reason given"
    said, operation = f"{code}: {message}", error.operation_name
    to_do = (_clock(error) if code in _BY_THE_CLOCK else "") or _to_do(code, operation, profile)
    if not to_do and _status(error) >= 500:
        to_do = "AWS returned server errors in every attempt; run the same command again"
    complaint = Complaint(where, f"{operation}: {said}", to_do, said)
    return AwsError(complaint, error_code=code, operation=operation)


def _clock(error: ClientError) -> str:
    """Return how far this machine's clock is off, judged by the answer's Date, and how to set it; "" if it is not off.

    Source: AWS's documentation of Signature Version 4: a request is good for five minutes.
    """
    answered_at = dated(error.response)
    set_it = "set it, e.g. timedatectl set-ntp true; then run the same command again"
    if answered_at is None:
        message = str(error.response.get("Error", {}).get("Message", "")).lower()
        told = any(each in message for each in _TOO_OLD_OR_NEW)
        return f"this machine's clock is off: {set_it}" if told else ""
    ahead_s = (datetime.now(UTC) - answered_at).total_seconds()
    if abs(ahead_s) < _OFF_S:
        return ""
    by = spelled(round(abs(ahead_s) / 60) * 60)
    return f"this machine's clock is {by} {'ahead' if ahead_s > 0 else 'behind'}: {set_it}"


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _to_do(code: str, operation: str, profile: str) -> str:
    if code in EXPIRED:
        return f"the credentials have expired: {_sign_in(profile)}"
    if code in _UNKNOWN_KEY:
        return f"the credentials are not known to AWS: {_sign_in(profile)}"
    if code in _DENIED:
        return f"allow {operation} to the role that was used (`role`, `profile` in envs/), or let it be assumed"
    if code in THROTTLED:
        return "AWS kept throttling through ten attempts; run the same command again"
    return _TO_DO.get(code, "")


def _local_to_do(error: Exception, profile: str) -> str:
    match error:
        case ProfileNotFound():
            return "aws configure --profile NAME makes it, or fix `profile` in the environment's file"
        case ConfigParseError():
            return "fix that file, or name another one by AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE"
        case CredentialRetrievalError():
            return _mend(profile)
        case SSOError() | TokenRetrievalError():
            return _sign_in(profile)
        case NoCredentialsError() | PartialCredentialsError():
            return "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `profile` in envs/"
        case Abandoned():
            return ""
        case ConnectionError() | HTTPClientError():
            return "check the network, `region` in envs/ and AWS_ENDPOINT_URL; then run the same command again"
        case _:
            return ""


def _sign_in(profile: str) -> str:
    return f"sign in again, e.g. aws sso login --profile {profile}" if profile else "sign in again, e.g. aws sso login"


def _mend(profile: str) -> str:
    named = f"profile {profile}" if profile else "the default profile"
    tries = f"aws sts get-caller-identity --profile {profile}" if profile else "aws sts get-caller-identity"
    return f"fix {named}, or what its credential_process or its files name; {tries} tries it"
