"""Parse a Dockerfile into instructions with their line numbers; nothing is carried out here."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from deploytasks.errors import Complaint, Refusal, raise_all
from deploytasks.model.builders import ENGINE, INSTALL

SUPPORTED = (
    *("FROM", "ARG", "COPY", "ADD", "ENV", "LABEL", "MAINTAINER", "WORKDIR", "USER", "EXPOSE", "VOLUME"),
    *("ENTRYPOINT", "CMD", "SHELL", "HEALTHCHECK", "STOPSIGNAL"),
)

_FLAGS = {
    "FROM": ("--platform",),
    "COPY": ("--chown", "--chmod"),
    "ADD": ("--chown", "--chmod"),
    "HEALTHCHECK": ("--interval", "--timeout", "--start-period", "--start-interval", "--retries"),
}
_KNOWN_TO_ENGINES = ("RUN", "ONBUILD")
_NAMES_AND_VALUES = ("ARG", "ENV", "LABEL")
_CONTINUED = re.compile(r"(?<!\\)\\[ \t]*$")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(?P<character>\S+)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")
_HEREDOC = re.compile(r"(?<!\S)[0-9]*<<(?P<tabs>-?)(?P<quote>[\"']?)(?P<end>[A-Za-z_][\w.-]*)(?P=quote)(?!\S)")
_TAKE_HEREDOCS = ("RUN", "COPY", "ADD")
_INSTALL = f"{INSTALL}, or remove the line"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `flags` as written (`--chown=1:1` → `{"--chown": "1:1"}`), `text` the rest after them."""

    where: str
    name: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()

    def flag(self, name: str) -> str | None:
        """Return the flag's value, None if it is not given."""
        return dict(self.flags).get(name)

    def words(self) -> tuple[str, ...]:
        """Return the words of an exec form `["a"]`, or of plain text split at blanks.

        Quotes and variables are left as they are.
        """
        return exec_form(self.text) or tuple(self.text.split())

    def wrong(self, what: str, to_do: str = "") -> Refusal:
        """Return the refusal that names this line."""
        return Refusal(Complaint(self.where, what, to_do))


def parse(text: str, name: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile of one stage that needs no engine.

    Raises: Refusal with every instruction that needs one, by line, and what to install.
    """
    raise_all(Refusal, list(_escape_complaints(text, name)))  # every other line means something else then
    instructions = tuple(_instruction(f"{name}:{line}", logical) for line, logical in _logical_lines(text))
    complaints = [*_stage_complaints(instructions, name)]
    complaints += [complaint for each in instructions for complaint in _complaints(each)]
    raise_all(Refusal, sorted(complaints, key=_line))
    return instructions


def _line(complaint: Complaint) -> int:
    line = complaint.where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each instruction's first line number and its text, continued lines joined.

    Comments, blank lines and the bodies of heredocs are dropped.
    """
    first, gathered = 0, ""
    lines = iter(enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first if gathered else number
        shortened, continues = _CONTINUED.subn("", line)
        gathered += shortened if gathered else shortened.lstrip()
        if not continues:
            _skip_heredocs(gathered, lines)
            yield first, gathered.strip()
            gathered = ""
    if gathered.strip():
        yield first, gathered.strip()


def _skip_heredocs(logical: str, lines: Iterator[tuple[int, str]]) -> None:
    """Skip the bodies of the heredocs that a line begins, one after the other."""
    if logical.split(maxsplit=1)[0].upper() not in _TAKE_HEREDOCS:
        return
    for heredoc in _HEREDOC.finditer(logical):
        for _, line in lines:
            if (line.lstrip("\t") if heredoc["tabs"] else line) == heredoc["end"]:
                break


def _instruction(where: str, logical: str) -> Instruction:
    name, rest = (*logical.split(maxsplit=1), "")[:2]
    name, flags = name.upper(), []
    while name in _FLAGS and rest.startswith("--"):
        flag, *remaining = rest.split(maxsplit=1)
        flags.append((flag.partition("=")[0], flag.partition("=")[2]))
        rest = remaining[0] if remaining else ""
    return Instruction(where, name, rest, tuple(flags))


def _complaints(instruction: Instruction) -> Iterator[Complaint]:
    where, name = instruction.where, instruction.name
    if name not in SUPPORTED:
        if name in _KNOWN_TO_ENGINES:
            yield Complaint(where, f"{name} needs {ENGINE}", _INSTALL)
        else:
            yield Complaint(
                where, f"no instruction is called {name}", f"known: {', '.join((*SUPPORTED, *_KNOWN_TO_ENGINES))}"
            )
        return
    for flag in (flag for flag, _ in instruction.flags if flag not in _FLAGS[name]):
        yield Complaint(where, f"{name} {flag} needs {ENGINE}", _INSTALL)
    if not instruction.text:
        yield Complaint(where, f"{name} says nothing", "")
    elif name in _TAKE_HEREDOCS and _HEREDOC.search(instruction.text):
        yield Complaint(where, f"{name} of a heredoc needs {ENGINE}", _INSTALL)
    else:
        yield from _word_complaints(instruction)


def _word_complaints(instruction: Instruction) -> Iterator[Complaint]:
    if instruction.name not in _NAMES_AND_VALUES:
        return
    try:
        split(instruction.text)
    except Malformed as error:
        yield Complaint(instruction.where, str(error), "close it")


def _stage_complaints(instructions: Iterable[Instruction], name: str) -> Iterator[Complaint]:
    stages = [each for each in instructions if each.name == "FROM"]
    if not stages:
        yield Complaint(name, "there is no FROM", "begin with the image that yours is based on, or FROM scratch")
    for second in stages[1:]:
        yield Complaint(second.where, f"a second FROM (a multi-stage build) needs {ENGINE}", _INSTALL)
    first = next((each for each in instructions if each.name != "ARG"), None)
    if stages and first is not stages[0] and first is not None:
        yield Complaint(first.where, f"{first.name} comes before FROM", "only ARG may")


def _escape_complaints(text: str, name: str) -> Iterator[Complaint]:
    for number, line in enumerate(text.splitlines(), 1):
        if not _DIRECTIVE.match(line):
            return
        match = _ESCAPE.match(line)
        if match and match["character"] != "\\":
            yield Complaint(f"{name}:{number}", f"another escape character needs {ENGINE}", _INSTALL)


Lookup = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?", re.DOTALL)


class Malformed(ValueError):
    """A malformed word; the text says why."""


def split(text: str) -> tuple[str, ...]:
    """Return the words of a line with quotes and variables left as they are.

    Raises: Malformed if a quote is not closed.
    """
    found, word, quote, characters = [], "", "", iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            word += character + next(characters, "")
        elif not quote and character.isspace():
            found.append(word)
            word = ""
        else:
            quote = _quote_after(quote, character)
            word += character
    if quote:
        raise Malformed(f"the quote {quote} is not closed")
    return tuple(filter(None, [*found, word]))


def expand(word: str, variables: Lookup) -> str:
    """Return the word with its variables expanded and its quotes removed; an unknown variable is empty.

    Raises: Malformed if a `${` is malformed, or `${X:?reason}` is not satisfied.
    """
    return "".join(_expanded(word, variables))


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the words of `["a", "b"]`, None if the text is not such a list."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_list = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return tuple(found) if is_list else None


def _quote_after(quote: str, character: str) -> str:
    """Return the quote that is open after a character; "" for none."""
    if quote:
        return "" if character == quote else quote
    return character if character in "'\"" else ""


def _expanded(word: str, variables: Lookup) -> Iterator[str]:
    quote, at = "", 0
    while at < len(word):
        character = word[at]
        if character == "\\" and quote != "'":
            following = word[at + 1 : at + 2]
            plain = not quote or following in ('"', "$", "\\")
            yield following if plain else character + following
            at += 2
        elif character == "$" and quote != "'":
            value, at = _variable(word, at + 1, variables)
            yield value
        else:
            after = _quote_after(quote, character)
            if after == quote:
                yield character
            quote, at = after, at + 1
    if quote:
        raise Malformed(f"the quote {quote} is not closed")


def _variable(word: str, at: int, variables: Lookup) -> tuple[str, int]:
    """Return the value of the variable whose name begins at `at`, and the offset after the variable."""
    if word[at : at + 1] == "{":
        end = _closing(word, at)
        return _braced(word[at + 1 : end], variables), end + 1
    match = _NAME.match(word, at)
    return (variables.get(match[0], ""), match.end()) if match else ("$", at)


def _closing(word: str, at: int) -> int:
    """Return the offset of the brace that closes the one at `at`, skipping nested ones."""
    depth = 0
    for position in range(at, len(word)):
        depth += {"{": 1, "}": -1}.get(word[position], 0)
        if depth == 0:
            return position
    raise Malformed(f"{word!r}: a ${{ is not closed")


def _braced(inside: str, variables: Lookup) -> str:
    match = _BRACED.fullmatch(inside)
    if match is None:
        raise Malformed(f"${{{inside}}} is not a variable")
    name, how, rest = match[1], match[2] or "", match[3] or ""
    present = name in variables and (bool(variables[name]) or not how.startswith(":"))
    choices: dict[str, Callable[[], str]] = {
        "": lambda: variables.get(name, ""),
        "-": lambda: variables[name] if present else expand(rest, variables),
        "+": lambda: expand(rest, variables) if present else "",
        "?": lambda: variables[name] if present else _missing(name, expand(rest, variables)),
    }
    return choices[how.removeprefix(":")]()


def _missing(name: str, reason: str) -> str:
    raise Malformed(f"{name} is not set{': ' + reason if reason else ''}")
