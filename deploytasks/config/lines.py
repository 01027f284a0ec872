"""Find the line of a key in a TOML file: tomllib reports lines only for syntax errors.

Best effort, for text that tomllib has read already: headers, keys and dotted keys. A key inside an inline table or an
array is found at the line of the key that holds it.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.model import Origin

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_PARTS = re.compile(_PART)
_HEADER = re.compile(rf"\s*\[\[?[ \t]*({_KEY})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"\s*({_KEY})[ \t]*=")
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[^"'#\[\]{}\n]+|.''', re.DOTALL
)


def dotted(*parts: str) -> str:
    """Return the parts as one TOML key; quote a part that is not a bare key."""
    return ".".join(map(_quoted, parts))


def parts(key: str) -> tuple[str, ...]:
    """Return the parts of a TOML key, unquoted."""
    found = _PARTS.findall(key)
    return tuple(str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part for part in found)


def locate(root: Path, origin: Origin) -> Origin:
    """Return the origin with the line of the key itself, else of the nearest table around it.

    The line is 0 if the file has neither.
    """
    try:
        text = (root / origin.file).read_text("utf-8-sig")
    except (OSError, ValueError):
        return origin
    return replace(origin, line=line_of(text, parts(origin.key)))


def line_of(text: str, path: tuple[str, ...]) -> int:
    """Return the line of a key's path, or of the nearest table around it; 0 if the text has neither."""
    lines = _lines(text)
    return next((lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines), 0)


@lru_cache(maxsize=64)
def _lines(text: str) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    for statement in statements(text):
        for size in range(1, len(statement.path) + 1):
            lines.setdefault(statement.path[:size], statement.line)
    return lines


class Statement(Struct, frozen=True):
    """A header or an assignment, which may span lines; or a line without either, whose `path` is empty.

    `text` is the statement without comments, `table` the path of the table that it stands in: a header's own.
    """

    line: int
    text: str
    table: tuple[str, ...]
    path: tuple[str, ...]


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a file; each begins on the line after the one before."""
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        path: tuple[str, ...] = ()
        if header := _HEADER.match(statement):
            path = table = parts(header[1])
        elif assignment := _ASSIGNMENT.match(statement):
            path = table + parts(assignment[1])
        yield Statement(line, statement, table, path)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the line it begins at; skip comments."""
    begin, line, depth, pieces = 1, 1, 0, list[str]()
    for token in _TOKEN.findall(text):
        line += token.count("\n")
        depth += (token in ("[", "{")) - (token in ("]", "}"))
        if token == "\n" and depth <= 0:
            yield begin, "".join(pieces)
            begin, depth, pieces = line, 0, []
        elif not token.startswith("#"):
            pieces.append(token)
    yield begin, "".join(pieces)


@lru_cache(maxsize=4096)
def _quoted(part: str) -> str:
    if _BARE.fullmatch(part):
        return part
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in escaped) + '"'
