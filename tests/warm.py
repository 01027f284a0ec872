"""Whole `inv` commands at a third of their price: a process that has imported everything forks one for each of them.

What is forked is a process like any other: it reads tasks.py, runs to its end or to a signal, and exits. As a
program, this is the process that forks: a command a line in, its pid and its exit code out.
"""

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from benchmarks.stage import ROOT


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: a signal's number negated, or its exit code; and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Warm:
    """The process that forks; one command at a time."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        command, pipe = [sys.executable, "-m", "tests.warm"], subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, root: Path, env: Mapping[str, str], *words: str) -> int:
        """`inv WORDS` runs in the folder, with this environment and no other; its pid."""
        asked = {"root": str(root), "env": dict(env), "words": words, "out": str(self._scratch)}
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> Done:
        """How the command ended that was started last."""
        code = int(self._process.stdout.readline())
        return Done(code, *((self._scratch / name).read_text() for name in ("stdout", "stderr")))


def _import_everything() -> None:
    import deploytasks

    for module in pkgutil.walk_packages(deploytasks.__path__, "deploytasks."):
        import_module(module.name)


def _become(asked: Mapping[str, Any]) -> None:
    """This process is `inv`, and ends as it does."""
    from invoke.main import program

    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(asked["out"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["root"])
    program.run(["inv", *asked["words"]])


def main() -> None:
    """Forks until nobody asks any more."""
    _import_everything()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become(json.loads(line))
            return
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
