"""The connections to AWS: each answer has an overall deadline, and a signal ends the wait for it.

Botocore's timeouts are for each read: a server that sends a byte a second never triggers them.
"""

import io
import threading
import time
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import HTTPClientError, ReadTimeoutError

ANSWER_S = 10.0
"""How much longer than the read timeout a whole answer may take."""
GRACE_S = 3.0
"""How long to wait for a write's answer after an interruption; a read's answer is not waited for."""
_TICK_S = 0.25


class TooSlow(ReadTimeoutError):
    """The answer did not arrive completely in time."""

    fmt = 'The answer of "{endpoint_url}" was not whole after {seconds} s'


class Abandoned(HTTPClientError):
    """The command was interrupted before AWS answered a read."""

    fmt = "interrupted before AWS answered"


class AbandonedWrite(Abandoned):
    """The command was interrupted before AWS answered a write."""

    fmt = "interrupted before AWS answered, so whether it was done is not known"


class Transport:
    """The connection pool of the clients; `stopped` is set by an interruption."""

    def __init__(self, pool: Any, stopped: threading.Event) -> None:
        self._pool, self._stopped = pool, stopped
        pool._pool_classes_by_scheme.update(_POOLS)

    def send(self, request: Any) -> Any:
        """Return the answer.

        Raises:
            TooSlow: it was not complete in time.
            Abandoned: the command was interrupted.

        """
        is_question = "read_timeout" in (getattr(request, "context", None) or {})
        call = _CALLS.call = _Call(self._stopped, 0.0 if is_question else GRACE_S)
        try:
            return self._pool.send(request)
        except HTTPClientError as error:
            if call.is_abandoned:
                raise (Abandoned if is_question else AbandonedWrite)() from error
            if call.is_overdue:
                raise TooSlow(endpoint_url=request.url, seconds=round(call.limit_s)) from error
            raise
        finally:
            _CALLS.call = None

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Call:
    """One running call, as the thread that waits for its answer sees it."""

    def __init__(self, stopped: threading.Event, grace_s: float) -> None:
        self._stopped, self._grace_s = stopped, GRACE_S if stopped.is_set() else grace_s
        self._began_at = time.monotonic()
        self._given_up_at: float | None = None
        self.limit_s = 0.0
        self.is_overdue = self.is_abandoned = False

    def left_s(self, silence_s: float, silent_since: float) -> float:
        """Return the seconds left to wait: 0 once the answer is overdue, or abandoned."""
        now = time.monotonic()
        self.limit_s = silence_s + ANSWER_S
        if self._given_up_at is None and self._stopped.is_set():
            self._given_up_at = now + self._grace_s
        self.is_abandoned = self._given_up_at is not None and now >= self._given_up_at
        self.is_overdue = now >= self._began_at + self.limit_s
        if self.is_abandoned or self.is_overdue:
            return 0.0
        return max(0.0, min(silent_since + silence_s, self._began_at + self.limit_s) - now)


class _Calls(threading.local):
    call: _Call | None = None


_CALLS = _Calls()


class _Socket:
    """A connected socket whose answers are read in short waits."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.silence_s: float | None = sock.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        self.silence_s = seconds
        self._sock.settimeout(seconds)

    def makefile(self, mode: str, *_: Any, **__: Any) -> Any:
        return io.BufferedReader(_Answer(self, self._sock.makefile(mode, buffering=0)))


class _Answer(io.RawIOBase):
    """The bytes as they arrive; `held` keeps the socket open until they are read, since its connection may go first."""

    def __init__(self, sock: _Socket, held: Any) -> None:
        self._sock, self._held = sock, held

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        call, silence_s, since = _CALLS.call, self._sock.silence_s, time.monotonic()
        if call is None or silence_s is None:
            return int(self._sock.recv_into(buffer))
        while (left_s := call.left_s(silence_s, since)) > 0:
            self._sock._sock.settimeout(min(left_s, _TICK_S))
            try:
                return int(self._sock.recv_into(buffer))
            except TimeoutError:
                continue
        raise TimeoutError("timed out")

    def close(self) -> None:
        self._held.close()
        super().close()


class _Connecting:
    """A connection that wraps its socket once it is connected."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = _Socket(self.sock)


def _pool_class(kind: Any, connection: Any) -> Any:
    own = type(connection.__name__, (_Connecting, connection), {})
    return type(kind.__name__, (kind,), {"ConnectionCls": own})


_POOLS = {
    "http": _pool_class(AWSHTTPConnectionPool, AWSHTTPConnection),
    "https": _pool_class(AWSHTTPSConnectionPool, AWSHTTPSConnection),
}
