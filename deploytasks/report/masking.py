"""Definitions with their secrets masked, so that they may be shown; that a secret differs stays visible. Pure.

Every string of a definition becomes pieces, open and secret ones. The pieces at the same place on the other side tell
whether a secret differs, which its mask then says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from deploytasks.model import IDENTIFYING, MASK, Definition, Hidden, hidden_in, is_hidden
from deploytasks.report.secrets import SHORTEST, looks_secret, veil
from deploytasks.report.text import ADDRESS_SECRET

Path = tuple[str, ...]
"""Where something stands: `("containerDefinitions", "api", "environment", "LOG_LEVEL", "value")`."""

_REFERENCES = frozenset({"valueFrom", "credentialsParameter", "key", "name"})
"""Members that name a secret, or anything else, and are none."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A string taken apart: an open piece, a secret, an open piece, and so on; first and last are open."""

    open: tuple[str, ...]
    secrets: tuple[str, ...] = ()

    def said(self, masks: Iterable[str]) -> str:
        """The string with these in place of its secrets."""
        return self.open[0] + "".join(mask + text for mask, text in zip(masks, self.open[1:], strict=True))


def masked(
    before: Definition | None, after: Definition | None, settings: Iterable[Mapping[str, Any]] = ()
) -> tuple[Definition | None, Definition | None]:
    """Both definitions without their secrets. Where a secret differs between the two, its masks do.

    A secret of theirs, or of the settings that they may have been made from, is masked wherever it stands.
    """
    before, after = _beside(before, after), _beside(after, before)
    known = frozenset(secret for each in (before, after, *settings) for secret in _secrets(each or {}))
    sides = tuple(dict(_strings(each or {}, known)) for each in (before, after))
    return (
        None if before is None else _Shown(_texts(sides[0], sides[1], "before"), known, after, "before").of(before),
        None if after is None else _Shown(_texts(sides[1], sides[0], "after"), known, before, "after").of(after),
    )


def masked_keys(keys: Iterable[str], definitions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys without the secrets of the definitions, or of the settings that they may have been made from."""
    known = frozenset(secret for each in definitions for secret in _secrets(each))
    return tuple(veil(key, known) for key in keys)


def named(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """The list's items, each with what it is called in a path: by a telling member to be shown, else its place."""
    used: set[str] = set()
    for index, item in enumerate(items):
        telling = [item[key] for key in IDENTIFYING if key in item] if isinstance(item, Mapping) else []
        name = next((str(each) for each in telling if not is_hidden(each)), str(index))
        yield (f"{name}[{index}]" if name in used else name), item
        used.add(name)


def _beside(value: Any, other: Any) -> Any:
    """The value with a `Hidden` text for whatever stands where the other side, or itself, has something hidden.

    Where the other side hides a name, all that it does not have is hidden: it may have had that name before.
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
    """The value with nothing in it that may be shown, except its structure, `true`, `false` and null."""
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
    """Every secret that its name gives away, and that is long enough to be known again."""
    for _, pieces in _strings(definition, frozenset()):
        yield from (part for secret in pieces.secrets for part in recognisable(secret))
    yield from (part for secret in hidden_in(definition) for part in recognisable(secret))


def _strings(value: Any, known: frozenset[str], path: Path = ()) -> Iterator[tuple[Path, Pieces]]:
    """Every string of the value, taken apart, with its path."""
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
    """Whether what stands under the key is secret: by its own name, or by that of the variable whose value it is."""
    if isinstance(owner[key], Hidden):
        return True
    if key == "value":
        return looks_secret(str(owner.get("name", owner.get("key", ""))))
    reference = key in _REFERENCES or str(owner[key]).startswith("arn:")
    return not reference and looks_secret(key)


def _is_argument(words: Any, index: int) -> bool:
    """Whether the word of a command line is what `--password` before it asks for, or made from a variable."""
    if isinstance(words[index], Hidden):
        return True
    flag = str(words[index - 1]) if index else ""
    return flag.startswith("-") and "=" not in flag and looks_secret(flag)


def _taken_apart(text: str, known: frozenset[str], *, whole: bool) -> Pieces:
    if whole and text:
        return Pieces(("", ""), (text,))
    spans = secret_spans(text, known)
    if not spans:
        return Pieces((text,))
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return Pieces(
        tuple(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)),
        tuple(text[start:end] for start, end in spans),
    )


def _texts(own: Mapping[Path, Pieces], other: Mapping[Path, Pieces], side: str) -> dict[Path, str]:
    """The strings of one side as they may be shown; a secret that is another one on the other side says so."""
    texts = {}
    for path, pieces in own.items():
        opposite = other[path].secrets if path in other else pieces.secrets
        pairs = zip_longest(pieces.secrets, opposite[: len(pieces.secrets)])
        texts[path] = pieces.said(MASK if ours == theirs else f"{MASK} ({side})" for ours, theirs in pairs)
    return texts


class _Shown:
    """One side with these texts for its strings, and no secret in its keys."""

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
    """What the key is called in a path."""
    return MASK if isinstance(key, Hidden) else key


Where = tuple[int, int]
"""Where a secret begins, and where what follows it does."""

_VALUE = r"""(?:(?P<quote>\\*["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|.))*)|(?P<bare>[^\s&]+))"""
_ASSIGNED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]+)(?:\\*["'][ \t]*[:=]\s*|[ \t]*=[ \t]*|:[ \t]+)""" + _VALUE, re.DOTALL
)
_FLAG = re.compile(r"(?<![\w.-])(?P<name>-[\w-]+)[ \t]+(?!--)" + _VALUE, re.DOTALL)


def secret_spans(text: str, known: Iterable[str]) -> list[Where]:
    """Where the secrets of the text stand, in order, those that overlap as one; `known` ones anywhere."""
    return _joined(_found(text, known))


def recognisable(secret: str) -> Iterator[str]:
    """What of a secret may be looked for elsewhere: all of it, and what stands before a mark that may have ended it."""
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
    """The values of secret names. What follows an open name is looked at again: it may be an assignment itself."""
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
