"""Whole `inv` commands at a third of their price: a process that has imported everything forks one for each of them.

What is forked is a process like any other: it reads tasks.py, runs to its end or to a signal, and exits. Only what
Python does as it starts, such as choosing encodings, needs a process that is started.

As a program, this imports and forks a server for each pair of pipes that it is given: a command a line in, its pid and
its exit code out.
"""

import atexit
import gc
import json
import os
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tests import shared
from tests.cloud.accounts import REGION
from tests.cloud.endpoint import SERVICES
from tests.project import ROOT


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: a signal's number negated, or its exit code; and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Warm:
    """A server that forks; one command at a time."""

    def __init__(self, scratch: Path, asked: IO[str], told: IO[str]) -> None:
        self._scratch, self._asked, self._told = scratch, asked, told
        scratch.mkdir(parents=True, exist_ok=True)

    def start(self, root: Path, env: Mapping[str, str], *words: str) -> int:
        """`inv WORDS` runs in the folder, with this environment and no other; its pid."""
        asked = {"root": str(root), "env": dict(env), "words": words, "out": str(self._scratch)}
        self._asked.write(f"{json.dumps(asked)}\n")
        self._asked.flush()
        return int(self._told.readline())

    def stderr(self) -> str:
        """What the command that runs has written there so far."""
        return (self._scratch / "stderr").read_text()

    def run(self, root: Path, env: Mapping[str, str], *words: str) -> Done:
        """The same, and how it ended."""
        self.start(root, env, *words)
        return self.wait()

    def wait(self) -> Done:
        """How the command ended that was started last."""
        code = int(self._told.readline())
        return Done(code, *((self._scratch / name).read_text() for name in ("stdout", "stderr")))


@contextmanager
def warmed(folder: Path, count: int) -> Iterator[list[Warm]]:
    """So many servers, which one process has imported everything for."""
    ins, outs = ([os.pipe() for _ in range(count)] for _ in range(2))
    theirs = [*(reading for reading, _ in ins), *(writing for _, writing in outs)]
    command = [sys.executable, "-m", "tests.warm", *map(str, theirs)]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=theirs), ExitStack() as stack:
        for each in theirs:
            os.close(each)
        asked = [stack.enter_context(os.fdopen(writing, "w")) for _, writing in ins]
        told = [stack.enter_context(os.fdopen(reading)) for reading, _ in outs]
        yield [Warm(folder / f"warm-{number}", *pipes) for number, pipes in enumerate(zip(asked, told, strict=True))]


def _import_everything() -> None:
    import deploytasks

    shared.share()
    for module in pkgutil.walk_packages(deploytasks.__path__, "deploytasks."):
        import_module(module.name)
    _read_models()
    gc.freeze()  # what is forked shares it


def _read_models() -> None:
    """Read what botocore knows of each service: clients that nobody asks anything leave it in the process."""
    from deploytasks.aws import session
    from deploytasks.aws.botocore_session import SharingSession
    from deploytasks.template import shape

    shape.model("ecs")
    warm = session._Session(SharingSession(None, threading.Event()), None)
    for service in SERVICES:
        client = warm.client(service, REGION)
        shared.EXCEPTIONS.create_client_exceptions(client.meta.service_model)
        for method in client.meta.method_to_api_mapping:
            client.can_paginate(method)


def _become(asked: Mapping[str, Any]) -> None:
    """This process is `inv`, and ends as it does."""
    from invoke.main import program

    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(asked["out"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["root"])
    sys.argv = ["inv", *asked["words"]]
    try:
        program.run(sys.argv)
    except SystemExit as ended:
        _end(ended.code)
    _end(0)


def _end(code: object) -> None:
    """Exit as Python does, but free no memory, which would copy the server's pages.

    Leave it to Python where the code is a message, or a stream rejects what is flushed.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
        if code is None or isinstance(code, int):
            os._exit(code or 0)
    raise SystemExit(code)


def _serve(asked: IO[str], told: IO[str]) -> None:
    """Fork until nobody asks any more."""
    for line in asked:
        pid = os.fork()
        if not pid:
            _become(json.loads(line))
            return
        told.write(f"{pid}\n")
        told.flush()
        told.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        told.flush()


def main() -> None:
    """Fork the servers, and wait until all of them have ended."""
    _import_everything()
    pipes = [int(each) for each in sys.argv[1:]]
    count = len(pipes) // 2
    for reading, writing in zip(pipes[:count], pipes[count:], strict=True):
        if not os.fork():
            _serve(os.fdopen(reading), os.fdopen(writing, "w"))
            return
    for _ in range(count):
        os.wait()


if __name__ == "__main__":
    main()
