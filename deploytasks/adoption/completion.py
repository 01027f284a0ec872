"""`python -m deploytasks completion SHELL`: print the script by which a shell completes `inv`."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from invoke.program import Program

import deploytasks
from deploytasks.completion.seen import typed

SHELLS = ("bash", "zsh", "fish")
_RUN = """\
import sys; sys.path.append(sys.argv[1]); from deploytasks.completion.tab import answer; \
code, text = answer(sys.argv[2:]); sys.stdout.write(text); sys.exit(code)"""
"""What each TAB runs, with -I and -S: nothing but the standard library and this package, in a third of the time."""


def arguments(parser: ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument("shell", choices=SHELLS, help="the script's first lines say how to install it")


def run(given: Namespace) -> Iterator[str]:
    """Yield the lines of the shell's script."""
    folder = str(Path(deploytasks.__file__).resolve().parents[1])
    command = shlex.join([sys.executable, "-ISc", _RUN, folder])
    core = shlex.quote(" ".join(typed(Program().initial_context)))
    script = files("deploytasks.completion").joinpath(f"inv.{given.shell}").read_text("utf-8")
    yield from script.replace("@COMMAND@", command).replace("@CORE@", core).splitlines()
