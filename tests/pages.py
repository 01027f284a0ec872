"""Pages of docs/ as tests take them: the files that a page shows, the commands that it has typed, what they print.

In the order of the page, a fenced block is one of these:

- ```sh: commands, one a line. Each ends with 0, but the last one if the output says otherwise.
- ```text, after ```sh: all that these print, but for times, hashes and names. A line `…` stands for any lines;
  `(exit code 2)` at its end is the last command's exit code.
- Any other, which begins with a comment that names a file: `# envs/mb.toml` is a whole file. `# add to envs/mb.toml`
  gives tables, whose lines go below the headers that are there, and else to its end.
- ``` with no language: an illustration, which no test takes.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HOW_TOS = sorted((DOCS / "how-to").glob("*.md"))
TUTORIAL = DOCS / "tutorial.md"
PAGES = (TUTORIAL, *HOW_TOS)
DOCUMENTS = sorted([ROOT / "README.md", *DOCS.glob("**/*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^(?:#|//|\{#-?) (?P<add>add to )?(?P<path>[\w./-]+\.\w+|[\w/]*Dockerfile)(?:: .*?)?(?: -?#\})?\n")
_VARIES = re.compile(
    r"\b(?:\d{8}T\d{6}Z|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\dZ)?|\d\d:\d\d:\d\d|\d+s|[0-9a-f]{12}|[0-9a-f]{7})\b"
    r"|\b[\w.-]+@[\w.-]+\b(?=,|:|\)| |$)"
)
"""Times, ages, hashes, and who did it: the page shows one example."""
_NAMES = re.compile(r"(tag|deploy|release)\.<(?:first )?tier>")
_CODE = re.compile(r"\n\(exit code (\d+)\)\s*\Z")


class File(Struct, frozen=True):
    """A file that a page shows: the whole of it, or tables to add to it."""

    path: str
    text: str
    is_added: bool

    def write(self, root: Path) -> None:
        """Do in the repository what a reader does."""
        file = root / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(added(file.read_text(), self.text) if self.is_added else self.text)


class Commands(Struct, frozen=True):
    """What is typed, one after the other; `output` is what the page shows of it, None if nothing."""

    lines: tuple[str, ...]
    code: int = 0
    output: str | None = None


class Typist(Protocol):
    """Types commands, each in the folder in which the one before ended."""

    folder: Path

    def type(self, line: str) -> tuple[int, str]:
        """Return a command's exit code, and what it printed."""
        ...


Step = File | Commands


def steps(page: Path, instead: Mapping[str, str] = {}) -> Iterator[Step]:
    """Yield what a reader of the page does, in order; `instead` maps a page's text to this machine's."""
    text = page.read_text()
    for old, new in instead.items():
        text = text.replace(old, new)
    blocks = [(language, text) for language, text in _BLOCK.findall(text) if language]
    for number, (language, text) in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
        if language == "sh":
            yield _commands(text, following[1] if following[0] == "text" else None)
        elif language != "text":
            yield _file(page, text)


def follow(steps: Iterable[Step], typist: Typist) -> None:
    """Write each file and type each command; what these end with and print is what the page says."""
    for step in steps:
        if isinstance(step, File):
            step.write(typist.folder)
            continue
        typed = [(line, *typist.type(line)) for line in step.lines]
        codes = [code for _, code, _ in typed]
        assert codes == [*[0] * (len(codes) - 1), step.code][: len(codes)], typed
        printed = "\n".join(output.strip("\n") for _, _, output in typed if output.strip())
        assert step.output is None or fits(step.output, printed), printed


def files(page: Path, suffix: str) -> list[File]:
    """Return the page's files of this kind."""
    return [step for step in steps(page) if isinstance(step, File) and step.path.endswith(suffix)]


def _commands(text: str, output: str | None) -> Commands:
    lines = tuple(line for line in text.splitlines() if line.strip())
    if output is None:
        return Commands(lines)
    code = _CODE.search(output)
    return Commands(lines, int(code[1]) if code else 0, _CODE.sub("\n", output))


def _file(page: Path, text: str) -> File:
    named = _FILE.match(text)
    assert named, f"{page.name}: the first line of this block names no file:\n{text}"
    return File(named["path"], text if not named["add"] else text[named.end() :], bool(named["add"]))


def added(there: str, text: str) -> str:
    """Return a TOML file with the tables of another added, each below its own header if that is there."""
    _, *tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    for table in tables:
        header, _, lines = table.partition("\n")
        head = re.compile(rf"^{re.escape(header.partition(']')[0])}\].*\n", re.MULTILINE)
        if head.search(there):
            there = head.sub(lambda found, lines=lines: found[0] + lines.rstrip("\n") + "\n", there, count=1)
        else:
            there = f"{there.rstrip()}\n\n{table}"
    return there


def fits(expected: str, output: str) -> bool:
    """Whether the output is what the page shows: but for what varies, and for blanks."""
    lines = _normal(expected).splitlines()
    pattern = "".join(r"(?:.*\n)*" if line == "…" else f"{re.escape(line)}\n".replace("…", ".*") for line in lines)
    return re.fullmatch(pattern, f"{_normal(output)}\n") is not None


def _normal(text: str) -> str:
    lines = (re.sub(r"(?<=\S) {2,}", "  ", _VARIES.sub("¤", line).rstrip()) for line in text.strip("\n").splitlines())
    return "\n".join("…" if line.strip() == "…" else line for line in lines)


def mentioned(page: Path) -> list[list[str]]:
    """Return the words of each `inv` with a task that a document has in its text, a table or a block.

    `<tier>` and the like become names of this repository.
    """
    text = page.read_text().replace("\\|", "|")
    spans = re.findall(r"(?<!`)`(inv [^`\n]+)`", _BLOCK.sub("", text))
    typed = re.findall(r"^(?:\$ )?(inv [a-z]+\S*(?: \S+)*)", text, re.MULTILINE)
    named = (
        _NAMES.sub(r"\1.dev", each.replace("<image>", "app").replace("build.nginx", "build.app")) for each in spans
    )
    return [words(each) for each in [*named, *typed] if not each.startswith("inv --")]


def words(line: str) -> list[str]:
    """Return the words of a command, its comment left out."""
    return shlex.split(line, comments=True)
