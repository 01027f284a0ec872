"""The two ways out for something that is shown once: a sheet for people, one JSON document for programs.

Each returns why the stream did not take it: nothing where it did, or where its reader went away.
"""

import json
from typing import Any, TextIO

from deploytasks.report.outlet import Outlet, speaks_unicode
from deploytasks.report.sheet import Sheet
from deploytasks.report.text import escaped, harmless_document


def show(sheet: Sheet, stdout: TextIO) -> str:
    """The sheet stands on the stream: coloured and as wide as a terminal, else plain and as wide as it needs."""
    from deploytasks.report.paint import Terminal, plain  # rich, which --json does not need

    if stdout.isatty() and speaks_unicode(stdout):
        Terminal(stdout).put(sheet)
        return ""
    return _written(plain(sheet), stdout)


def show_json(document: Any, stdout: TextIO) -> str:
    """The document, and nothing else, stands on the stream."""
    return _written(dumped(document, stdout, indent=2) + "\n", stdout)


def show_exact_json(document: Any, stdout: TextIO, indent: int | None = 2) -> str:
    """The document stands on the stream with every value as it is, for a program that will use it.

    Nothing is masked or left out; what a terminal would obey is written as an escape of JSON's own.
    """
    text = json.dumps(document, ensure_ascii=not speaks_unicode(stdout), indent=indent)
    return _written(escaped(text) + "\n", stdout)


def dumped(document: Any, stdout: TextIO, *, indent: int | None = None) -> str:
    """The document as JSON that the stream can take."""
    return json.dumps(harmless_document(document), ensure_ascii=not speaks_unicode(stdout), indent=indent)


def _written(text: str, stdout: TextIO) -> str:
    outlet = Outlet(stdout)
    outlet.write(text)
    return outlet.lost
