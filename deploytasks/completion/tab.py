"""Answer one TAB: print what the last word may become, one a line. The scripts run this, and read the exit code.

Whatever goes wrong, nothing is printed: a shell's prompt is no place for an error.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from deploytasks.completion import line, seen
from deploytasks.completion.line import Known, Wanted
from deploytasks.config.names import project_names, tenant_names, tiers_of
from deploytasks.flags import Kind

WORDS, MORE, FILES, INVOKE, NOTHING = 0, 10, 11, 12, 1
"""The exit codes: take these words; more may follow the word at once; take files; ask Invoke; there is nothing."""

_OURS = re.compile(r"^(ns|namespace)\s*=\s*(\w+\.)?namespace\(", re.MULTILINE)
"""How a tasks.py makes our tasks its root namespace. In any other, the names of tasks are not known from here."""
_HARMLESS = re.compile(r"[\w.,:=/+@-]+", re.ASCII)
_MOST_READ = 300
"""Read at most so many files of tenants, for names of environments: it takes 0.2 ms each."""
_OF_CORE: dict[str, tuple[Kind, ...]] = {"config": ("files",), "f": ("files",), "search-root": ("files",)}


def answer(arguments: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and the text to print for `shell breaks core words…`.

    `breaks` are the characters at which the shell, if it is bash, begins a word of its own; `core` are Invoke's flags.
    """
    try:
        shell, breaks, core, *words = arguments
        return _answer(_split(words[0]) if shell == "bash" else words, breaks, core.split())
    except Exception:  # of whatever kind: see above
        return NOTHING, ""


def _split(text: str) -> list[str]:
    """Return the words of a bash line that ends at the cursor; the last is the one to complete, and may be empty."""
    for closing in ("", '"', "'"):
        try:
            *words, last = shlex.split(f"{text}|{closing}")
        except ValueError:
            continue
        return [*words, last.removesuffix("|")]
    return []


def _answer(words: Sequence[str], breaks: str, core: Sequence[str]) -> tuple[int, str]:
    root, text = _root(words)
    if not _OURS.search(text):
        return INVOKE, ""
    names, flags = project_names(root), seen.flags_of(core)
    flags = {typed: replace(flag, values=_OF_CORE.get(flag.name, ())) for typed, flag in flags.items()}
    rows = line.rows(names["tiers"], names["images"])
    wanted = line.wanted(words[1:], Known(rows, dict(seen.tasks(root)), flags))
    if "files" in wanted.kinds:
        return FILES, ""
    found = [each for each in (*wanted.words, *_names(wanted, root, names)) if each not in wanted.without]
    offered = (f"{wanted.before}{each}" for each in dict.fromkeys(found) if each.startswith(wanted.begun))
    kept = _kept(words[-1], breaks)
    printed = "".join(f"{each[kept:]}\n" for each in offered if _HARMLESS.fullmatch(each))
    return MORE if wanted.several and len(found) > 1 else WORDS, printed


def _kept(word: str, breaks: str) -> int:
    """Return how many characters bash keeps: those up to the last at which it begins a word of its own."""
    return 1 + max(word.rfind(each) for each in breaks) if breaks else 0


def _names(wanted: Wanted, root: Path, names: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the project's names of the wanted kinds."""
    for kind in wanted.kinds:
        match kind:
            case "tenants":
                yield from tenant_names(root)
            case "environments":
                yield from _environments(root, names["tiers"], wanted.begun)
            case "releases":
                yield from seen.releases(root, wanted.tier)
            case _:
                yield from names[kind]


def _environments(root: Path, tiers: Sequence[str], begun: str) -> Iterator[str]:
    """Yield the environments as shown, as far as they can begin so; none if too many files had to be read."""

    def may_begin(tenant: str) -> bool:
        return tenant == "main" or f"{tenant}-".startswith(begun) or begun.startswith(f"{tenant}-")

    tenants = [each for each in tenant_names(root) if may_begin(each)]
    for tenant in tenants if len(tenants) <= _MOST_READ else ():
        yield from (
            tier if tenant == "main" else f"{tenant}-{tier}" for tier in tiers_of(root, tenant) if tier in tiers
        )


def _root(words: Sequence[str]) -> tuple[Path, str]:
    """Return the folder of the tasks.py that Invoke would load, and the text of that file; "" if there is none."""
    start = Path.cwd() / Path(_value(words, "--search-root", "-r")).expanduser()
    name = _value(words, "--collection", "-c") or "tasks"
    for folder in (start, *start.parents):
        for file in (folder / f"{name}.py", folder / name / "__init__.py"):
            if file.is_file():
                return folder, file.read_text("utf-8", "replace")
    return start, ""


def _value(words: Sequence[str], *flags: str) -> str:
    """Return the value that a flag of Invoke's has in the words; "" if it is not there."""
    spaced = [following for word, following in pairwise(words[:-1]) if word in flags]
    joined = [word.partition("=")[2] for word in words[:-1] if word.partition("=")[0] in flags and "=" in word]
    return next(iter([*spaced, *joined]), "")
