"""Definitions with their secrets masked, so that they may be shown; that a secret differs stays visible. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploytasks.model import Definition
from deploytasks.report.secrets import MASK, looks_secret, veil

Path = tuple[str, ...]
"""Where something stands: `("containerDefinitions", "api", "environment", "LOG_LEVEL", "value")`."""

_NAMES = ("name", "key", "containerName", "sourceContainer", "containerPath", "containerPort", "namespace", "type")
"""Which member of an object tells it from the others of its list."""

_ASSIGNMENT = re.compile(r"(-{0,2}[A-Za-z][\w.-]*=)(.+)", re.DOTALL)
_REFERENCES = frozenset({"valueFrom", "credentialsParameter", "key", "name"})
"""Members that name a secret, or anything else, and are none."""

_SHORTEST = 6


def masked(before: Definition | None, after: Definition | None) -> tuple[Definition | None, Definition | None]:
    """Both definitions without their secrets. Where a secret differs between the two, its masks do."""
    secrets = dict(_secrets(before or {})), dict(_secrets(after or {}))
    known = frozenset(value for found in secrets for value in found.values() if len(value) >= _SHORTEST)
    differing = {path for path in secrets[0].keys() & secrets[1].keys() if secrets[0][path] != secrets[1][path]}
    words = tuple(
        {path: f"{MASK} ({side})" if path in differing else MASK for path in found}
        for found, side in zip(secrets, ("before", "after"), strict=True)
    )
    return (
        None if before is None else _without(before, (), words[0], known),
        None if after is None else _without(after, (), words[1], known),
    )


def named(item: Any, index: int) -> str:
    """What a list's item is called in a path: by its telling member, else by its place."""
    if not isinstance(item, Mapping):
        return str(index)
    return next((str(item[key]) for key in _NAMES if key in item), str(index))


def _secrets(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every secret of the value with its path."""
    match value:
        case Mapping():
            for key, member in value.items():
                if isinstance(member, str) and member and _hides(value, key):
                    yield (*path, key), member
                else:
                    yield from _secrets(member, (*path, key))
        case list() | tuple():
            for index, item in enumerate(value):
                own = (*path, named(item, index))
                if isinstance(item, str):
                    yield from ((own, secret) for secret in _in_words(value, index) if secret)
                else:
                    yield from _secrets(item, own)


def _hides(owner: Mapping[str, Any], key: str) -> bool:
    """Whether what stands under the key is secret: by its own name, or by that of the variable whose value it is."""
    if key == "value":
        return looks_secret(str(owner.get("name", owner.get("key", ""))))
    reference = key in _REFERENCES or str(owner[key]).startswith("arn:")
    return not reference and looks_secret(key)


def _in_words(words: Any, index: int) -> Iterator[str]:
    """The secret in one word of a command line: after `--password`, or in `--password=…`."""
    before = str(words[index - 1]) if index else ""
    assignment = _ASSIGNMENT.fullmatch(words[index])
    if before.startswith("-") and "=" not in before and looks_secret(before):
        yield words[index]
    elif assignment and looks_secret(assignment[1]):
        yield assignment[2]


def _without(value: Any, path: Path, words: Mapping[Path, str], known: frozenset[str]) -> Any:
    """The value, with masks where its secrets stand, and wherever else the same text appears."""
    match value:
        case str() if path in words:
            assignment = _ASSIGNMENT.fullmatch(value)
            kept = assignment[1] if assignment and looks_secret(assignment[1]) and path[-1].isdigit() else ""
            return kept + words[path]
        case str():
            return veil(value, known)
        case Mapping():
            return {key: _without(member, (*path, key), words, known) for key, member in value.items()}
        case list() | tuple():
            return [_without(item, (*path, named(item, at)), words, known) for at, item in enumerate(value)]
        case _:
            return value
