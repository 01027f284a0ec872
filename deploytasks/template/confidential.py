"""Hide what templates take from `env_var`: in complaints, and in rendered values.

A template is rendered once more for each stand-in of a variable's value. What comes out the same with all of them is
not made from a variable, whatever filters the value went through, and is safe to show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from deploytasks.errors import Complaint
from deploytasks.model import IDENTIFYING, MASK, Hidden, HiddenFloat, HiddenInt, is_hidden

STAND_INS = (MASK, "1", "true")
_LONGEST_VALUE = 12
"""The most characters of a stand-in's complaint that the stand-in, and what filters made of it, may take up."""


class StandIn(Mapping[str, str]):
    """An environment in which every variable that is set has the same value; with `anything`, every name is set."""

    def __init__(self, environ: Mapping[str, str], value: str, *, anything: bool = False) -> None:
        self._environ, self._value, self._anything = environ, value, anything

    def __contains__(self, name: object) -> bool:
        return self._anything or name in self._environ

    def __getitem__(self, name: str) -> str:
        return self._value

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def safe(complaints: Sequence[Complaint], with_stand_ins: Sequence[Complaint]) -> tuple[Complaint, ...]:
    """Return the complaints without any variable's value: as the stand-ins got them where the two differ."""
    return tuple(dict.fromkeys(_safe(each, with_stand_ins) for each in complaints))


def _safe(complaint: Complaint, others: Sequence[Complaint]) -> Complaint:
    if complaint in others:
        return complaint
    there = [other for other in others if other.where == complaint.where]
    if alike := next((other for other in there if _are_alike(complaint.what, other.what)), None):
        return alike
    to_do = "give the variable another value, or leave it out here; inv envs.render shows the whole document"
    return replace(complaint, what="what it renders with env_var is refused here, and not shown", to_do=to_do)


def _are_alike(what: str, other: str) -> bool:
    """Return whether the two differ only by a value in the middle."""
    begins = _common(what, other)
    ends = min(_common(what[::-1], other[::-1]), len(other) - begins)
    return begins + ends > 0 and begins + ends >= len(other) - _LONGEST_VALUE


def _common(one: str, other: str) -> int:
    """Return the length of the common beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def marked(value: Any, others: Sequence[Any], sources: frozenset[str]) -> Any:
    """Return the value with every part hidden that differs, or is missing, in what a stand-in gave."""
    match value:
        case Mapping():
            maps = [other for other in others if isinstance(other, Mapping)]
            return {
                _key(key, maps, sources): marked(member, [each[key] for each in maps if key in each], sources)
                for key, member in value.items()
            }
        case list():
            lists = [other for other in others if isinstance(other, list)]
            return [
                marked(item, list(_counterparts(name, index, len(value), lists)), sources)
                for index, (name, item) in enumerate(_named(value).items())
            ]
        case str() if not others or any(other != value for other in others):
            return Hidden.of(value, sources)
        case bool() | None:
            return value
        case int() if not others or any(other != value for other in others):
            return HiddenInt(value)
        case float() if not others or any(other != value for other in others):
            return HiddenFloat(value)
        case _:
            return value


def like(value: Any, other: Any, sources: frozenset[str] = frozenset()) -> Any:
    """Return the value with every part hidden that is hidden in the other document."""
    match value:
        case Mapping() if isinstance(other, Mapping):
            return {key: like(member, other.get(key), sources) for key, member in value.items()}
        case list() if isinstance(other, list):
            theirs = _named(other)
            return [like(item, theirs.get(name), sources) for name, item in _named(value).items()]
        case str() if is_hidden(other):
            return Hidden.of(value, sources)
        case _:
            return value


def _counterparts(name: str, index: int, length: int, lists: Sequence[list[Any]]) -> Iterator[Any]:
    """Yield the item of that name of each list, or the item at that index where the name is made from a variable."""
    for each in lists:
        theirs = _named(each)
        if name in theirs:
            yield theirs[name]
        elif len(each) == length:
            yield each[index]


def _key(key: str, maps: Sequence[Mapping[str, Any]], sources: frozenset[str]) -> str:
    return key if any(key in each for each in maps) else Hidden.of(key, sources)


def _named(items: Sequence[Any]) -> dict[str, Any]:
    """Return the items by name, or by index where they have no names."""
    made: dict[str, Any] = {}
    for index, item in enumerate(items):
        names = (str(item[key]) for key in IDENTIFYING if key in item) if isinstance(item, Mapping) else iter(())
        name = next(names, f"[{index}]")
        made[f"{name}[{index}]" if name in made else name] = item
    return made
