"""Whose call it is: many accounts share a client, and each signs, waits and retries on its own.

A client takes a millisecond of CPU and 50 kB, so there is one for each service and region, and a view of it for each
account. A call of a view carries its caller along; what AWS must not mix up is asked of that caller alone.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from msgspec import Struct

from deploytasks.aws.retries import RetryPolicy


class Caller(Struct, frozen=True):
    """An account as it calls one service.

    `credentials` are botocore's, and sign the calls. `wait` waits until the operation of that name may be called.
    """

    credentials: Any
    retries: RetryPolicy
    wait: Callable[[str], None]


_CALLER: ContextVar[Caller] = ContextVar("caller")


class CallersCredentials(Credentials):
    """The credentials of a shared client: those of the caller, and none if nobody calls."""

    def __init__(self) -> None:
        super().__init__("", "")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys to sign with.

        Raises:
            LookupError: the call is not a view's, so nobody's keys may sign it.

        """
        keys: ReadOnlyCredentials = _CALLER.get().credentials.get_frozen_credentials()
        return keys


class Shared:
    """A base of a client's class: one client serves many callers."""

    caller: Caller | None = None

    def used_by(self, caller: Caller) -> Any:
        """Return the client as the caller uses it: the same client, but for the caller."""
        view = object.__new__(type(self))
        vars(view).update(vars(self), caller=caller)
        return view


def as_caller(method: Any) -> Any:
    """Return the client's method so that it carries the view's caller along."""

    @wraps(method)
    def call(client: Shared, *given: Any, **named: Any) -> Any:
        if client.caller is None:  # botocore's own clients, with keys of their own
            return method(client, *given, **named)
        before = _CALLER.set(client.caller)
        try:
            return method(client, *given, **named)
        finally:
            _CALLER.reset(before)

    return call


def attend(client: Any) -> None:
    """Ask the caller, at each event of the shared client, for its turn and for its retries."""
    name, events = client.meta.service_model.service_id.hyphenize(), client.meta.events
    events.register("before-send", lambda event_name, **_: _CALLER.get().wait(event_name.rpartition(".")[2]))
    events.register_first(f"needs-retry.{name}", lambda **event: _CALLER.get().retries.own(**event))
    events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")  # botocore's, with one quota for all
    events.register(f"needs-retry.{name}", lambda **event: _CALLER.get().retries.standard(**event))
    events.register(f"after-call.{name}", lambda **event: _CALLER.get().retries.release_quota(**event))
