"""What one image holds: `app.py web` answers HTTP, `app.py worker` works in the background, `app.py nightly` runs once.

All say where they are: the tier and tenant that their task definition gave them.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import FrameType


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


def web() -> None:
    """Serve until a signal, and finish what is being answered."""
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer((os.environ.get("HOST", ""), port), Handler)
    server.daemon_threads = False  # closing waits for what is being answered
    on_signal(lambda: Thread(target=server.shutdown).start())  # shutdown() waits for the loop that is interrupted
    log(f"listening on port {server.server_port}")
    with server:
        server.serve_forever()
    log("stopped")


def worker() -> None:
    """Work until a signal, and finish what is at hand."""
    stopping: list[bool] = []
    on_signal(lambda: stopping.append(True))
    log("waiting for orders")
    while not stopping:
        time.sleep(0.5)
    log("stopped")


def nightly() -> None:
    """Do what is due every night, and end."""
    log("counted the orders of the day")


def on_signal(do: Callable[[], None]) -> None:
    """Do it at SIGTERM, with which ECS stops a task, and at SIGINT."""

    def handle(number: int, frame: FrameType | None) -> None:
        do()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def log(text: str) -> None:
    """Write a line to the task's log."""
    print(f"{text}: {json.dumps(about())}", file=sys.stderr, flush=True)  # noqa: T201


COMMANDS = {"web": web, "worker": worker, "nightly": nightly}


def main() -> None:
    """Run the command that is named."""
    command = COMMANDS.get(" ".join(sys.argv[1:]))
    if command is None:
        sys.exit(f"usage: app.py {'|'.join(COMMANDS)}")
    command()


if __name__ == "__main__":
    main()
