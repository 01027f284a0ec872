"""Mask the secrets of two definitions to be compared; that a secret differs stays visible. Pure.

Split every string of a definition into open and secret pieces. Compare the secret pieces at the same path of both
sides: if they differ, their masks say so.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from msgspec import Struct

from deploytasks.model import IDENTIFYING, MASK, Definition, Hidden, hidden_in, is_hidden
from deploytasks.report.secrets import SHORTEST, looks_secret, veil
from deploytasks.report.text import ADDRESS_SECRET

Path = tuple[str, ...]
"""The path of a value: `("containerDefinitions", "api", "environment", "LOG_LEVEL", "value")`."""

_REFERENCES = frozenset({"valueFrom", "credentialsParameter", "key", "name"})
"""Members that only name something, a secret included, and are no secret themselves."""


class Pieces(Struct, frozen=True):
    """A split string: an open piece, a secret, an open piece, and so on; the first and the last are open."""

    open: tuple[str, ...]
    secrets: tuple[str, ...] = ()

    def said(self, masks: Iterable[str]) -> str:
        """Return the string with these masks in place of its secrets."""
        return self.open[0] + "".join(mask + text for mask, text in zip(masks, self.open[1:], strict=True))


def masked(
    before: Definition | None, after: Definition | None, settings: Iterable[Mapping[str, Any]] = ()
) -> tuple[Definition | None, Definition | None]:
    """Return both definitions with their secrets masked; if a secret differs between the two, so do its masks.

    Secrets of the definitions, and of the settings they may have been rendered from, are masked wherever they stand.
    """
    before, after = _beside(before, after), _beside(after, before)
    known = frozenset(secret for each in (before, after, *settings) for secret in _secrets(each or {}))
    sides = tuple(dict(_strings(each or {}, known)) for each in (before, after))
    return (
        None if before is None else _Shown(_texts(sides[0], sides[1], "before"), known, after, "before").of(before),
        None if after is None else _Shown(_texts(sides[1], sides[0], "after"), known, before, "after").of(after),
    )


def masked_keys(keys: Iterable[str], definitions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys without secrets of the definitions, or of the settings that they may have been rendered from."""
    known = frozenset(secret for each in definitions for secret in _secrets(each))
    return tuple(veil(key, known) for key in keys)


def named(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each item with its name in a path: the value of an identifying member that may be shown, else its index."""
    used: set[str] = set()
    for index, item in enumerate(items):
        telling = [item[key] for key in IDENTIFYING if key in item] if isinstance(item, Mapping) else []
        name = next((str(each) for each in telling if not is_hidden(each)), str(index))
        yield (f"{name}[{index}]" if name in used else name), item
        used.add(name)


def _beside(value: Any, other: Any) -> Any:
    """Return the value with `Hidden` text wherever it or the other side has something hidden at that place.

    If the other side hides a name, hide everything that the other side lacks: it may have had that name before.
    """
    match value:
        case Mapping():
            theirs = other if isinstance(other, Mapping) else {}
            unsure = any(isinstance(key, Hidden) for key in theirs)
            return dict(_member(key, member, theirs, unsure=unsure) for key, member in value.items())
        case list() | tuple():
            items = list(other) if isinstance(other, list | tuple) else []
            named_items = dict(named(items))
            unsure = any(is_hidden(item.get(key)) for item in items if isinstance(item, Mapping) for key in IDENTIFYING)
            return [
                _kept_back(item) if unsure and name not in named_items else _beside(item, named_items.get(name))
                for name, item in named(value)
            ]
        case _:
            return _kept_back(value) if is_hidden(value) or is_hidden(other) else value


def _member(key: str, member: Any, theirs: Mapping[str, Any], *, unsure: bool) -> tuple[str, Any]:
    if isinstance(key, Hidden) or (unsure and key not in theirs):
        return Hidden.of(key, frozenset()), _kept_back(member)
    return key, _beside(member, theirs.get(key))


def _kept_back(value: Any) -> Any:
    """Return the value with everything hidden except its structure, `true`, `false` and null."""
    match value:
        case Hidden() | bool() | None:
            return value
        case Mapping():
            return {key: _kept_back(member) for key, member in value.items()}
        case list() | tuple():
            return [_kept_back(item) for item in value]
        case _:
            return Hidden.of(str(value), frozenset())


def _secrets(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yield every secret that is recognised by its name and long enough to be searched for elsewhere."""
    for _, pieces in _strings(definition, frozenset()):
        yield from (part for secret in pieces.secrets for part in _recognisable(secret))
    yield from (part for secret in hidden_in(definition) for part in _recognisable(secret))


def _strings(value: Any, known: frozenset[str], path: Path = ()) -> Iterator[tuple[Path, Pieces]]:
    """Yield every string of the value, split into pieces, with its path."""
    match value:
        case Mapping():
            for key, member in value.items():
                if isinstance(member, str):
                    yield (*path, _step(key)), _taken_apart(member, known, whole=_hides(value, key))
                else:
                    yield from _strings(member, known, (*path, _step(key)))
        case list() | tuple():
            for index, (name, item) in enumerate(named(value)):
                if isinstance(item, str):
                    yield (*path, name), _taken_apart(item, known, whole=_is_argument(value, index))
                else:
                    yield from _strings(item, known, (*path, name))


def _hides(owner: Mapping[str, Any], key: str) -> bool:
    """Return whether the member is secret: by its own name, or by the name of the variable whose value it is."""
    if isinstance(owner[key], Hidden):
        return True
    if key == "value":
        return looks_secret(str(owner.get("name", owner.get("key", ""))))
    reference = key in _REFERENCES or str(owner[key]).startswith("arn:")
    return not reference and looks_secret(key)


def _is_argument(words: Any, index: int) -> bool:
    """Return whether the word of a command is the value of a flag like `--password` before it, or hidden itself."""
    if isinstance(words[index], Hidden):
        return True
    flag = str(words[index - 1]) if index else ""
    return flag.startswith("-") and "=" not in flag and looks_secret(flag)


def _taken_apart(text: str, known: frozenset[str], *, whole: bool) -> Pieces:
    if whole and text:
        return Pieces(("", ""), (text,))
    spans = _spans(text, known)
    if not spans:
        return Pieces((text,))
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return Pieces(
        tuple(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)),
        tuple(text[start:end] for start, end in spans),
    )


def _texts(own: Mapping[Path, Pieces], other: Mapping[Path, Pieces], side: str) -> dict[Path, str]:
    """Return the strings of one side as they may be shown; the mask of a secret that differs names the side."""
    texts = {}
    for path, pieces in own.items():
        opposite = other[path].secrets if path in other else pieces.secrets
        pairs = zip_longest(pieces.secrets, opposite[: len(pieces.secrets)])
        texts[path] = pieces.said(MASK if ours == theirs else f"{MASK} ({side})" for ours, theirs in pairs)
    return texts


class _Shown:
    """Rebuilds one side with these texts for its strings, and no secret in its keys."""

    def __init__(self, texts: Mapping[Path, str], known: frozenset[str], other: Any, side: str) -> None:
        self._texts, self._known, self._side = texts, known, side
        self._other_keys = frozenset(_hidden_keys(other))

    def of(self, value: Any, path: Path = ()) -> Any:
        match value:
            case str():
                return self._texts[path]
            case Mapping():
                return {self._key(key): self.of(member, (*path, _step(key))) for key, member in value.items()}
            case list() | tuple():
                return [self.of(item, (*path, name)) for name, item in named(value)]
            case _:
                return value

    def _key(self, key: str) -> str:
        if isinstance(key, Hidden):
            return MASK if key in self._other_keys else f"{MASK} ({self._side})"
        return veil(key, self._known)


def _hidden_keys(value: Any) -> Iterator[str]:
    match value:
        case Mapping():
            for key, member in value.items():
                yield from [key] * isinstance(key, Hidden)
                yield from _hidden_keys(member)
        case list() | tuple():
            for item in value:
                yield from _hidden_keys(item)


def _step(key: str) -> str:
    """Return the key's name in a path."""
    return MASK if isinstance(key, Hidden) else key


Where = tuple[int, int]
"""The start and the end of a secret in a text."""

_VALUE = r"""(?:(?P<quote>\\*["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|.))*)|(?P<bare>[^\s&]+))"""
_ASSIGNED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]+)(?:\\*["'][ \t]*[:=]\s*|[ \t]*=[ \t]*|:[ \t]+)""" + _VALUE, re.DOTALL
)
_FLAG = re.compile(r"(?<![\w.-])(?P<name>-[\w-]+)[ \t]+(?!--)" + _VALUE, re.DOTALL)


def _spans(text: str, known: Iterable[str]) -> list[Where]:
    """Return the spans of the text's secrets, in order, overlapping ones merged; `known` secrets count anywhere."""
    return _joined(_found(text, known))


def _recognisable(secret: str) -> Iterator[str]:
    """Yield what to search for elsewhere: the whole secret, and its part before a character that may have ended it."""
    parts = {secret, secret.rstrip("\"'}]),;"), re.split(r"[\"'}\]),;]", secret, maxsplit=1)[0]}
    return (part for part in parts if len(part) >= SHORTEST)


def _found(text: str, known: Iterable[str]) -> Iterator[Where]:
    for secret in known:
        if secret in text:
            yield from (found.span() for found in re.finditer(re.escape(secret), text))
    yield from _values(_ASSIGNED, text)
    yield from _values(_FLAG, text)
    yield from (found.span("token" if found["token"] else "password") for found in ADDRESS_SECRET.finditer(text))


def _values(pattern: re.Pattern[str], text: str) -> Iterator[Where]:
    """Yield the values of secret names; search the value of any other name too: it may be an assignment itself."""
    at = 0
    while found := pattern.search(text, at):
        group = "bare" if found["bare"] else "quoted"
        secret = looks_secret(found["name"])
        if secret and found[group]:
            yield found.span(group)
        at = max(found.end() if secret else found.start(group), found.start() + 1)


def _joined(spans: Iterable[Where]) -> list[Where]:
    joined: list[Where] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
