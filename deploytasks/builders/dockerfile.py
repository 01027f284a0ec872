"""Parse a Dockerfile into instructions with their line numbers; nothing is carried out here.

No library does it: `dockerfile` (BuildKit's own parser) and `e2b-dockerfile-utils` (a port of it) stop at the first
line that they refuse, where a build reports all of them. The one expands no variables, the other splits `COPY "a b"`
unlike Docker, and is new.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks.errors import Complaint, Refusal, raise_all
from deploytasks.model.builders import ENGINE, INSTALL

FLAGS: Mapping[str, tuple[str, ...]] = {
    "FROM": ("--platform",),
    "ARG": (),
    **dict.fromkeys(("COPY", "ADD"), ("--chown", "--chmod")),
    **dict.fromkeys(("ENV", "LABEL", "MAINTAINER", "WORKDIR", "USER", "EXPOSE", "VOLUME", "ENTRYPOINT", "CMD"), ()),
    "SHELL": (),
    "HEALTHCHECK": ("--interval", "--timeout", "--start-period", "--start-interval", "--retries"),
    "STOPSIGNAL": (),
}
"""The instructions that need no engine, and the flags of each that need none."""
_KNOWN_TO_ENGINES = ("RUN", "ONBUILD")
_NAMES_AND_VALUES = ("ARG", "ENV", "LABEL")
_CONTINUED = re.compile(r"(?<!\\)\\[ \t]*$")
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")
_OTHER_ESCAPE = re.compile(r"#\s*escape\s*=\s*(?!\\(?:\s|$))\S", re.IGNORECASE)
_FLAG = re.compile(r"(?P<name>--[^\s=]*)(?:=(?P<value>\S*))?\s*")
_HEREDOC = re.compile(r"(?<!\S)[0-9]*<<(?P<tabs>-?)(?P<quote>[\"']?)(?P<end>[A-Za-z_][\w.-]*)(?P=quote)(?!\S)")
_TAKE_HEREDOCS = ("RUN", "COPY", "ADD")
_INSTALL = f"{INSTALL}, or remove the line"
_WORD = re.compile(r"""(?:\\.?|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])+""", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_BRACED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<colon>:?)(?P<how>[-+?])(?P<rest>.*))?", re.DOTALL)

Variables = Mapping[str, str]


class Malformed(ValueError):
    """A malformed word; the text says why."""


class Instruction(Struct, frozen=True):
    """One instruction: `flags` as written (`--chown=1:1` → `{"--chown": "1:1"}`), `text` the rest after them.

    `variables` are those that are known where it is evaluated.
    """

    where: str
    name: str
    text: str
    flags: Mapping[str, str] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)

    def knowing(self, variables: Variables) -> "Instruction":
        """Return the instruction with these variables."""
        return replace(self, variables=variables)

    def said(self) -> str:
        """Return the text expanded."""
        return self.expand(self.text)

    def words(self) -> list[str]:
        """Return the words of an exec form `["a"]`, or of plain text split at blanks, each expanded."""
        return [self.expand(word) for word in exec_form(self.text) or self.text.split()]

    def flag(self, name: str) -> str:
        """Return the flag's value, expanded; "" if it is not given."""
        return self.expand(self.flags.get(name, ""))

    def expand(self, word: str) -> str:
        """Return the word expanded. Raises: Refusal naming this line if it is malformed."""
        try:
            return expand(word, self.variables)
        except Malformed as error:
            raise self.wrong(str(error)) from None

    def wrong(self, what: str, to_do: str = "") -> Refusal:
        """Return the refusal that names this line."""
        return Refusal(Complaint(self.where, what, to_do))


def parse(text: str, name: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile of one stage that needs no engine.

    Raises: Refusal with every instruction that needs one, by line, and what to install.
    """
    raise_all(Refusal, _escape_complaints(text, name))  # every other line means something else then
    instructions = tuple(_instruction(f"{name}:{line}", logical) for line, logical in _logical_lines(text))
    raise_all(Refusal, list(_complaints(instructions, name)))
    return instructions


def _escape_complaints(text: str, name: str) -> list[Complaint]:
    lines = enumerate(takewhile(_DIRECTIVE.match, text.splitlines()), 1)
    what = f"another escape character needs {ENGINE}"
    return [Complaint(f"{name}:{number}", what, _INSTALL) for number, line in lines if _OTHER_ESCAPE.match(line)]


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
    name, flags = name.upper(), {}
    while FLAGS.get(name) and (flag := _FLAG.match(rest)):
        flags[flag["name"]] = flag["value"] or ""
        rest = rest[flag.end() :]
    return Instruction(where, name, rest, flags)


def _complaints(instructions: Sequence[Instruction], name: str) -> Iterator[Complaint]:
    """Yield what needs an engine, and what is wrong, by line."""
    stages = [each for each in instructions if each.name == "FROM"]
    if not stages:
        yield Complaint(name, "there is no FROM", "begin with the image that yours is based on, or FROM scratch")
    first = next((each for each in instructions if each.name != "ARG"), None)
    for each in instructions:
        if each in stages[1:]:
            yield Complaint(each.where, f"a second FROM (a multi-stage build) needs {ENGINE}", _INSTALL)
        elif stages and each is first and each is not stages[0]:
            yield Complaint(each.where, f"{each.name} comes before FROM", "only ARG may")
        yield from (Complaint(each.where, what, to_do) for what, to_do in _wrong(each))


def _wrong(each: Instruction) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an instruction by itself, and what to do."""
    name, text = each.name, each.text
    if name in _KNOWN_TO_ENGINES:
        yield f"{name} needs {ENGINE}", _INSTALL
    elif name not in FLAGS:
        yield f"no instruction is called {name}", f"known: {', '.join((*FLAGS, *_KNOWN_TO_ENGINES))}"
    else:
        yield from ((f"{name} {flag} needs {ENGINE}", _INSTALL) for flag in each.flags if flag not in FLAGS[name])
        if not text:
            yield f"{name} says nothing", ""
        elif name in _TAKE_HEREDOCS and _HEREDOC.search(text):
            yield f"{name} of a heredoc needs {ENGINE}", _INSTALL
        elif name in _NAMES_AND_VALUES and (rest := _WORD.sub("", text).strip()):
            yield f"the quote {rest[0]} is not closed", "close it"


def split(text: str) -> tuple[str, ...]:
    """Return the words of a line in which every quote is closed; quotes and variables are left as they are."""
    return tuple(_WORD.findall(text))


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the words of `["a", "b"]`, None if the text is not such a list."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_list = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return tuple(found) if is_list else None


def expand(word: str, variables: Variables) -> str:
    """Return the word with its variables expanded and its quotes removed; an unknown variable is empty.

    Raises: Malformed if a quote or a `${` is malformed, or `${X:?reason}` is not satisfied.
    """
    text, quote, at = "", "", 0
    while at < len(word):
        character, following = word[at], word[at + 1 : at + 2]
        at += 1
        if character == "\\" and quote != "'":
            text += following if not quote or following in ('"', "$", "\\") else character + following
            at += 1
        elif character == "$" and quote != "'":
            value, at = _variable(word, at, variables)
            text += value
        elif character == quote or (not quote and character in "'\""):
            quote = "" if quote else character
        else:
            text += character
    if quote:
        raise Malformed(f"the quote {quote} is not closed")
    return text


def _variable(word: str, at: int, variables: Variables) -> tuple[str, int]:
    """Return the value of the variable whose name begins at `at`, and the offset after the variable."""
    if word[at : at + 1] != "{":
        match = _NAME.match(word, at)
        return (variables.get(match[0], ""), match.end()) if match else ("$", at)
    depth = 0
    for end in range(at, len(word)):
        depth += {"{": 1, "}": -1}.get(word[end], 0)
        if depth == 0:
            return _braced(word[at + 1 : end], variables), end + 1
    raise Malformed(f"{word!r}: a ${{ is not closed")


def _braced(inside: str, variables: Variables) -> str:
    match = _BRACED.fullmatch(inside)
    if match is None:
        raise Malformed(f"${{{inside}}} is not a variable")
    name, how = match["name"], match["how"]
    value = variables.get(name, "")
    is_set = bool(value) if match["colon"] else name in variables
    if how is None or is_set is (how != "+"):
        return "" if how == "+" else value
    rest = expand(match["rest"], variables)
    if how == "?":
        raise Malformed(f"{name} is not set{': ' + rest if rest else ''}")
    return rest
