"""ministack on a free loopback port, in a process of its own: the AWS of the demo and of the integration tests.

It lives no longer than the process that started it, however that one ends: its standard input is a pipe from us,
and when the pipe closes it shuts down by itself, removes the containers it runs, and of an orphan the files too.
"""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
HOW_TO_INSTALL = "make setup-emulator"
NO_ENGINE = "unix:///nonexistent/docker.sock"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_ATTEMPTS = 3
STEADY_S = 1.0
"""So long must a task run before the emulator calls its rollout complete."""

_RUN = """
import os, shutil, signal, sys, threading
is_orphan = threading.Event()
def follow_parent():
    if not sys.stdin.buffer.read():  # whoever stops it says a word; who was killed says none
        is_orphan.set()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=follow_parent, daemon=True).start()
from ministack.app import main
from ministack.services import ecs
assert ecs._ECS_DEPLOYMENT_STEADY_DELAY  # there is no variable for it
ecs._ECS_DEPLOYMENT_STEADY_DELAY = float(os.environ["STEADY_S"])
try:
    main()
finally:
    if is_orphan.is_set():
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
"""


class EmulatorFailed(Exception):
    """The emulator is not installed, or did not start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. `engine` is the DOCKER_HOST that it was given, empty for the default one."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path
    engine: str = ""

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL is to be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def registry(self) -> str:
        """The host part of image names; a Docker engine takes `localhost` without TLS."""
        return f"localhost:{self.port}"

    @property
    def label(self) -> str:
        """The label on every container that this emulator starts."""
        return f"ministack.instance={socket.gethostname()}:{self.port}"

    def reset(self) -> None:
        """Nothing is left of what was in it: accounts, images, services, containers."""
        request = urllib.request.Request(f"{self.endpoint}/_ministack/reset", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()


def installed() -> bool:
    """Whether the emulator's environment was made."""
    return PYTHON.exists()


@contextmanager
def running(*, engine: str = "", steady_s: float = STEADY_S) -> Iterator[Emulator]:
    """An emulator that answers; afterwards it is gone, with its containers and files.

    `engine` is the DOCKER_HOST it uses; NO_ENGINE makes it pretend that tasks run. A rollout is complete once its tasks
    have run for `steady_s`.

    Raises:
        EmulatorFailed: it is not installed, or did not answer in time.
    """
    if not installed():
        raise EmulatorFailed(f"the emulator is not installed: run `{HOW_TO_INSTALL}`")
    with tempfile.TemporaryDirectory(prefix="deploytasks-emulator-") as home:
        emulator = _started(Path(home), engine, steady_s)
        try:
            yield emulator
        finally:
            _stop(emulator.process)


def _started(home: Path, engine: str, steady_s: float) -> Emulator:
    for _ in range(_ATTEMPTS):  # the free port may be taken by somebody else before the emulator binds it
        emulator = _start(home, free_port(), engine, steady_s)
        try:
            if _answers(emulator):
                return emulator
        except BaseException:
            _stop(emulator.process)
            raise
        _stop(emulator.process)
    raise EmulatorFailed(f"the emulator did not start:\n{emulator.log.read_text()[-2000:]}")


def _start(home: Path, port: int, engine: str, steady_s: float) -> Emulator:
    log = home / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, "-c", _RUN],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_environment(home, port, engine), "STEADY_S": str(steady_s)},
            cwd=home,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
        )
    return Emulator(port, process, log, engine)


def _environment(home: Path, port: int, engine: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    return clean | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(home),
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        **({"DOCKER_HOST": engine} if engine else {}),
    }


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(emulator: Emulator) -> bool:
    """Whether it came up; False as soon as its process ended."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while emulator.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{emulator.endpoint}/_ministack/health", timeout=5) as answer:
                return bool(json.load(answer))
        except OSError:
            time.sleep(0.05)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """The process is gone; it was given the time to remove its containers."""
    if process.stdin:
        with suppress(BrokenPipeError):
            process.stdin.write(b"stop")
            process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
