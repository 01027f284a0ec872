"""Show texts, events, commands and definitions without the secrets that `secrets.py` finds in them. Pure.

A container's log or a reason that AWS gives may repeat a value of a definition. Of two definitions that are compared,
every string is split into open and secret pieces: if the secret pieces at one path differ, their masks say so.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from msgspec.structs import replace

from deploytasks.model import (
    IDENTIFYING,
    MASK,
    DeadTask,
    Definition,
    Ended,
    Event,
    Hidden,
    Logged,
    Planned,
    Progress,
    Report,
    Result,
    Told,
    is_hidden,
)
from deploytasks.report.secrets import (
    Path,
    Pieces,
    is_argument,
    named,
    secret_values,
    secrets_in,
    secrets_of,
    split,
    step,
    strings,
)
from deploytasks.report.text import harmless


def veil(text: str, secrets: frozenset[str]) -> str:
    """Return the text with the secrets masked, also as JSON writes them, and with escape sequences inside them."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    if text.isprintable():
        return text
    plain = harmless(text)
    return veil(plain, secrets) if any(secret in plain for secret in secrets) else text


@lru_cache(8)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return what to search for, the longest first: each secret as it is, and as JSON writes it."""
    written = (json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets)
    return tuple(sorted({*secrets, *written}, key=len, reverse=True))


def veiled_document(value: Any, secrets: frozenset[str]) -> Any:
    """Return the JSON-able value with the secrets in its strings masked."""
    match value:
        case str():
            return veil(value, secrets)
        case Mapping():
            return {key: veiled_document(member, secrets) for key, member in value.items()}
        case list() | tuple():
            return [veiled_document(item, secrets) for item in value]
        case _:
            return value


def veiled(event: Event, secrets: frozenset[str]) -> Event:
    """Return the event with the secrets in its texts masked."""
    match event:
        case Told() | Logged():
            return replace(event, message=veil(event.message, secrets))
        case Progress():
            return replace(event, state=veil(event.state, secrets), last_event=veil(event.last_event, secrets))
        case Ended():
            return Ended(_veiled_result(event.result, secrets))
        case Planned():
            return Planned(replace(event.plan, notes=_veil_all(event.plan.notes, secrets)))


def veiled_report(report: Report) -> Report:
    """Return the report with the secrets of its own definitions masked in its texts."""
    secrets = secret_values(report.plan)
    return replace(
        report,
        plan=replace(report.plan, notes=_veil_all(report.plan.notes, secrets)),
        results=tuple(_veiled_result(result, secrets) for result in report.results),
        notes=_veil_all(report.notes, secrets),
        resume=veil(report.resume, secrets),
    )


def _veiled_result(result: Result, secrets: frozenset[str]) -> Result:
    secrets |= secrets_of((), [result.target])
    tasks = tuple(
        DeadTask(task.id, veil(task.reason, secrets), _veil_all(task.exits, secrets), _veil_all(task.log, secrets))
        for task in result.tasks
    )
    return replace(result, detail=veil(result.detail, secrets), tasks=tasks)


def _veil_all(texts: Iterable[str], secrets: frozenset[str]) -> tuple[str, ...]:
    return tuple(veil(text, secrets) for text in texts)


def masked_words(words: Sequence[str], secrets: frozenset[str]) -> list[str]:
    """Return the words of a command with its own secrets and these masked."""
    pieces = (split(word, secrets, whole=is_argument(words, index)) for index, word in enumerate(words))
    return [each.said([MASK] * len(each.secrets)) for each in pieces]


def masked(
    before: Definition | None, after: Definition | None, settings: Iterable[Mapping[str, Any]] = ()
) -> tuple[Definition | None, Definition | None]:
    """Return both definitions with their secrets masked; if a secret differs between the two, so do its masks.

    Secrets of the definitions, and of the settings they may have been rendered from, are masked wherever they stand.
    """
    before, after = _beside(before, after), _beside(after, before)
    known = frozenset(secret for each in (before, after, *settings) for secret in secrets_in(each or {}))
    old, new = (dict(strings(each or {}, known)) for each in (before, after))
    return (
        None if before is None else _Shown(_texts(old, new, "before"), known, after, "before").of(before),
        None if after is None else _Shown(_texts(new, old, "after"), known, before, "after").of(after),
    )


def masked_keys(keys: Iterable[str], definitions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys without secrets of the definitions, or of the settings that they may have been rendered from."""
    known = frozenset(secret for each in definitions for secret in secrets_in(each))
    return tuple(veil(key, known) for key in keys)


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
                return {self._key(key): self.of(member, (*path, step(key))) for key, member in value.items()}
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
