"""A small HTTP service that says where it is: the tier and tenant that its task definition gave it."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import FrameType
from typing import Any


def about() -> dict[str, str]:
    """What the environment says of this copy; "" where it says nothing."""
    return {name.lower(): os.environ.get(name, "") for name in ("TIER", "TENANT")}


def answer(path: str) -> tuple[int, dict[str, str]]:
    """The status and the body for a path."""
    match path.partition("?")[0]:
        case "/":
            return 200, about()
        case "/health":
            return 200, {"status": "ok"}
    return 404, {"error": "not found"}


class Handler(BaseHTTPRequestHandler):
    """Answers GET with JSON, and logs one line a request."""

    timeout = 10  # seconds that a silent client may keep a thread

    def do_GET(self) -> None:
        """Answer one request."""
        status, body = answer(self.path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until SIGTERM or SIGINT, finish what is being answered, and exit with 0."""
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer((os.environ.get("HOST", ""), port), Handler)
    server.daemon_threads = False  # closing waits for what is being answered

    def stop(number: int, frame: FrameType | None) -> Any:
        Thread(target=server.shutdown).start()  # shutdown() waits for the loop that this handler interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"listening on port {server.server_port}: {json.dumps(about())}", file=sys.stderr, flush=True)  # noqa: T201
    with server:
        server.serve_forever()
    print("stopped", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
