"""Send messages to a webhook from a thread of its own: none can fail a command or delay it for long.

The webhook's address is a secret. It appears in no message, log or exception: errors are described in our own words.
"""

import json
import os
import re
import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPMessage
from ipaddress import ip_address
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from deploytasks.errors import DeployError

TIMEOUT_S = 5.0
"""How long the webhook may take to answer, and how long a command waits at its end for messages under way."""

Compose = Callable[[], Mapping[str, Any]]
"""Composes a message. Runs in the sender's thread, where it may be slow, and may fail."""
_A_WORD = re.compile(r"[a-z_]{3,40}")


class Sender:
    """Sends messages to a webhook, in order. `find` reads its address; `tell` takes each problem as one line."""

    def __init__(self, find: Callable[[], str], tell: Callable[[str], None], timeout_s: float = TIMEOUT_S) -> None:
        self._find, self._tell, self._timeout_s = find, tell, timeout_s
        self._address = ""
        self._messages: SimpleQueue[tuple[str, Compose] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._telling = Lock()
        self._closed = False

    def send(self, what: str, compose: Compose) -> None:
        """Queue a message, and return at once; `what` names it in error messages: "the start"."""
        self._messages.put((what, compose))
        if self._thread is None:
            self._thread = Thread(target=self._deliver, name="notify", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait at most `timeout_s` for messages under way, and report it if that is too short; report nothing later."""
        self._messages.put(None)
        try:
            if self._thread:
                self._thread.join(self._timeout_s)
            if self._thread and self._thread.is_alive():
                self._say(f"the webhook was given {self._timeout_s:g} s, and is not waited for any longer")
        finally:
            with self._telling:
                self._closed = True

    def _deliver(self) -> None:
        for what, compose in iter(self._messages.get, None):
            try:
                self._address = self._address or self._find()
            except Exception as error:
                self._say(f"no notification is sent: {_in_our_words(error)}")
                return
            if problem := self._problem(compose):
                self._say(f"{what} could not be sent: {problem}")

    def _problem(self, compose: Compose) -> str:
        try:
            return post(self._address, compose(), self._timeout_s)
        except Exception as error:  # no message may fail a release
            return _in_our_words(error)

    def _say(self, line: str) -> None:
        with self._telling, suppress(Exception):  # a failing `tell` must not fail the command
            if not self._closed:
                self._tell(line)


def post(address: str, message: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> str:
    """Post the message; return why the webhook did not accept it, "" if it did.

    Follow no redirect, which would send the message elsewhere. Use the environment's proxies.
    """
    if not _is_fit(address):
        return "the address found is not an https:// URL"
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "deploytasks"}
    try:
        request = urllib.request.Request(address, json.dumps(message).encode(), headers, method="POST")
        with _opener(address).open(request, timeout=timeout_s):
            return ""
    except HTTPError as error:
        return _answered(error)
    except Exception as error:  # urllib raises many kinds, some with the address in their text
        return _in_our_words(error)


def _is_fit(address: str) -> bool:
    """Return whether messages may be sent to the address: by https, or by http to this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not address.isprintable() or " " in address or "@" in parts.netloc:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host)))


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """Follow no redirect, so that it is raised as an HTTPError."""

    def redirect_request(  # noqa: PLR0913  urllib's own signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Return no request."""


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Return an opener for the address; over plain http, to this machine, never by a proxy, which could read it."""
    direct = [urllib.request.ProxyHandler({})] if address.startswith("http:") else []
    return urllib.request.build_opener(_Nowhere, *direct)


def _answered(error: HTTPError) -> str:
    """Return the status, and the body if it is a single word such as Slack's `channel_is_archived`."""
    try:
        with error:
            said = error.read(64).decode("ascii", "replace").strip()
    except Exception:  # the answer was cut off
        said = ""
    return f"it answered {error.code}" + (f" {said}" if _A_WORD.fullmatch(said) else "")


def _in_our_words(error: BaseException) -> str:
    """Return what went wrong, without the exception's own text, unless it is our own error."""
    match error:
        case DeployError():
            return " ".join(str(error.complaints[0]).split())
        case URLError(reason=BaseException() as reason):
            return _in_our_words(reason)
        case TimeoutError():
            return "it did not answer in time"
        case socket.gaierror():
            return "its host is not known"
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted here"
        case ssl.SSLError():
            return "no TLS connection could be made"
        case OSError(errno=int() as number) if number > 0:
            return os.strerror(number).lower()
        case _:
            return type(error).__name__
