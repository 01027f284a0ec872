"""`python -m deploytasks VERB`: set up a repository, and keep its copy of this package up to date.

Exit codes are those of the tasks, but 2 for a mistyped verb or flag, as argparse has it: nothing was changed.
"""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from deploytasks import __version__

VERBS = {
    "init": "write what a repository needs for its first release",
    "completion": "print the script by which bash, zsh or fish completes inv",
    "version": "say which copy of deploytasks this is",
    "upgrade": "bring the copy in this repository to another version",
}
"""Each verb with what it does; its file is `deploytasks/adoption/<verb>.py`, and only the one asked for is loaded."""

_ITSELF = "python -m deploytasks", "run the same command again"


def main(arguments: Sequence[str]) -> int:
    """Run the verb, and return the exit code."""
    from deploytasks.errors import DeployError
    from deploytasks.tasks import shell

    try:
        with shell.interruptible(*_ITSELF):
            shell.require_streams()
            verb, given = _parsed(arguments)
            for each in verb.run(given):
                shell.say(each, whole=True) if isinstance(each, str) else shell.show_exactly(each)
    except DeployError as error:
        shell.warn(str(error))
        return error.code
    return 0


def _parsed(arguments: Sequence[str]) -> tuple[Any, Any]:
    """Return the verb's module and its parsed flags."""
    from deploytasks.tasks import shell

    parser = ArgumentParser(prog=_ITSELF[0], allow_abbrev=False)
    parser.set_defaults(ask=shell.ask_for)
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(metavar="|".join(VERBS), required=True, dest="verb")
    asked = next((each for each in arguments if each in VERBS), "")
    module = import_module(f"deploytasks.adoption.{asked}") if asked else None
    made = {
        name: verbs.add_parser(name, help=does, description=does, allow_abbrev=False) for name, does in VERBS.items()
    }
    if module:
        module.arguments(made[asked])
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse(made[asked], unknown)
    return module, given


def _refuse(verb: ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Exit with the usage of the verb, what it does not know, and the nearest flags that it does."""
    from deploytasks.spelling import nearest

    flags = re.findall(r"--[a-z-]+", verb.format_usage())
    near = [found for each in unknown if (found := nearest(each.partition("=")[0], flags))]
    meant = f": did you mean {', '.join(near)}?" if near else ""
    verb.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")


def run() -> int:
    """Run the verb of the process's command line, and return the exit code."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
