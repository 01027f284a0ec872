"""HTTP as the endpoint speaks it: requests taken out of a stream of bytes, answers made of text."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.cloud.accounts import Ask, AwsError, Call, account_of

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_SCHEDULES = "/schedules/"
_OPERATIONS = {"POST": "CreateSchedule", "GET": "GetSchedule", "PUT": "UpdateSchedule"}
_UNSIGNED = b"Action=AssumeRoleWithWebIdentity&"
"""Source: AssumeRoleWithWebIdentity, which asks for no credentials of AWS."""
JSON = "application/x-amz-json-1.1"
XML = "text/xml"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def call(self) -> Call:
        """The call it makes, by whose credentials."""
        scope = _SCOPE.search(self.headers.get("authorization", ""))
        if scope is None and _UNSIGNED in self.body:
            ask: Ask = dict(parse_qsl(self.body.decode()))
            return Call(ask["RoleArn"].split(":")[4], "sts", ask["Action"], ask)
        if scope is None:
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        account, service = account_of(scope["key"]), scope["service"]
        if "x-amz-target" in self.headers:
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            return Call(account, service, operation, json.loads(self.body or b"{}"), scope["region"])
        if self.path.startswith(_SCHEDULES):
            return Call(account, service, _OPERATIONS[self.method], self._of_schedule(), scope["region"])
        ask = dict(parse_qsl(self.body.decode()))
        return Call(account, service, ask.get("Action", ""), ask, scope["region"])

    @property
    def speaks_xml(self) -> bool:
        """Whether it is answered in XML."""
        return "x-amz-target" not in self.headers and not self.path.startswith(_SCHEDULES)

    def _of_schedule(self) -> Ask:
        """Source: botocore's model of Scheduler: its protocol is REST, with the name in the path."""
        path, _, query = self.path.partition("?")
        asked = dict(parse_qsl(query))
        group = {"GroupName": asked["groupName"]} if "groupName" in asked else {}
        return {**json.loads(self.body or b"{}"), **group, "Name": unquote(path.removeprefix(_SCHEDULES))}


def respond(body: bytes, content_type: str = JSON, status: int = 200) -> bytes:
    """A whole HTTP response; AWS's have a Date, as RFC 9110 wants it of every server with a clock."""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Date: {formatdate(usegmt=True)}\r\nx-amzn-RequestId: 0\r\n\r\n".encode() + body


def query_answer(operation: str, result: str, namespace: str) -> str:
    """An answer of the query protocol."""
    return (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
    )


def refuse(error: AwsError, *, xml: bool) -> bytes:
    """An error, in the protocol of the service asked."""
    if xml:
        text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error}</Message></Error>"
        return respond(f"{text}<RequestId>0</RequestId></ErrorResponse>".encode(), XML, error.status)
    return respond(
        json.dumps({"__type": error.code, "message": str(error), **error.members}).encode(), JSON, error.status
    )


def take(received: bytearray) -> Request | None:
    """The first whole request, taken out of what was received; None while there is none."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    whole = end + 4 + int(headers.get("content-length", 0))
    if len(received) < whole:
        return None
    method, path, _ = first.split(" ", 2)
    body = bytes(received[end + 4 : whole])
    del received[:whole]
    return Request(method, path, headers, body)


class Connection(asyncio.Protocol):
    """One kept-alive connection, one of those that are `open`."""

    def __init__(self, open_: set[asyncio.Transport]) -> None:
        self._open, self._received = open_, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way back is known."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more; answers still due are dropped."""
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Every request that is now complete will be answered."""
        self._received += data
        while request := take(self._received):
            self.meet(request)

    def meet(self, request: Request) -> None:
        """Answer the request when its time has come; nobody waits for another's."""
        raise NotImplementedError

    def after(self, seconds: float, do: Callable[..., object], *given: Any) -> None:
        """Do it so many seconds later."""
        if seconds:
            asyncio.get_running_loop().call_later(seconds, do, *given)
        else:
            do(*given)

    def write(self, response: bytes) -> bool:
        """Send it; return whether somebody is there."""
        if not self._transport.is_closing():
            self._transport.write(response)
        return not self._transport.is_closing()

    def close(self) -> None:
        """End the connection once all is sent."""
        self._transport.close()
