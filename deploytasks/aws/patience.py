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

from collections.abc import Mapping
from threading import Event
from typing import Any

from botocore import __version__
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from deploytasks.aws.answers import settle
from deploytasks.aws.failures import EXPIRED, THROTTLED
from deploytasks.aws.roles import RoleKeys
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


class Patience:
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
