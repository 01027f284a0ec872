"""Timeouts and retries.

Botocore's standard mode, with jitter, makes ten attempts altogether. A throttled call needs them: 20 tenants that
register at once in one account are through after half a minute (RegisterTaskDefinition: 1/s). So does a connection that
is cut or refused, since ten of those are over in a quarter of a minute. Silence is another matter: ten times 30 seconds
would be five minutes without any news, so a call that times out is attempted three times only. A read is answered
within a second or two, and repeating it does no harm: it has 10 s, half a minute altogether. A write has 30 s, because
the outcome of a write without an answer is unknown. A connection that opens at all opens within 4 s: that leaves room
for two lost packets. STS, which is called first, gets seven attempts, so that a user who is offline learns of it within
seconds.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from http import HTTPStatus
from threading import Event
from typing import Any

from botocore import __version__
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError
from botocore.hooks import HierarchicalEmitter
from botocore.retries import standard

from deploytasks.aws import operations
from deploytasks.aws.assumed_roles import RoleKeys
from deploytasks.aws.errors import EXPIRED, THROTTLED
from deploytasks.aws.responses import settle
from deploytasks.concurrency import MAX_THREADS
from deploytasks.model import OnEvent, Told

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 10},
    max_pool_connections=MAX_THREADS + 8,
    connect_timeout=4,
    read_timeout=30,
    user_agent=f"deploytasks botocore/{__version__}",  # else botocore assembles its own for each request
    proxies={},  # the shared connections know them; else each client looks through the whole environment, twice
)
FIRST = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 7}))
"""For STS. The timeouts are the same for all, because all clients share the first one's connections."""
QUESTION_TIMEOUT_S = 10
ATTEMPTS_IN_SILENCE = 3
FETCHING = CONFIG.merge(
    Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS_IN_SILENCE}, read_timeout=QUESTION_TIMEOUT_S)
)
"""For the clients with which botocore itself fetches credentials from STS and IAM Identity Center."""
_SAID_AT, _SAID_AT_WHEN_THROTTLED = 6, 3
"""Report a retried call after so many attempts: two or three seconds have passed by then."""
_FRESH_S = 60.0
"""How long after its registration ECS may not know a revision everywhere."""
_UNKNOWN = ("taskdefinition not found", "unable to describe task definition")
"""How ECS's messages about an unknown revision begin, in lower case."""


class RetryPolicy:
    """The retry rules of one account, for a client that it shares with others.

    They limit silent attempts, renew keys that AWS reports as expired, and report waiting. Botocore's rules follow,
    with a quota of retries of this account's own: one tenant's throttling does not use up another's.

    `where` names the account in messages, `keys` are those of its assumed role. After an interruption only SSM calls
    are retried, because the lock is held until ECS's last answer.
    """

    def __init__(self, client: Any, where: str, tell: OnEvent, stopped: Event, keys: RoleKeys | None = None) -> None:
        self._client, self._where, self._tell, self._stopped, self._keys = client, where, tell, stopped, keys

    def own(self, *, operation: Any, attempts: int, response: Any, caught_exception: Any, **sent: Any) -> Any:
        """Return the seconds to wait before a retry, False for none; None leaves the decision to the other rules."""
        settle(response)
        code = response[1].get("Error", {}).get("Code") if response else None
        is_silence = isinstance(caught_exception, ConnectTimeoutError | ReadTimeoutError)
        if self._stopped.is_set() and operation.service_model.service_id != "SSM":  # where the lock is
            return False
        if code in EXPIRED and self._keys and attempts < ATTEMPTS_IN_SILENCE:
            self._keys.renew()
            return 0.0
        if is_silence and attempts >= ATTEMPTS_IN_SILENCE:
            return False
        if is_silence:
            self._say(sent, f"{operation.name} has no answer yet; asking again")
        elif (code or caught_exception) and attempts == (_SAID_AT_WHEN_THROTTLED if code in THROTTLED else _SAID_AT):
            why = code or type(caught_exception).__name__
            self._say(sent, f"{operation.name} failed ({why}); asking again")
        return None

    def standard(self, *, response: Any, caught_exception: Any, **event: Any) -> float | None:
        """Return the seconds that botocore's standard rules wait before a retry, None for no retry."""
        if response and response[0].status_code < HTTPStatus.MULTIPLE_CHOICES:
            return None
        delay_s: float | None = self._standard.needs_retry(
            response=response, caught_exception=caught_exception, **event
        )
        return delay_s

    def release_quota(self, event_name: str, **event: Any) -> None:
        """Give back what the retries of a call took of the quota, now that it has ended."""
        if "_standard" in vars(self):
            self._standard.events.emit(event_name, **event)

    @cached_property
    def _standard(self) -> "_Standard":
        return _Standard(self._client.meta)

    def _say(self, sent: Mapping[str, Any], message: str) -> None:
        """Report the message, for the role that is being assumed, else for the client's own place."""
        body = sent["request_dict"]["body"]
        whose = body.get("RoleArn", self._where) if isinstance(body, Mapping) else self._where
        self._tell(Told("aws", f"{whose}: {message}"))


class _Standard:
    """Botocore's standard rules, which register here as they do with a client, so that the quota is one account's."""

    def __init__(self, meta: Any) -> None:
        self.meta, self.service_model, self.events = self, meta.service_model, HierarchicalEmitter()
        registering: Any = self
        attempts = meta.config.retries["total_max_attempts"]
        self.needs_retry = standard.register_retry_handler(registering, attempts).needs_retry


def settle_fetches(emitter: Any) -> None:
    """Let the clients with which botocore itself fetches credentials retry an answer that can't be read."""
    for service in ("sts", "sso", "sso-oidc"):
        emitter.register_first(f"needs-retry.{service}", lambda response, **_: settle(response))


def hasten(emitter: Any) -> None:
    """Give reads of clients that copy the emitter a shorter timeout than writes."""
    emitter.register("before-call", _hasten)


def _hasten(*, model: Any, context: dict[str, Any], **_: Any) -> None:
    row = operations.of_model(model)
    if row and not (row.writes or row.slow):
        context["read_timeout"] = QUESTION_TIMEOUT_S


_CONFLICTS = frozenset({"ConflictException", "ConcurrentModificationException"})
"""The codes for an update that collided with another one, or came too soon after it."""


class OwnRetries:
    """The retry rules for failed calls of all clients of a session: seconds to wait, or False for no retry."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._registered_at: dict[str, float] = {}

    def attend(self, emitter: Any) -> None:
        """Judge the calls of clients that copy the emitter."""
        emitter.register("after-call.ecs.RegisterTaskDefinition", self._remember)
        emitter.register("needs-retry.ecs.RegisterTaskDefinition", _concurrent)
        emitter.register("needs-retry.ecs", _once)
        emitter.register("needs-retry.ecs", self._unknown)
        emitter.register("needs-retry.scheduler.UpdateSchedule", _conflicting)
        emitter.register("needs-retry.eventbridge.PutTargets", _conflicting)

    def _remember(self, *, parsed: Mapping[str, Any], **_: Any) -> None:
        if "taskDefinition" in parsed:
            self._registered_at[parsed["taskDefinition"]["taskDefinitionArn"]] = self._clock()

    def _unknown(self, *, response: Any, attempts: int, request_dict: Mapping[str, Any], **_: Any) -> float | None:
        """Retry if ECS does not know a revision that we registered a moment ago; for any other, the answer is true."""
        if attempts >= 8 or not _message(response).lower().startswith(_UNKNOWN):
            return None
        registered_at = self._registered_at.get(_asked(request_dict).get("taskDefinition", ""))
        is_fresh = registered_at is not None and self._clock() - registered_at < _FRESH_S
        return _pause_s(min(attempts, 4)) if is_fresh else None


def _concurrent(*, response: Any, attempts: int, **_: Any) -> float | None:
    """Retry if two registrations of one family collided."""
    return _pause_s(attempts) if "Too many concurrent attempts" in _message(response) and attempts < 10 else None


def _conflicting(*, response: Any, attempts: int, **_: Any) -> float | None:
    """Retry an update that collided with another. Sources: botocore's documentation of both exceptions."""
    code = response[1].get("Error", {}).get("Code") if response else None
    return _pause_s(attempts) if code in _CONFLICTS and attempts < 5 else None


def _once(*, operation: Any, response: Any, caught_exception: Any, request_dict: Mapping[str, Any], **_: Any) -> Any:
    """Never retry a call that AWS may have carried out without an answer if a second one would do it again."""
    row = operations.of_model(operation)
    lost = isinstance(caught_exception, ConnectionClosedError | ReadTimeoutError)
    broken = response is not None and response[0].status_code >= 500
    return False if row and row.once and (lost or broken) and _asked(request_dict).get(row.once) else None


def _pause_s(attempts: int) -> float:
    """Return half a second per attempt, with up to a third of jitter."""
    return attempts / 2 * random.uniform(0.67, 1)


def _message(response: Any) -> str:
    return str(response[1].get("Error", {}).get("Message", "")) if response else ""


def _asked(request_dict: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(request_dict["body"])
    return asked
