"""Read the files of envs/, and report faults by file and key; the line is looked up only when it is shown."""

import errno
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.config.lines import dotted, locate
from deploytasks.config.names import is_name
from deploytasks.errors import Complaint
from deploytasks.model import Origin


class Fault(Struct, frozen=True):
    """One fault at `at`; `shown` is the key to name if it is not that of `at`, "" for none."""

    at: Origin
    what: str
    to_do: str = ""
    shown: str | None = None


def complaints(root: Path, faults: Iterable[Fault]) -> tuple[Complaint, ...]:
    """Return the faults as complaints with line numbers, each once, sorted by file and line."""
    found = [replace(fault, at=_located(root, fault.at)) for fault in dict.fromkeys(faults)]
    found.sort(key=lambda fault: (fault.at.file, fault.at.line))
    return tuple(Complaint(_where(fault), fault.what, fault.to_do) for fault in found)


def _located(root: Path, origin: Origin) -> Origin:
    return origin if origin.line or not origin.key else locate(root, origin)


def _where(fault: Fault) -> str:
    key = fault.at.key if fault.shown is None else fault.shown
    if key:
        return str(replace(fault.at, key=key))
    return f"{fault.at.file}:{fault.at.line}" if fault.at.line else fault.at.file


MOST_DEEP = 64
"""The deepest nesting of tables and lists."""
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


PROJECT_FILE = "envs/project.toml"

_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class Source(Struct, frozen=True):
    """One parsed file of envs/: `file` is relative to the root, `name` is the file's name without `.toml`.

    `moved` maps dotted keys of the data to those that stand in the file, where they differ.
    """

    file: str
    name: str
    data: dict[str, Any]
    moved: dict[str, str] = {}

    @property
    def is_project(self) -> bool:
        """Whether it is the project's own file, and not a tenant's."""
        return self.file == PROJECT_FILE

    def origin(self, key: str) -> Origin:
        """Return the origin of a dotted key in this file."""
        return Origin(self.file, self.moved.get(key, key))


def read_envs(root: Path, faults: list[Fault]) -> tuple[Source, ...]:
    """Return the readable files of envs/: project.toml, tenant `main`, the other tenants by name. Adds to `faults`."""
    paths = (root / "envs").glob("*.toml")
    tenants = [path for path in paths if path.name != "project.toml" and not path.name.startswith(".")]
    tenants.sort(key=lambda path: (path.stem != "main", path.stem))
    sources = (_read(path, f"envs/{path.name}", faults) for path in (root / PROJECT_FILE, *tenants))
    return tuple(source for source in sources if source is not None)


def table(data: Any, *path: str) -> dict[str, Any]:
    """Return the table at a path; an empty one if there is none."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


_HOW_TO_BEGIN = """\
write it: [project] with name, [registry] with account and region, and a table each [images.NAME],
[services.NAME] and [tiers.NAME]
docs/envs.md in deploytasks' own repository shows a complete one"""


def _read(path: Path, file: str, faults: list[Fault]) -> Source | None:
    if not is_name(path.stem):
        to_do = "rename it: lower-case letters, digits and dashes, a letter first, at most 63"
        faults.append(Fault(Origin(file, ""), f"'{path.stem}' can't be a tenant's name", to_do))
    try:
        if path.is_fifo():  # to read it would be to wait for whoever writes into it
            raise OSError(errno.EINVAL, "is a pipe")
        data = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        faults.append(_unreadable(file, path, error))
        return None
    if found := list(faults_in(file, data)):
        faults.extend(found)
        return None
    return Source(file, path.stem, data)


def _unreadable(file: str, path: Path, error: Exception) -> Fault:
    match error:
        case FileNotFoundError():
            return Fault(Origin(file, ""), "there is no such file", _HOW_TO_BEGIN)
        case IsADirectoryError():
            return Fault(Origin(file, ""), "is a directory, not a file", "move it elsewhere, or rename it")
        case OSError():
            return Fault(Origin(file, ""), f"can't be read: {error.strerror}")
        case UnicodeDecodeError():
            line = error.object[: error.start].count(b"\n") + 1
            return Fault(Origin(file, "", line), "is not UTF-8", "save it as UTF-8, as TOML wants it")
        case RecursionError():
            return Fault(Origin(file, ""), "is nested too deeply to be read", _FEWER)
        case ValueError() if not isinstance(error, tomllib.TOMLDecodeError):  # Python's limit on a number's digits
            text = path.read_text(encoding="utf-8-sig")
            found = re.search(r"[0-9][0-9_]{4000,}", text)
            line = text.count("\n", 0, found.start()) + 1 if found else 0
            return Fault(Origin(file, "", line), "holds a number of thousands of digits", "quote it, if it is text")
    return _syntax_fault(file, path, str(error))


_FEWER = f"at most {MOST_DEEP} tables and lists may stand inside each other"


def _syntax_fault(file: str, path: Path, message: str) -> Fault:
    found = _LINE.search(message)
    line = int(found[1]) if found else 0
    column = f" (column {found[2]})" if found else ""
    text = path.read_text(encoding="utf-8-sig").splitlines()[line - 1 : line] if line else []
    to_do = _how_to_quote(text[0]) if text else ""
    return Fault(Origin(file, "", line), f"is not TOML: {_LINE.sub('', message)}{column}", to_do)


_UNQUOTED = re.compile(r"""(?P<key>[\w.-]+)\s*=\s*(?P<value>0[0-9_]+|[A-Za-z_/][^"'\[\]{},#]*?)\s*(?:[,}#].*)?$""")


def _how_to_quote(line: str) -> str:
    """Return the advice on a line that TOML rejects because its value, text or digits, is not quoted.

    An account is shown as it should be; any other value may be confidential.
    """
    found = _UNQUOTED.search(line)
    if not found or found["value"] in ("true", "false"):
        return ""
    value = {"account": found["value"].replace("_", ""), "region": found["value"]}.get(found["key"].rpartition(".")[2])
    return f'quote it: {found["key"]} = "{value or "…"}"'
