"""Interactive shells on a terminal of their own, in which a test types, presses TAB, and reads the line."""

import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hanging import HANGS_S

REPOSITORY = Path(__file__).parent.parent
_CLEAR = "\x15"
_SHOW = "\x18s"
_START = {"bash": ["bash", "--noprofile", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}
_SETUP = {
    "bash": "bind 'set completion-query-items 0'; bind 'set page-completions off'; bind 'set bell-style none'; "
    """show() { printf '%s' "$READLINE_LINE" >"$SHOWN.new" && mv "$SHOWN.new" "$SHOWN"; }; bind -x '"\\C-xs": show'""",
    "zsh": "unsetopt beep; show() { printf '%s' \"$BUFFER\" >$SHOWN.new && mv $SHOWN.new $SHOWN }; "
    "zle -N show; bindkey '^Xs' show",
}


@dataclass
class Terminal:
    """A shell that waits for a line; `said` is all that it ever printed."""

    terminal: int
    shown: Path
    said: str = ""

    def after_tab(self, line: str, tabs: str = "\t") -> str:
        """The line that stands there once `line` and TAB were typed; it is cleared then, and never run."""
        self.shown.unlink(missing_ok=True)
        self._type(line + tabs + _SHOW)
        text = self._wait()
        self._type(_CLEAR)
        return text

    def run(self, command: str) -> None:
        """Run a command, and wait until it is done."""
        self.shown.unlink(missing_ok=True)
        self._type(f"{command}; touch $SHOWN\n")
        self._wait()

    def _type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def _wait(self) -> str:
        ends = time.monotonic() + HANGS_S
        while not self.shown.exists():
            assert time.monotonic() < ends, f"the line was never shown; the terminal has:\n{self.said}"
            self._read(0.01)
        self._read(0)
        return self.shown.read_text().rstrip("\n")

    def _read(self, wait_s: float) -> None:
        while select.select([self.terminal], [], [], wait_s)[0]:
            self.said += os.read(self.terminal, 65536).decode(errors="replace")


def require(shell: str) -> None:
    """Skip the test where the shell is not installed; fail it where CI has to have it."""
    if shutil.which(shell) is None:
        (pytest.fail if os.environ.get("REQUIRE_DOCKER") == "1" else pytest.skip)(f"there is no {shell}")


def environment(home: Path) -> dict[str, str]:
    """What a user's shell has, with `inv` and `python` being those of the tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "PYTHONPATH": str(REPOSITORY), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


@contextmanager
def terminal(shell: str, folder: Path, home: Path) -> Iterator[Terminal]:
    """A shell in the folder, with the completion script loaded as its head says."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 500))
    shown = home / "shown"
    env = {**environment(home), "SHOWN": str(shown)}
    process = subprocess.Popen(
        _START[shell], cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        typing = Terminal(ours, shown)
        typing.run(_SETUP[shell])
        typing.run(f'eval "$(python -m deploytasks completion {shell})"')
        yield typing
    finally:
        os.close(ours)
        process.terminate()
        process.wait(HANGS_S)
