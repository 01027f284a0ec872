"""Values that are derived from `env_var`: they are used as they are, and never shown."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
_SHORTEST = 4
"""Shorter texts are masked only where they stand, and not searched for: other words would contain them."""
_SHORTEST_PART = 8
"""How many characters of a secret are enough to recognize a part of it in a text that was cut."""


class Hidden(str):
    """A secret string of a rendered document. `sources` are the variables' values that it may be derived from."""

    sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str, sources: frozenset[str]) -> "Hidden":
        """Return the text as a Hidden with these sources."""
        made = cls(text)
        made.sources = sources
        return made


class HiddenInt(int):
    """A secret integer of a rendered document."""


class HiddenFloat(float):
    """A secret float of a rendered document."""


def is_hidden(value: Any) -> bool:
    """Return whether the value itself must not be shown."""
    return isinstance(value, Hidden | HiddenInt | HiddenFloat)


def shown(value: Any) -> str:
    """Return the value as text, or the mask if it must not be shown."""
    return MASK if is_hidden(value) else str(value)


def hidden_in(value: Any) -> frozenset[str]:
    """Return every secret text of the document, and the values they are derived from."""
    found: set[str] = set()
    _gather(value, found)
    return frozenset(found)


def masked(text: str, secrets: Iterable[str]) -> str:
    """Mask the secrets in the text: whole, as JSON escapes them, or cut."""
    listed = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)
    for secret in listed:
        text = text.replace(secret, MASK).replace(json.dumps(secret, ensure_ascii=False)[1:-1], MASK)
    for secret in listed:
        text = _without_parts(text, secret)
    return text


def _gather(value: Any, found: set[str]) -> None:
    match value:
        case Hidden():
            found.update((str(value), *value.sources))
        case str():  # most values: asking whether one is a Mapping takes five times as long
            return
        case HiddenInt() | HiddenFloat():
            found.add(str(value))
        case Mapping():
            for key, member in value.items():
                _gather(key, found)
                _gather(member, found)
        case list() | tuple():
            for item in value:
                _gather(item, found)


def _without_parts(text: str, secret: str) -> str:
    """Mask every substring that is part of the secret and at least `_SHORTEST_PART` long."""
    at = 0
    while at + _SHORTEST_PART <= len(text):
        end = at + _SHORTEST_PART
        if text[at:end] not in secret:
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        text = f"{text[:at]}{MASK}{text[end:]}"
        at += len(MASK)
    return text
