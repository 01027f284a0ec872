"""Which files of a build context an image may see: all but what `.dockerignore` names."""

import os
from collections.abc import Iterator
from pathlib import Path

from docker.utils.build import PatternMatcher


def ignore_patterns(context: Path, dockerfile: Path) -> list[str]:
    """The patterns of `<Dockerfile>.dockerignore`, else of the context's `.dockerignore`; empty where neither is."""
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            lines = candidate.read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return []


def visible(context: Path, dockerfile: Path) -> frozenset[str]:
    """Every path below the context that may be copied, relative, directories included."""
    matcher = PatternMatcher(ignore_patterns(context, dockerfile))
    matcher.patterns.pop()  # the library's own exception, which would let `.dockerignore` in whatever it says
    return frozenset(_with_parents(matcher.walk(context)))


def _with_parents(paths: Iterator[str]) -> Iterator[str]:
    """An ignored directory that holds an exception (`!kept/file`) is seen as far as the exception needs it."""
    for path in paths:
        yield path
        while path := os.path.dirname(path):  # noqa: PTH120 - thousands of strings, no Path needed
            yield path
