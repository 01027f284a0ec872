"""Failed writes of ECS that botocore's rules do not know: too fresh, met by another, or not to be simply repeated."""

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

_FRESH_S = 60.0
_USERS = ("UpdateService", "CreateService", "RunTask", "DescribeTaskDefinition")
_UNKNOWN = ("taskdefinition not found", "unable to describe task definition")


class Late:
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
