"""Values that `env_var` took part in: they are used as they are, and never shown."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "***"
_SHORTEST = 4
"""Shorter texts are masked where they stand and not looked for elsewhere: they would be masked out of other words."""
_SHORTEST_PART = 8
"""Where a text was cut, so many characters of it are known again."""


class Hidden(str):
    """A text of a rendered document. `sources` are the variables' values that it may have been made from."""

    sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str, sources: frozenset[str]) -> "Hidden":
        """Return the text, to be kept back together with its sources."""
        made = cls(text)
        made.sources = sources
        return made


class HiddenInt(int):
    """A whole number of a rendered document."""


class HiddenFloat(float):
    """Another number of a rendered document."""


def is_hidden(value: Any) -> bool:
    """Return whether the value itself is not to be shown."""
    return isinstance(value, Hidden | HiddenInt | HiddenFloat)


def shown(value: Any) -> str:
    """Return the value as it may be shown."""
    return MASK if is_hidden(value) else str(value)


def hidden_in(value: Any) -> frozenset[str]:
    """Return every text of the document that is not to be shown, and what those were made from."""
    return frozenset(_texts(value))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets: whole, as JSON writes them, or cut."""
    listed = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)
    for secret in listed:
        text = text.replace(secret, MASK).replace(json.dumps(secret, ensure_ascii=False)[1:-1], MASK)
    for secret in listed:
        text = _without_parts(text, secret)
    return text


def _texts(value: Any) -> Iterator[str]:
    match value:
        case Hidden():
            yield str(value)
            yield from value.sources
        case HiddenInt() | HiddenFloat():
            yield str(value)
        case Mapping():
            for key, member in value.items():
                yield from _texts(key)
                yield from _texts(member)
        case list() | tuple():
            for item in value:
                yield from _texts(item)


def _without_parts(text: str, secret: str) -> str:
    """Mask every run of the text's that is a part of the secret and long enough to be known again."""
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
