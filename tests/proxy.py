"""A reverse proxy in front of an AWS-shaped endpoint, for whole processes: it knows every call, and breaks some.

`with Proxy(endpoint.url, Rule(Stall(), account=ONE)) as proxy:` and AWS_ENDPOINT_URL is `proxy.url`. Of a call, the
first rule that fits decides; a call that fits none goes through. `proxy.rules` may be set anew at any time.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

from tests.cloud.accounts import AwsError, Call
from tests.cloud.wire import JSON, Request, refuse, respond

FOR_EVER = float("inf")
Hook = Callable[[Call], object]
Moment = Literal["before", "after"]
"""Before the call reaches AWS, or after AWS has done it and before its answer is delivered."""


@dataclass(frozen=True, slots=True)
class Say:
    """The proxy answers itself, and AWS never hears of the call."""

    code: str
    message: str = ""
    status: int = 400


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is closed without an answer, once `first` was called."""

    moment: Moment = "before"
    first: Hook = lambda call: None


@dataclass(frozen=True, slots=True)
class Stall:
    """No answer for so long; then the call goes through, whether or not anybody still waits for it.

    `first` is called as it comes in.
    """

    seconds: float = FOR_EVER
    first: Hook = lambda call: None


@dataclass(frozen=True, slots=True)
class Stale:
    """The answer is that to the same question before: what was written since is not seen yet."""


@dataclass(frozen=True, slots=True)
class Expire:
    """The session of the first call that it meets has expired, whoever else uses it too: new keys are needed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The hook is called, and then the call goes through."""

    hook: Hook


@dataclass(frozen=True, slots=True)
class Spoil:
    """AWS has done the call, and `change` of what it said is delivered; then the connection is closed."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer comes byte by byte, so many seconds apart, its head too; `first` is called before."""

    seconds: float
    first: Hook = lambda call: None


def half(answer: bytes) -> bytes:
    """Half of the body, though the whole length is announced."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n" + body[: len(body) // 2]


def saying(body: bytes, kind: str = "text/html") -> Callable[[bytes], bytes]:
    """Something else, with the status of success."""
    return lambda _answer: respond(body, kind)


NONSENSE = {
    "cut in its middle": Spoil(half),
    "HTML": Spoil(saying(b"<html><body>Please sign in to the network</body></html>")),
    "nothing": Spoil(saying(b"", JSON)),
    "garbage": Spoil(saying(bytes(range(128, 200)), "application/octet-stream")),
    "an empty object": Spoil(saying(b"{}", JSON)),
    "a list": Spoil(saying(b"[1, null]", JSON)),
    "a text": Spoil(saying(b'"well"', JSON)),
    "XML": Spoil(saying(b"<Answer><Result/></Answer>", "text/xml")),
}
Effect = Say | Cut | Stall | Stale | Expire | Watch | Spoil | Drip
THROTTLED = Say("ThrottlingException", "Rate exceeded")
BROKEN = Say("ServerException", "Service Unavailable. Please try again later.", 500)
DENIED = Say("AccessDeniedException", "User is not authorized to perform this operation")
EXPIRED = Say("ExpiredTokenException", "The security token included in the request is expired")


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to which calls: "" is any of them; the first `skip` that fit are spared, then so many are hit."""

    effect: Effect
    operation: str = ""
    account: str = ""
    skip: int = 0
    times: float = FOR_EVER

    def fits(self, call: Call) -> bool:
        """Whether the call is one that is meant."""
        return self.operation in ("", call.operation) and self.account in ("", account_meant(call))


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as it came in; `at` is monotonic, `token` the session's."""

    call: Call
    at: float
    token: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back, and how: byte by byte where there is a pause between them, and last on its connection."""

    text: bytes
    is_last: bool = False
    pause_s: float = 0.0


def account_meant(call: Call) -> str:
    """The tenant that a call is about: whose credentials signed it, or whose role it wants."""
    return str(call.ask["RoleArn"]).split(":")[4] if "RoleArn" in call.ask else call.account


class Proxy:
    """The proxy, serving from a thread of its own while the `with` block lasts; `seen` are the calls in order."""

    def __init__(self, upstream: str, *rules: Rule) -> None:
        self.rules, self.seen, self.port = rules, list[Seen](), 0
        self._upstream = urlsplit(upstream)
        self._met: Counter[Rule] = Counter()
        self._expired: set[str] = set()
        self._last: dict[str, bytes] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    def calls(self, operation: str = "", account: str = "") -> list[Seen]:
        """The calls that came in, in order; those of an operation, and about an account."""
        wanted = Rule(Stall(), operation, account)
        return [each for each in self.seen if wanted.fits(each.call)]

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve_client(reader, writer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while answer := await self._answer(*await _read_request(reader)):
                await self._deliver(answer, writer)
                if answer.is_last:
                    return
        except (OSError, asyncio.IncompleteReadError):
            return  # nobody is there any more, at one end or the other
        finally:
            writer.close()

    async def _deliver(self, answer: "Answer", writer: asyncio.StreamWriter) -> None:
        size = 1 if answer.pause_s else len(answer.text)
        for at in range(0, len(answer.text), size):
            writer.write(answer.text[at : at + size])
            await writer.drain()
            await self._silence(answer.pause_s)

    async def _answer(self, head: bytes, request: Request) -> "Answer | None":
        """What to send back, None to close the connection."""
        call = request.call()
        effect = self._effect(call, request.headers.get("x-amz-security-token", ""))
        match effect:
            case Say(code, message, status):
                return Answer(refuse(AwsError(code, message, status), xml="x-amz-target" not in request.headers))
            case Stall(seconds, first):
                first(call)
                await self._silence(seconds)
            case Cut("before", first):
                first(call)
                return None
            case Watch(hook):
                hook(call)
        answer = await self._forward(head + request.body)
        answer = self._last.setdefault(_question(call), answer) if isinstance(effect, Stale) else answer
        self._last[_question(call)] = answer
        match effect:
            case Cut(_, first):
                first(call)
                return None
            case Spoil(change):
                return Answer(change(answer), is_last=True)
            case Drip(seconds, first):
                first(call)
                return Answer(answer, pause_s=seconds)
        return Answer(answer)

    def _effect(self, call: Call, token: str) -> Effect | None:
        """What happens to the call: what the first rule says that fits and is not used up, unless its keys are."""
        self.seen.append(Seen(call, time.monotonic(), token))
        effect = next((rule.effect for rule in self.rules if rule.fits(call) and self._is_due(rule)), None)
        if isinstance(effect, Expire):
            self._expired.add(token)
        return EXPIRED if token in self._expired else effect

    def _is_due(self, rule: Rule) -> bool:
        self._met[rule] += 1
        return rule.skip < self._met[rule] <= rule.skip + rule.times

    async def _silence(self, seconds: float) -> None:
        if not seconds:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), None if seconds == FOR_EVER else seconds)

    async def _forward(self, sent: bytes) -> bytes:
        """What the endpoint answers."""
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        try:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await reader.readexactly(_length(head))
        finally:
            writer.transport.abort()


def _question(call: Call) -> str:
    return json.dumps([call.account, call.operation, call.ask], sort_keys=True)


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, Request]:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_length(head))
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    method, path, _ = first.split(" ", 2)
    return head, Request(method, path, {name.lower(): value.strip() for name, _, value in pairs}, body)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
