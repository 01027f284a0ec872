"""A Dockerfile's words: split at blanks outside quotes, `$variables` put in, quotes taken off."""

import json
import re
from collections.abc import Callable, Iterator, Mapping

Lookup = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?", re.DOTALL)


class Malformed(ValueError):
    """A word that is no word; the text says why."""


def split(text: str) -> tuple[str, ...]:
    """The words of a line as they stand, quotes and variables untouched.

    Raises: Malformed where a quote is not closed.
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
    """The word with its variables put in and its quotes taken off; an unknown variable is empty.

    Raises: Malformed where a `${` makes no sense, or `${X:?reason}` is not satisfied.
    """
    return "".join(_expanded(word, variables))


def exec_form(text: str) -> tuple[str, ...] | None:
    """The words of `["a", "b"]`, None where the text is no such list."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_list = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return tuple(found) if is_list else None


def _quote_after(quote: str, character: str) -> str:
    """The quote that is open after a character; "" for none."""
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
    """The value of the variable whose name begins at `at`, and where the text goes on."""
    if word[at : at + 1] == "{":
        end = _closing(word, at)
        return _braced(word[at + 1 : end], variables), end + 1
    match = _NAME.match(word, at)
    return (variables.get(match[0], ""), match.end()) if match else ("$", at)


def _closing(word: str, at: int) -> int:
    """Where the brace that opens at `at` closes, braces within it closed before."""
    depth = 0
    for position in range(at, len(word)):
        depth += {"{": 1, "}": -1}.get(word[position], 0)
        if depth == 0:
            return position
    raise Malformed(f"{word!r}: a ${{ is not closed")


def _braced(inside: str, variables: Lookup) -> str:
    match = _BRACED.fullmatch(inside)
    if match is None:
        raise Malformed(f"${{{inside}}} is no variable")
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
