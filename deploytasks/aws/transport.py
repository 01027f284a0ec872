"""The connections to AWS: each answer has an overall deadline, and a signal ends the wait for it.

Botocore's timeouts are for each read: a server that sends a byte a second never triggers them. Botocore also reads the
CA bundle again for each new connection, which takes 45 ms of CPU; here it is read once.
"""

import io
import socket
import threading
import time
from contextlib import suppress
from ssl import SSLContext
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSResponse,
)
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path, mask_proxy_url
from urllib3 import PoolManager, ProxyManager, Timeout, exceptions

ANSWER_S = 10.0
"""How much longer than the read timeout a whole answer may take."""
GRACE_S = 3.0
"""How long to wait for a write's answer after an interruption; a read's answer is not waited for."""
_TICK_S = 0.25
_MOST_HOSTS = 100
"""Keep the connections of so many hosts: each service has one in each region."""


class TooSlow(ReadTimeoutError):
    """The answer did not arrive completely in time."""

    fmt = 'The answer of "{endpoint_url}" was not whole after {seconds} s'


class Abandoned(HTTPClientError):
    """The command was interrupted before AWS answered a read."""

    fmt = "interrupted before AWS answered"


class AbandonedWrite(Abandoned):
    """The command was interrupted before AWS answered a write."""

    fmt = "interrupted before AWS answered, so whether it was done is not known"


class Connections:
    """What botocore calls an HTTP session, shared by many clients; `stopped` is set by an interruption.

    `verify` is a CA bundle's path, or True for the default one; `proxies` maps a scheme to a proxy's URL. A request's
    own `read_timeout` replaces that of `timeout`, which is for connecting and reading, in seconds.
    """

    def __init__(self, stopped: threading.Event, timeout: tuple[float, float], **settings: Any) -> None:
        self.settings = timeout, settings
        self._stopped, self._connect_s, self._read_s = stopped, *timeout
        self._proxies, self._verify = ProxyConfiguration(settings["proxies"]), settings["verify"]
        self._kept = {"maxsize": settings["max_pool_connections"], "socket_options": settings["socket_options"]}
        self._managers: dict[tuple[str, str | None], PoolManager] = {}
        self._lock = threading.Lock()
        self._context: SSLContext | None = None

    def send(self, request: Any) -> AWSResponse:
        """Return the answer.

        Raises:
            TooSlow: it was not complete in time.
            Abandoned: the command was interrupted.
            BotoCoreError: the connection failed; the subclass says how.

        """
        read_s = (getattr(request, "context", None) or {}).get("read_timeout")
        call = _CALLS.call = _Call(self._stopped, GRACE_S if read_s is None else 0.0)
        proxy = self._proxies.proxy_url_for(request.url)
        try:
            return self._sent(request, proxy, Timeout(connect=self._connect_s, read=read_s or self._read_s))
        except Exception as error:
            if call.is_abandoned:
                raise (AbandonedWrite if read_s is None else Abandoned)() from error
            if call.is_overdue:
                raise TooSlow(endpoint_url=request.url, seconds=round(call.limit_s)) from error
            raise _as_botocores(error, request, proxy) from error
        finally:
            _CALLS.call = None

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _sent(self, request: Any, proxy: str | None, timeout: Timeout) -> AWSResponse:
        answer: Any = self._manager(request.url.partition(":")[0], proxy).urlopen(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            timeout=timeout,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            enforce_content_length=False,  # `responses` reports how much is missing
        )
        response = AWSResponse(request.url, answer.status, answer.headers, answer)
        if not request.stream_output:
            _ = response.content  # read now, while the deadline holds
        return response

    def _manager(self, scheme: str, proxy: str | None) -> PoolManager:
        """Return the connections by which a URL of that scheme is reached."""
        with self._lock:
            if (scheme, proxy) not in self._managers:
                self._managers[scheme, proxy] = self._new_manager(scheme, proxy)
            return self._managers[scheme, proxy]

    def _new_manager(self, scheme: str, proxy: str | None) -> PoolManager:
        kept: dict[str, Any] = {"num_pools": _MOST_HOSTS, **self._kept}
        if "https" in (scheme, (proxy or "").partition(":")[0].lower()):
            self._context = self._context or _context(self._verify)
            kept |= {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}
        if proxy:
            headers = self._proxies.proxy_headers_for(proxy)
            manager: PoolManager = ProxyManager(
                proxy, proxy_headers=headers, proxy_ssl_context=kept.get("ssl_context"), **kept
            )
        else:
            manager = PoolManager(**kept)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _context(verify: Any) -> SSLContext:
    """Return TLS's settings as botocore has them, with the CA bundle read; urllib3 compares the host's name itself."""
    context: SSLContext = create_urllib3_context()
    bundle = get_cert_path(verify)
    try:
        context.load_verify_locations(bundle)
    except OSError as error:
        raise exceptions.SSLError(f"CA bundle {bundle}: {error}") from error
    return context


def _as_botocores(error: Exception, request: Any, proxy: str | None) -> BotoCoreError:
    """Return the error that botocore's retry rules know for an error of urllib3."""
    where = {"endpoint_url": request.url, "error": error}
    match error:
        case exceptions.SSLError():
            return SSLError(**where)
        case exceptions.NewConnectionError() | socket.gaierror():
            return EndpointConnectionError(**where)
        case exceptions.ProxyError():
            return ProxyConnectionError(proxy_url=mask_proxy_url(proxy or ""), error=error)
        case exceptions.ConnectTimeoutError():
            return ConnectTimeoutError(**where)
        case exceptions.ReadTimeoutError():
            return ReadTimeoutError(**where)
        case exceptions.ProtocolError():
            return ConnectionClosedError(request=request, **where)
        case _:
            return HTTPClientError(error=error)


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
    """A connected socket that sends a request in one piece, and waits for the network in short steps of one length.

    At each send, step and new timeout another thread has its turn first, so the fewer the better.
    """

    def __init__(self, sock: Any) -> None:
        self.plain = sock
        self.silence_s = self._send_s = float(sock.gettimeout())
        self._unsent = b""
        sock.settimeout(_TICK_S)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def settimeout(self, seconds: float) -> None:
        self.silence_s = seconds

    def sendall(self, data: bytes) -> None:
        """Keep the data until its answer is waited for: a request comes as its headers, and then its body."""
        self._unsent += data
        self._send_s = self.silence_s

    def makefile(self, mode: str, *_: Any, **__: Any) -> Any:
        return io.BufferedReader(_Answer(self, self.plain.makefile(mode, buffering=0)))

    def answer_into(self, buffer: Any) -> int:
        """Send what is unsent, and return how many bytes of the answer came.

        Raises:
            TimeoutError: none came in time, or the command was interrupted.

        """
        if self._unsent:
            self._send()
        since = time.monotonic()
        while self._left_s(since) > 0:
            with suppress(TimeoutError):
                return int(self.plain.recv_into(buffer))
        raise TimeoutError("timed out")

    def _send(self) -> None:
        data, self._unsent = self._unsent, b""
        self.plain.settimeout(self._send_s)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # the server may have answered before
                self.plain.sendall(data)
        finally:
            self.plain.settimeout(_TICK_S)

    def _left_s(self, since: float) -> float:
        call = _CALLS.call
        return call.left_s(self.silence_s, since) if call else since + self.silence_s - time.monotonic()


class _Answer(io.RawIOBase):
    """The bytes as they arrive; `held` keeps the socket open until they are read, since its connection may go first."""

    def __init__(self, sock: _Socket, held: Any) -> None:
        self._sock, self._held = sock, held

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.answer_into(buffer)

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
