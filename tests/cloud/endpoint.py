"""An AWS-shaped endpoint on 127.0.0.1: waits as the network would, counts every call, answers out of memory.

As a process: `python -m tests.cloud.endpoint --tenants 50`; it prints its address first. In a test:
`with Endpoint(World(tenants=2), latency_s=0) as endpoint: …`. `GET /calls` reads the counters,
`GET /rollouts` says when each service's last rollout began and ended, `POST /reset` clears the counters and makes the
world anew; none of them waits or counts.
"""

import argparse
import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tests.cloud import ecr, ecr_repositories, ecs, events, iam, logs, scheduler, secretsmanager, ssm, sts
from tests.cloud.accounts import Answer, AwsError, Call, Cloud, Operation
from tests.cloud.ecs_rollouts import last_rollouts
from tests.cloud.limits import Limits
from tests.cloud.wire import JSON, XML, Connection, Request, refuse, respond
from tests.cloud.world import Runs, World, prepare

SERVICES: Mapping[str, Mapping[str, Operation]] = {
    "ecs": ecs.OPERATIONS,
    "ecr": {**ecr.OPERATIONS, **ecr_repositories.OPERATIONS},
    "sts": sts.OPERATIONS,
    "ssm": ssm.OPERATIONS,
    "secretsmanager": secretsmanager.OPERATIONS,
    "logs": logs.OPERATIONS,
    "iam": iam.OPERATIONS,
    "scheduler": scheduler.OPERATIONS,
    "events": events.OPERATIONS,
}
Fault = Callable[[Call], AwsError | None]
"""Asked before every call; what it returns is answered instead."""


@dataclass
class Endpoint:
    """The endpoint, serving from a thread of its own while the `with` block lasts."""

    world: World = field(default_factory=World)
    latency_s: float = 0.05
    rollout_s: float = 0.0
    spread: float = 0.0
    limited: bool = False
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
        self.throttled: Counter[tuple[str, str]] = Counter()
        """How many of these were told to come back later."""
        self.cloud = Cloud(self.rollout_s, self.spread)
        self._limits = Limits(lambda: self.cloud.clock())
        prepare(self.cloud, self.world)

    def operations(self) -> Counter[str]:
        """The counters by operation alone."""
        return by_operation(self.calls)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.soon(self._stop.set)
        self._thread.join()

    def soon(self, do: Callable[[], object]) -> None:
        """Do it in the thread that serves."""
        self._loop.call_soon_threadsafe(do)

    def listen(self, connection: Callable[[], Connection]) -> asyncio.Server:
        """Serve connections of another kind too, on a port of theirs and in the same thread."""
        return asyncio.run_coroutine_threadsafe(self._listen(connection, 0), self._loop).result()

    async def _listen(self, connection: Callable[[], Connection], port: int) -> asyncio.Server:
        return await self._loop.create_server(connection, "127.0.0.1", port, backlog=1024)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serves until it is told to stop; `ready` is called once `url` is true."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._listen(lambda: _Answering(self), self.port)
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
            case "GET", "/rollouts":
                return 0.0, respond(json.dumps(last_rollouts(self.cloud)).encode())
            case "POST", "/reset":
                self.reset()
                return 0.0, respond(b"{}")
            case "GET", path if path.startswith(ecr.BLOBS):
                return self.latency_s, self._answer_blob(path)
            case _:
                return self.latency_s, self._answer_call(request)

    def _counted(self) -> dict[str, Any]:
        accounts: dict[str, dict[str, int]] = {}
        for (account, operation), count in self.calls.items():
            accounts.setdefault(account, {})[operation] = count
        throttled = {"throttled": by_operation(self.throttled)}
        return {"total": self.calls.total(), "operations": self.operations(), "accounts": accounts, **throttled}

    def _answer_call(self, request: Request) -> bytes:
        xml = request.speaks_xml
        try:
            answer = self._carry_out(request.call())
        except AwsError as error:
            return refuse(error, xml=xml)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return respond(text.encode(), XML if xml else JSON)

    def _answer_blob(self, path: str) -> bytes:
        call = Call(path.split("/")[2], "s3", "GetObject", {"path": path})
        self.calls[call.account, call.operation] += 1
        try:
            if error := self.fault(call) if self.fault else None:
                raise error
            return respond(ecr.blob(self.cloud, path), "application/octet-stream")
        except AwsError as error:
            return refuse(error, xml=True)

    def _carry_out(self, call: Call) -> Answer:
        self.calls[call.account, call.operation] += 1
        if self.limited:
            self._take_token(call)
        error = self.fault(call) if self.fault else None
        if error:
            raise error
        operation = SERVICES.get(call.service, {}).get(call.operation)
        if operation is None:
            message = f"{call.service} {call.operation} is not served here: add it to tests/cloud/"
            raise AwsError("UnknownOperationException", message)
        account = self.cloud.account(call.account)
        account.asked_in, self.cloud.address = call.region, self.url
        return operation(account, call.ask)

    def _take_token(self, call: Call) -> None:
        try:
            self._limits.check(call)
        except AwsError:
            self.throttled[call.account, call.operation] += 1
            raise


def by_operation(calls: Counter[tuple[str, str]]) -> Counter[str]:
    """Counters of calls by their operation alone."""
    counted: Counter[str] = Counter()
    for (_, operation), count in calls.items():
        counted[operation] += count
    return counted


class _Answering(Connection):
    """One that the endpoint answers."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.open)
        self._endpoint = endpoint

    def meet(self, request: Request) -> None:
        """Answer as the endpoint does."""
        wait_s, response = self._endpoint.answer(request)
        self.after(wait_s, self.write, response)


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
    parser.add_argument("--rollout-spread", type=float, default=0, help="0.2: up to a fifth longer or shorter")
    parser.add_argument("--limits", action="store_true", help="throttle as AWS does")
    parser.add_argument("--shared-accounts", type=int, default=1, metavar="N", help="so many tenants share an account")
    parser.add_argument("--services", type=int, default=1, help="so many services an environment, of one image")
    parser.add_argument("--jobs", type=int, default=0, help="so many jobs an environment, of the same image")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--commits", nargs=2, metavar=("OLDER", "NEWER"), default=("a" * 40, "b" * 40))
    args = parser.parse_args()
    older, newer = args.commits
    runs = Runs(args.services, args.jobs)
    world = World(args.tenants, {"older": older, "newer": newer}, shared=args.shared_accounts, runs=runs)
    rollouts = {"rollout_s": args.rollout_s, "spread": args.rollout_spread}
    endpoint = Endpoint(world, latency_s=args.latency_ms / 1000, limited=args.limits, port=args.port, **rollouts)
    asyncio.run(_serve_until_told(endpoint))


if __name__ == "__main__":
    main()
