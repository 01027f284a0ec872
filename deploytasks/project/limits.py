"""Refuse what TOML can write and nothing behind it can carry: endless nesting and numbers, NUL characters.

Everything that reads a file's values afterwards may recurse, and may write any number and text.
"""

from collections.abc import Iterator
from typing import Any

from deploytasks.model import Origin
from deploytasks.project.faults import Fault
from deploytasks.project.toml_lines import dotted

MOST_DEEP = 64
"""So many tables and lists may stand inside each other."""
_SHOWN_DEPTH = 8
_SHOWN_CHARACTERS = 60


def faults_in(file: str, data: dict[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each value that is nested too deeply, has more than 64 bits, or holds a NUL character."""
    waiting: list[tuple[tuple[str, ...], int, Any]] = [((), 0, data)]
    while waiting:
        path, depth, value = waiting.pop()
        if depth > MOST_DEEP:
            what = f"is nested too deeply: more than {MOST_DEEP} tables and lists inside each other"
            yield Fault(Origin(file, dotted(*path[:_SHOWN_DEPTH])), what, "use fewer, or write it as text")
        elif isinstance(value, dict):
            waiting += [((*path, key), depth + 1, each) for key, each in value.items() if "\0" not in key]
            yield from (_nul(file, path, f"the key '{_cut(key)}'") for key in value if "\0" in key)
        elif isinstance(value, list):
            waiting += [(path, depth + 1, each) for each in value]
        elif isinstance(value, str) and "\0" in value:
            yield _nul(file, path, "the text")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            to_do = f'quote it, if it is text: {path[-1]} = "…"'
            what = "is a number of more than 64 bits, which TOML does not know"
            yield Fault(Origin(file, dotted(*path)), what, to_do)


def _nul(file: str, path: tuple[str, ...], holder: str) -> Fault:
    what = f"{holder} holds a NUL character, which no name, path, variable or request can"
    return Fault(Origin(file, dotted(*path)), what, "take it out")


def _cut(text: str) -> str:
    plain = text.replace("\0", "")
    return plain if len(plain) <= _SHOWN_CHARACTERS else f"{plain[:_SHOWN_CHARACTERS]}…"
