"""How long AWS is waited for, and how often it is asked again.

Botocore's standard mode, with jitter, asks ten times altogether. A throttled call needs them: 20 tenants that register
at once in one account are through after half a minute (RegisterTaskDefinition: 1/s). So does a connection that is cut
or refused, since ten of those are over in a quarter of a minute. Silence is another matter: ten times 30 seconds would
be five minutes in which nobody knows anything, so what is not answered in time is asked three times only. A question
is answered within a second or two, and asking again does no harm: it has 10 s, half a minute altogether. A write has
30 s, because what comes of one whose answer never came is not known. A connection that opens at all opens within
4 s: that leaves room for two lost packets. STS, which is asked first, is asked seven times: who is offline shall
hear of it in seconds.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from botocore import __version__
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError

from deploytasks.aws.assumed_roles import RoleKeys
from deploytasks.aws.errors import EXPIRED, THROTTLED
from deploytasks.aws.responses import settle
from deploytasks.model import OnEvent, Told

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 10},
    max_pool_connections=40,
    connect_timeout=4,
    read_timeout=30,
    user_agent=f"deploytasks botocore/{__version__}",  # else botocore puts its own together anew for each request
)
FIRST = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 7}))
"""For STS. The timeouts are those of all, because all clients share the first one's connections."""
QUESTION_TIMEOUT_S = 10
ATTEMPTS_IN_SILENCE = 3
FETCHING = CONFIG.merge(
    Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS_IN_SILENCE}, read_timeout=QUESTION_TIMEOUT_S)
)
"""For the clients through which botocore itself fetches credentials, of which STS and IAM Identity Center are asked."""
_SAID_AT, _SAID_AT_WHEN_THROTTLED = 6, 3
"""After so many attempts it has taken two or three seconds, and somebody should know."""
_QUESTIONS = ("Describe", "List", "Get", "BatchGet", "AssumeRole")
_QUICK = ("ecs", "ecr", "ssm", "sts", "iam", "secrets-manager")
"""Searching a large log group takes CloudWatch Logs longer than that."""


class RetryPolicy:
    """One client's: silence is given up early, keys that AWS calls expired are renewed, and waiting is told of.

    `where` says whose client it is, `keys` are those of its assumed role. Once somebody interrupts, only the lock is
    asked for again, because it is held until ECS's last answer.
    """

    def __init__(self, where: str, tell: OnEvent, stopped: Event, keys: RoleKeys | None = None) -> None:
        self._where, self._tell, self._stopped, self._keys = where, tell, stopped, keys

    def attend(self, client: Any) -> None:
        """The client's calls are judged here before botocore's own rules see them."""
        name = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"needs-retry.{name}", self._again)

    def _again(self, *, operation: Any, attempts: int, response: Any, caught_exception: Any, **sent: Any) -> Any:
        """Seconds to wait before asking again, False for never; None leaves it to botocore."""
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
            self._say(sent, f"{operation.name} is not answered, and is asked again")
        elif (code or caught_exception) and attempts == (_SAID_AT_WHEN_THROTTLED if code in THROTTLED else _SAID_AT):
            why = code or type(caught_exception).__name__
            self._say(sent, f"{operation.name} does not get through ({why}), and is asked again")
        return None

    def _say(self, sent: Mapping[str, Any], message: str) -> None:
        """The message is told, of the role that is to be assumed or of whoever's client this is."""
        body = sent["request_dict"]["body"]
        whose = body.get("RoleArn", self._where) if isinstance(body, Mapping) else self._where
        self._tell(Told("aws", f"{whose}: {message}"))


def hasten(emitter: Any) -> None:
    """The questions of clients that copy the emitter have less time than their writes."""
    for service in _QUICK:
        emitter.register(f"before-call.{service}", _hasten)


def _hasten(*, model: Any, context: dict[str, Any], **_: Any) -> None:
    if model.name.startswith(_QUESTIONS):
        context["read_timeout"] = QUESTION_TIMEOUT_S


_FRESH_S = 60.0
_USERS = ("UpdateService", "CreateService", "RunTask", "DescribeTaskDefinition")
_UNKNOWN = ("taskdefinition not found", "unable to describe task definition")


class EcsRetries:
    """Judges the failed calls of all clients of a session: seconds to wait before the same again, False for never."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._registered_at: dict[str, float] = {}

    def attend(self, emitter: Any) -> None:
        """Clients that copy the emitter are judged from now on."""
        emitter.register("after-call.ecs.RegisterTaskDefinition", self._remember)
        emitter.register("needs-retry.ecs.RegisterTaskDefinition", _concurrent)
        emitter.register("needs-retry.ecs.UpdateService", _forced)
        for operation in _USERS:
            emitter.register(f"needs-retry.ecs.{operation}", self._unknown)

    def _remember(self, *, parsed: Mapping[str, Any], **_: Any) -> None:
        if "taskDefinition" in parsed:
            self._registered_at[parsed["taskDefinition"]["taskDefinitionArn"]] = self._clock()

    def _unknown(self, *, response: Any, attempts: int, request_dict: Mapping[str, Any], **_: Any) -> float | None:
        """A revision that we registered a moment ago is not known everywhere yet; of any other it is the truth."""
        if attempts >= 8 or not _message(response).lower().startswith(_UNKNOWN):
            return None
        registered_at = self._registered_at.get(_asked(request_dict).get("taskDefinition", ""))
        is_fresh = registered_at is not None and self._clock() - registered_at < _FRESH_S
        return _pause_s(min(attempts, 4)) if is_fresh else None


def _concurrent(*, response: Any, attempts: int, **_: Any) -> float | None:
    """Two registrations of one family met."""
    return _pause_s(attempts) if "Too many concurrent attempts" in _message(response) and attempts < 10 else None


def _forced(*, response: Any, caught_exception: Any, request_dict: Mapping[str, Any], **_: Any) -> bool | None:
    """A forced deployment may have begun though no answer came, and a second call would begin a second one."""
    lost = isinstance(caught_exception, ConnectionClosedError | ReadTimeoutError)
    broken = response is not None and response[0].status_code >= 500
    return False if (lost or broken) and _asked(request_dict).get("forceNewDeployment") else None


def _pause_s(attempts: int) -> float:
    """Half a second an attempt, a third less by chance: those that met shall not meet again."""
    return attempts / 2 * random.uniform(0.67, 1)


def _message(response: Any) -> str:
    return str(response[1].get("Error", {}).get("Message", "")) if response else ""


def _asked(request_dict: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(request_dict["body"])
    return asked
