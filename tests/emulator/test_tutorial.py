"""docs/tutorial.md, typed in one shell as it stands, on an emulator that the page itself starts."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.stand import emulator
from tests import pages

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]
PORT = "4566"
INSTALLS = re.compile(r".* -m venv |.*/pip install ")
_END = "--end of the command--"


class Shell:
    """A bash that is typed into."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.folder = Path()

    def type(self, line: str) -> tuple[int, str]:
        """Return a command's exit code, and what it printed."""
        if INSTALLS.match(line):
            return 0, ""  # both are there
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f'{line}\nprintf "\\n{_END} %s %s\\n" "$?" "$PWD"\n')
        self._process.stdin.flush()
        printed = []
        for each in self._process.stdout:
            if each.startswith(_END):
                code, folder = each.removeprefix(_END).split(maxsplit=1)
                self.folder = Path(folder.rstrip("\n"))
                return int(code), "".join(printed)
            printed.append(each)
        raise AssertionError(f"the shell ended at {line}:\n{''.join(printed)}")


@contextmanager
def bash(folder: Path) -> Iterator[Shell]:
    """A bash in the folder; afterwards it is gone, and what it started too."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    env = {**os.environ, "PYTHONPATH": str(pages.ROOT)}
    with subprocess.Popen(["bash"], cwd=folder, env=env, text=True, start_new_session=True, **pipes) as process:
        try:
            shell = Shell(process)
            shell.type("trap 'kill $(jobs -p) 2>/dev/null' EXIT")  # whatever becomes of this process
            yield shell
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_everything_that_the_tutorial_has_typed_does_what_it_shows(tmp_path: Path):
    (tmp_path / "checkout").mkdir()
    (tmp_path / "tutorial").mkdir()
    (tmp_path / "tutorial" / "tools").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "tutorial" / "emulator").symlink_to(emulator.PYTHON.parents[1])
    port = str(emulator.free_port())
    with bash(tmp_path / "checkout") as shell:
        pages.follow(pages.steps(pages.TUTORIAL, {PORT: port}), shell)
        shell.type("wait")  # the emulator has ended, too
    assert [each.name for each in tmp_path.iterdir()] == ["checkout"]


def test_what_it_installs_is_what_is_tested():
    (line,) = [
        line
        for step in pages.steps(pages.TUTORIAL)
        if isinstance(step, pages.Commands)
        for line in step.lines
        if "ministack==" in line
    ]
    required = (pages.ROOT / "examples/stand/requirements.txt").read_text().splitlines()
    assert pages.words(line)[2:] == [each for each in required if not each.startswith("#")]
