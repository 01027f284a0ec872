"""A channel's webhook on this machine, that takes messages well or badly."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.hanging import HANGS_S

SECRET = "T0-B0-hunter2"


@dataclass
class Receiver:
    """What it was sent, and what it does with the next message: answers with a status, after `hold` is set."""

    status: int = 200
    says: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    hold: Event | None = None
    before: Callable[[dict[str, str]], None] = lambda message: None
    messages: list[dict[str, str]] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Where it listens; anyone who has it can post."""
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    @property
    def firsts(self) -> list[str]:
        """The first line of each message."""
        return [message["text"].splitlines()[0] for message in self.messages]


@contextmanager
def listening(webhook: Receiver) -> Iterator[Receiver]:
    """It listens until the end of the block; whoever it keeps waiting is let go then."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.requests.append(self.headers)
            webhook.messages.append(json.loads(body))
            webhook.before(webhook.messages[-1])
            if webhook.hold:
                webhook.hold.wait(HANGS_S)
                return
            self.send_response(webhook.status)
            for name, value in webhook.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(webhook.says.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    webhook.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        if webhook.hold:
            webhook.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
