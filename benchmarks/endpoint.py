"""An AWS-shaped endpoint on 127.0.0.1: waits as the network would, counts every call, answers out of memory.

As a process: `python -m benchmarks.endpoint --tenants 50`; it prints its address first. In a test:
`with Endpoint(World(tenants=2), latency_s=0) as endpoint: …`. `GET /calls` reads the counters,
`POST /reset` clears them and makes the world anew; neither waits nor counts.
"""

import argparse
import asyncio
import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from benchmarks import cloud_ecr, cloud_ecs, cloud_small
from benchmarks.cloud import Answer, Ask, AwsError, Call, Cloud, Operation, account_of
from benchmarks.world import World, prepare

SERVICES: Mapping[str, Mapping[str, Operation]] = {
    "ecs": cloud_ecs.OPERATIONS,
    "ecr": cloud_ecr.OPERATIONS,
    "sts": cloud_small.STS,
    "ssm": cloud_small.SSM,
    "logs": cloud_small.LOGS,
}
Fault = Callable[[Call], AwsError | None]
"""Asked before every call; what it returns is answered instead."""
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/[^/]+/(?P<service>[^/]+)/")
_JSON = "application/x-amz-json-1.1"


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
        if scope is None:
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        account, service = account_of(scope["key"]), scope["service"]
        if "x-amz-target" in self.headers:
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            return Call(account, service, operation, json.loads(self.body or b"{}"))
        ask: Ask = dict(parse_qsl(self.body.decode()))
        return Call(account, service, ask.get("Action", ""), ask)


def respond(body: bytes, content_type: str = _JSON, status: int = 200) -> bytes:
    """A whole HTTP response."""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}x-amzn-RequestId: 0\r\n\r\n".encode() + body


def refuse(error: AwsError, *, xml: bool) -> bytes:
    """An error, in the protocol of the service asked."""
    if xml:
        text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error}</Message></Error>"
        return respond(f"{text}<RequestId>0</RequestId></ErrorResponse>".encode(), "text/xml", error.status)
    return respond(json.dumps({"__type": error.code, "message": str(error)}).encode(), _JSON, error.status)


@dataclass
class Endpoint:
    """The endpoint, serving from a thread of its own while the `with` block lasts."""

    world: World = field(default_factory=World)
    latency_s: float = 0.05
    rollout_s: float = 0.0
    fault: Fault | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.reset()
        self.open: set[asyncio.Transport] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(self._started.set)), daemon=True)

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """The world is as prepared, and nobody has called."""
        self.calls: Counter[tuple[str, str]] = Counter()
        """How often, by account and operation."""
        self.cloud = Cloud(self.rollout_s)
        prepare(self.cloud, self.world)

    def operations(self) -> Counter[str]:
        """The counters by operation alone."""
        counted: Counter[str] = Counter()
        for (_, operation), count in self.calls.items():
            counted[operation] += count
        return counted

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serves until it is told to stop; `ready` is called once `url` is true."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await self._stop.wait()
        server.close()
        for transport in self.open:
            transport.abort()

    def answer(self, request: Request) -> tuple[float, bytes]:
        """How long to wait, and what to say then."""
        match request.method, request.path:
            case "GET", "/calls":
                return 0.0, respond(json.dumps(self._counted()).encode())
            case "POST", "/reset":
                self.reset()
                return 0.0, respond(b"{}")
            case _:
                return self.latency_s, self._answer_call(request)

    def _counted(self) -> dict[str, Any]:
        accounts: dict[str, dict[str, int]] = {}
        for (account, operation), count in self.calls.items():
            accounts.setdefault(account, {})[operation] = count
        return {"total": self.calls.total(), "operations": self.operations(), "accounts": accounts}

    def _answer_call(self, request: Request) -> bytes:
        xml = "x-amz-target" not in request.headers
        try:
            answer = self._carry_out(request.call())
        except AwsError as error:
            return refuse(error, xml=xml)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return respond(text.encode(), "text/xml" if xml else _JSON)

    def _carry_out(self, call: Call) -> Answer:
        self.calls[call.account, call.operation] += 1
        error = self.fault(call) if self.fault else None
        if error:
            raise error
        operation = SERVICES.get(call.service, {}).get(call.operation)
        if operation is None:
            raise AwsError("UnknownOperationException", f"{call.service} {call.operation} is not served here")
        return operation(self.cloud.account(call.account), call.ask)


class _Connection(asyncio.Protocol):
    """One kept-alive connection; each answer is written when its time has come, and nobody waits for another's."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way back is known."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._endpoint.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more; answers still due are dropped."""
        self._endpoint.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Every request that is now complete will be answered."""
        self._received += data
        while request := self._take():
            wait_s, response = self._endpoint.answer(request)
            asyncio.get_running_loop().call_later(wait_s, self._write, response)

    def _write(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)

    def _take(self) -> Request | None:
        """The first whole request received, taken out of the buffer."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        whole = end + 4 + int(headers.get("content-length", 0))
        if len(self._received) < whole:
            return None
        method, path, _ = first.split(" ", 2)
        body = bytes(self._received[end + 4 : whole])
        del self._received[:whole]
        return Request(method, path, headers, body)


async def _serve_until_told(endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(endpoint.serve(lambda: print(endpoint.url, flush=True)))
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, serving.cancel)
    await asyncio.wait([serving])


def main() -> None:
    """Serves until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--rollout-s", type=float, default=0)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--commits", nargs=2, metavar=("OLDER", "NEWER"), default=("a" * 40, "b" * 40))
    args = parser.parse_args()
    older, newer = args.commits
    world = World(args.tenants, {"older": older, "newer": newer})
    endpoint = Endpoint(world, latency_s=args.latency_ms / 1000, rollout_s=args.rollout_s, port=args.port)
    asyncio.run(_serve_until_told(endpoint))


if __name__ == "__main__":
    main()
