"""Match `.dockerignore` patterns as BuildKit does: which paths of a build context the image may see.

Source: github.com/moby/patternmatcher, and the walk of github.com/tonistiigi/fsutil: from the top directory down,
each path decided with what matched the directory above it.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from deploytasks.errors import Complaint, Invalid, raise_all

_CLASS = r"\[\^?(?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+\]"
_WELL_FORMED = re.compile(rf"(?:\\.|{_CLASS}|[^\\\[])*", re.DOTALL)
_SPECIAL = re.compile(r"[*?\\\[\]]")
_UNKNOWN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[^\WdDsSwWbBafnrtv_]", re.ASCII)
_ESCAPED = frozenset(".+()|{}$")
_SYNTAX = "write it as in https://docs.docker.com/build/concepts/context/#syntax"


@dataclass(frozen=True, slots=True)
class _Pattern:
    is_exception: bool
    expression: re.Pattern[str]


class Matcher:
    """The patterns of one `.dockerignore`, each given as its text and whether it is an exception (`!text`)."""

    def __init__(self, patterns: Iterable[tuple[str, bool]]) -> None:
        given = list(patterns)
        self._patterns = [_Pattern(is_exception, _compiled(text)) for text, is_exception in given]
        self._exceptions = [text for text, is_exception in given if is_exception]
        self._decided = cache(self._decide)

    def ignores(self, path: str) -> bool:
        """Return whether a path relative to the context is ignored."""
        return self._decided(path)[0]

    def ignores_tree(self, directory: str) -> bool:
        """Return whether a directory is ignored and no exception can match anything below it."""
        return self.ignores(directory) and not any(_may_match_below(each, directory) for each in self._exceptions)

    def _decide(self, path: str) -> tuple[bool, tuple[bool, ...]]:
        """Return whether the path is ignored, and which patterns matched it or a directory above it."""
        parent = posixpath.dirname(path)
        matches = [*self._decided(parent)[1]] if parent else [False] * len(self._patterns)
        ignored = False
        for number, pattern in enumerate(self._patterns):
            if not matches[number] and pattern.is_exception == ignored:
                matches[number] = pattern.expression.match(path) is not None
            if matches[number]:
                ignored = not pattern.is_exception
        return ignored, tuple(matches)


def parse(text: str, name: str = ".dockerignore") -> Matcher:
    """Return the matcher of the text; "" ignores nothing.

    Raises: Invalid with every malformed pattern, by line.
    """
    patterns, complaints = list[tuple[str, bool]](), list[Complaint]()
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        written = line.strip()
        if line.startswith("#") or not written:
            continue
        is_exception = written.startswith("!")
        pattern = _clean(written.removeprefix("!").strip())
        if fault := _fault(pattern, is_exception=is_exception):
            complaints.append(Complaint(f"{name}:{number}", f"{written!r} {fault}", _SYNTAX))
        else:
            patterns.append((pattern, is_exception))
    raise_all(Invalid, complaints)
    return Matcher(patterns)


def wildcard(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern as Go's filepath.Match reads it: there `**` is the same as `*`.

    Raises: Invalid if the pattern is malformed.
    """
    plain = re.sub(r"\*+", "*", pattern)
    if fault := _fault(plain, is_exception=False):
        raise Invalid.of(pattern, fault, "fix it")
    return re.compile("".join(_pieces(plain)) + r"\Z", re.ASCII)


def _may_match_below(pattern: str, directory: str) -> bool:
    """Return whether a pattern could match a path below the directory, judged by its depth and its beginning."""
    special = _SPECIAL.search(pattern)
    literal = pattern[: special.start()] if special else pattern
    unbound = "**" in pattern or "[" in pattern
    deep_enough = unbound or pattern.count("/") > directory.count("/")
    return deep_enough and (f"{directory}/".startswith(literal) or literal.startswith(f"{directory}/"))


def _clean(pattern: str) -> str:
    """Return what Go's filepath.Clean does, without a leading slash: every pattern is relative to the context."""
    cleaned = posixpath.normpath(pattern) if pattern else ""
    return cleaned.lstrip("/") or "/" if cleaned.startswith("/") else cleaned


def _fault(pattern: str, *, is_exception: bool) -> str:
    """Return why BuildKit refuses a pattern; "" if it does not."""
    if is_exception and pattern in ("", "/"):
        return "is an exception of nothing"
    if not _WELL_FORMED.fullmatch(pattern):
        return "has a malformed [ ] or ends with a backslash"
    if _UNKNOWN_ESCAPE.search(pattern):
        return "has a backslash before a letter or digit"
    try:
        _compiled(pattern)
    except re.error as error:
        return f"is malformed: {error}"
    return ""


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern as patternmatcher reads it.

    That is text, a suffix (`**/a`), a prefix (`a/**`), or an expression.
    """
    if pattern.startswith("**") and not _SPECIAL.search(pattern, 2):
        suffix = re.escape(pattern[2:])
        return re.compile(rf"(?:.*{suffix}|{suffix.removeprefix('/')})\Z", re.DOTALL)
    if pattern.endswith("**") and not _SPECIAL.search(pattern[:-2]):
        return re.compile(re.escape(pattern[:-2]))
    if not _SPECIAL.search(pattern):
        return re.compile(re.escape(pattern) + r"\Z")
    return re.compile("".join(_pieces(pattern)) + r"\Z", re.ASCII)


def _pieces(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        character, following = pattern[at], pattern[at + 1 : at + 2]
        at += 1
        match character:
            case "*" if following == "*":
                at += 2 if pattern[at + 1 : at + 2] == "/" else 1
                yield "(?:.*/)?" if at < len(pattern) else ".*"
            case "*":
                yield "[^/]*"
            case "?":
                yield "[^/]"
            case "\\":
                at += 1
                yield f"\\{following}"
            case _:
                yield f"\\{character}" if character in _ESCAPED else character
