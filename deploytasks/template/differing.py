"""Which keys differ between two definitions in canonical form. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploytasks.model import IDENTIFYING, Definition, Hidden, is_hidden, shown

_VALUES = frozenset({"value", "valueFrom"})
_ABSENT = object()


def differing(before: Definition, after: Definition) -> tuple[str, ...]:
    """Return the dotted keys that differ, never their values: `containerDefinitions.api.environment.LOG_LEVEL`."""
    return tuple(dict.fromkeys(_differing(before, after, ())))


def _differing(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[str]:
    if before == after:
        return
    left, right = _members(before), _members(after)
    if left is None or right is None:
        told = path[:-1] if path[-1:] and path[-1] in _VALUES and len(path) > 1 else path
        yield ".".join(map(shown, told))
        return
    if left == right:  # in another order
        yield ".".join(map(shown, path))
    for key in dict.fromkeys([*left, *right]):
        if _ABSENT in (left.get(key, _ABSENT), right.get(key, _ABSENT)):
            yield ".".join(map(shown, (*path, key)))
        else:
            yield from _differing(left[key], right[key], (*path, key))


def _members(value: Any) -> Mapping[str, Any] | None:
    """The members of an object, or of a list whose items have names; None for any other value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, Mapping) for each in value):
        names = [next((_name(each[name]) for name in IDENTIFYING if name in each), "") for each in value]
        return dict(zip(names, value, strict=True)) if len({*names, ""}) == len(names) + 1 else None
    return None


def _name(value: Any) -> str:
    return Hidden.of(str(value), frozenset()) if is_hidden(value) else str(value)
