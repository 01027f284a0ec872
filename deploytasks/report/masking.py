"""Definitions with their secrets masked, so that they may be shown; that a secret differs stays visible. Pure.

Every string of a definition becomes pieces, open and secret ones. The pieces at the same place on the other side tell
whether a secret differs, which its mask then says.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from deploytasks.model import Definition
from deploytasks.report.secrets import MASK, looks_secret, veil
from deploytasks.report.spans import recognisable, secret_spans

Path = tuple[str, ...]
"""Where something stands: `("containerDefinitions", "api", "environment", "LOG_LEVEL", "value")`."""

_NAMES = ("name", "key", "containerName", "sourceContainer", "containerPath", "containerPort", "namespace", "type")
"""Which member of an object tells it from the others of its list."""

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
    known = frozenset(secret for each in (before, after, *settings) for secret in _secrets(each or {}))
    sides = tuple(dict(_strings(each or {}, known)) for each in (before, after))
    return (
        None if before is None else _without(before, (), _texts(sides[0], sides[1], "before"), known),
        None if after is None else _without(after, (), _texts(sides[1], sides[0], "after"), known),
    )


def masked_keys(keys: Iterable[str], definitions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys without the secrets of the definitions, or of the settings that they may have been made from."""
    known = frozenset(secret for each in definitions for secret in _secrets(each))
    return tuple(veil(key, known) for key in keys)


def named(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """The list's items, each with what it is called in a path: by its telling member, else by its place."""
    used: set[str] = set()
    for index, item in enumerate(items):
        telling = (str(item[key]) for key in _NAMES if key in item) if isinstance(item, Mapping) else iter(())
        name = next(telling, str(index))
        yield (f"{name}[{index}]" if name in used else name), item
        used.add(name)


def _secrets(definition: Mapping[str, Any]) -> Iterator[str]:
    """Every secret that its name gives away, and that is long enough to be known again."""
    for _, pieces in _strings(definition, frozenset()):
        yield from (part for secret in pieces.secrets for part in recognisable(secret))


def _strings(value: Any, known: frozenset[str], path: Path = ()) -> Iterator[tuple[Path, Pieces]]:
    """Every string of the value, taken apart, with its path."""
    match value:
        case Mapping():
            for key, member in value.items():
                if isinstance(member, str):
                    yield (*path, key), _taken_apart(member, known, whole=_hides(value, key))
                else:
                    yield from _strings(member, known, (*path, key))
        case list() | tuple():
            for index, (name, item) in enumerate(named(value)):
                if isinstance(item, str):
                    yield (*path, name), _taken_apart(item, known, whole=_is_argument(value, index))
                else:
                    yield from _strings(item, known, (*path, name))


def _hides(owner: Mapping[str, Any], key: str) -> bool:
    """Whether what stands under the key is secret: by its own name, or by that of the variable whose value it is."""
    if key == "value":
        return looks_secret(str(owner.get("name", owner.get("key", ""))))
    reference = key in _REFERENCES or str(owner[key]).startswith("arn:")
    return not reference and looks_secret(key)


def _is_argument(words: Any, index: int) -> bool:
    """Whether the word of a command line is what `--password` before it asks for."""
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


def _without(value: Any, path: Path, texts: Mapping[Path, str], known: frozenset[str]) -> Any:
    """The value with these texts for its strings, and no secret in its keys."""
    match value:
        case str():
            return texts[path]
        case Mapping():
            return {veil(key, known): _without(member, (*path, key), texts, known) for key, member in value.items()}
        case list() | tuple():
            return [_without(item, (*path, name), texts, known) for name, item in named(value)]
        case _:
            return value
