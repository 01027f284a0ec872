"""A reverse proxy in front of an AWS-shaped endpoint, for whole processes: it knows every call, and breaks some.

`with Proxy(endpoint, Rule(Stall(), account=ONE)) as proxy:` and AWS_ENDPOINT_URL is `proxy.url`. Of a call, the
first rule that fits decides; a call that fits none goes through. `proxy.rules` may be set anew at any time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from tests.cloud.accounts import AwsError, Call
from tests.cloud.endpoint import Endpoint
from tests.cloud.wire import JSON, Connection, Request, refuse, respond

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


def account_meant(call: Call) -> str:
    """The tenant that a call is about: whose credentials signed it, or whose role it wants."""
    return str(call.ask["RoleArn"]).split(":")[4] if "RoleArn" in call.ask else call.account


class Proxy:
    """The proxy, on a port of its own of the endpoint's thread; `seen` are the calls in order."""

    def __init__(self, endpoint: Endpoint, *rules: Rule) -> None:
        self.rules, self.seen, self.port = rules, list[Seen](), 0
        self.endpoint, self.open = endpoint, set[asyncio.Transport]()
        self.last: dict[tuple[str, str, bytes], bytes] = {}
        """What was answered last, by the account and the operation that asked, and by the question."""
        self._met: Counter[Rule] = Counter()
        self._expired: set[str] = set()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    def calls(self, operation: str = "", account: str = "") -> list[Seen]:
        """The calls that came in, in order; those of an operation, and about an account."""
        wanted = Rule(Stall(), operation, account)
        return [each for each in self.seen if wanted.fits(each.call)]

    def __enter__(self) -> Self:
        self._server = self.endpoint.listen(lambda: _Breaking(self))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.endpoint.soon(self._end)

    def _end(self) -> None:
        self._server.close()
        for transport in self.open:
            transport.abort()

    def effect(self, call: Call, token: str) -> Effect | None:
        """What happens to the call: what the first rule says that fits and is not used up, unless its keys are."""
        self.seen.append(Seen(call, time.monotonic(), token))
        effect = next((rule.effect for rule in self.rules if rule.fits(call) and self._is_due(rule)), None)
        if isinstance(effect, Expire):
            self._expired.add(token)
        return EXPIRED if token in self._expired else effect

    def _is_due(self, rule: Rule) -> bool:
        self._met[rule] += 1
        return rule.skip < self._met[rule] <= rule.skip + rule.times


class _Breaking(Connection):
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy.open)
        self._proxy = proxy

    def meet(self, request: Request) -> None:
        """Answer it, or pass it on at once or later, or close the connection."""
        call = request.call()
        effect = self._proxy.effect(call, request.headers.get("x-amz-security-token", ""))
        match effect:
            case Say(code, message, status):
                self.write(refuse(AwsError(code, message, status), xml=request.speaks_xml))
                return
            case Cut("before", first):
                first(call)
                self.close()
                return
            case Stall(seconds, first):
                first(call)
                if seconds < FOR_EVER:
                    self.after(seconds, self._pass_on, request, call, effect)
                return
            case Watch(hook):
                hook(call)
        self._pass_on(request, call, effect)

    def _pass_on(self, request: Request, call: Call, effect: Effect | None) -> None:
        wait_s, answer = self._proxy.endpoint.answer(request)
        last, question = self._proxy.last, (call.account, call.operation, request.body)
        answer = last.setdefault(question, answer) if isinstance(effect, Stale) else answer
        last[question] = answer
        self.after(wait_s, self._deliver, answer, call, effect)

    def _deliver(self, answer: bytes, call: Call, effect: Effect | None) -> None:
        match effect:
            case Cut(_, first):
                first(call)
                self.close()
            case Spoil(change):
                self.write(change(answer))
                self.close()
            case Drip(seconds, first):
                first(call)
                self._drip(answer, seconds)
            case _:
                self.write(answer)

    def _drip(self, answer: bytes, pause_s: float) -> None:
        if answer and self.write(answer[:1]):
            self.after(pause_s, self._drip, answer[1:], pause_s)
