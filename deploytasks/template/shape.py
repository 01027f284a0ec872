"""Read from botocore's models of ECS and Scheduler a request's keys, their types, and which are required or read-only.

Each model is read without credentials or a session, once, on first use.
"""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from msgspec import Struct

from deploytasks.service_models import whole_model

Path = tuple[str | int, ...]
"""A path in a JSON document: `("containerDefinitions", 0, "image")`; () is the whole document."""


class Problem(Struct, frozen=True):
    """One thing that is wrong with a request."""

    path: Path
    what: str
    to_do: str = ""


def dotted(path: Path) -> str:
    """Return the path as people write it: `containerDefinitions[0].image`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


@cache
def model(service: str = "ecs") -> ServiceModel:
    """Return the installed botocore's model of ECS, or of another service."""
    return ServiceModel(whole_model(service, None), service)


@cache
def request_shape(operation: str, service: str = "ecs") -> StructureShape:
    """Return the shape of an operation's request: `RegisterTaskDefinition`, `CreateService`."""
    shape = model(service).operation_model(operation).input_shape
    assert shape is not None, f"{operation} takes a request"
    return shape


def answer_shape(operation: str, *path: str, service: str = "ecs") -> StructureShape:
    """Return the shape at the path in an operation's answer; a list stands for its items."""
    shape: Shape | None = model(service).operation_model(operation).output_shape
    for step in path:
        assert isinstance(shape, StructureShape), f"{operation} answers with {step}"
        member = shape.members[step]
        shape = member.member if isinstance(member, ListShape) else member
    assert isinstance(shape, StructureShape)
    return shape


@cache
def read_only_keys() -> frozenset[str]:
    """Return the read-only keys of a task definition: members of the answer that the request lacks."""
    told = answer_shape("DescribeTaskDefinition", "taskDefinition")
    return frozenset(told.members) - frozenset(request_shape("RegisterTaskDefinition").members)


@cache
def only_told(request: str) -> frozenset[str]:
    """Return the read-only keys of what the request creates."""
    if request == "RegisterTaskDefinitionRequest":
        return read_only_keys()
    if request == _SCHEDULE:
        told = answer_shape("GetSchedule", service="scheduler")
        return frozenset(told.members) - frozenset(request_shape("CreateSchedule", "scheduler").members)
    told = answer_shape("DescribeServices", "services")
    return frozenset(told.members) - frozenset(request_shape("CreateService").members)


def problems(value: Any, shape: Shape, path: Path = ()) -> Iterator[Problem]:
    """Yield every way in which the value does not fit the shape.

    botocore's ParamValidator finds the same, except that it accepts any enum value, and `true` as a number.
    """
    if not _fits(value, _TYPES[shape.type_name]):
        yield Problem(path, f"{_kind(value)} where {_NAMES[shape.type_name]} is due", _how_to_write(value, shape))
        return
    match shape:
        case StructureShape():
            yield from _structure(value, shape, path)
        case ListShape():
            if shape.member.name != "Tag":  # of which `rules.tag_rules` keeps some for our own
                yield from _bounds(len(value), " members", shape, path)
            for index, item in enumerate(value):
                yield from problems(item, shape.member, (*path, index))
        case MapShape():
            for key, item in value.items():
                yield from problems(item, shape.value, (*path, key))
        case _:
            yield from _scalar(value, shape, path)


def _fits(value: Any, wanted: type | tuple[type, ...]) -> bool:
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _structure(value: dict[str, Any], shape: StructureShape, path: Path) -> Iterator[Problem]:
    members = shape.members
    for required in shape.required_members:
        if required not in value:
            yield Problem(path, f"the key '{required}' is missing")
    if shape.is_tagged_union and len(value) != 1:
        yield Problem(path, f"exactly one key of {', '.join(members)} is due")
    for key, item in value.items():
        if key in members:
            yield from problems(item, members[key], (*path, key))
        elif not path and key in only_told(shape.name):
            author = "EventBridge Scheduler" if shape.name == _SCHEDULE else "ECS"
            yield Problem((key,), f"only {author} writes this", "leave it out")
        else:
            yield Problem((*path, key), "unknown key", nearest(key, list(members)))


def _scalar(value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
    choices = getattr(shape, "enum", None)
    if choices and value not in choices:
        to_do = nearest(value, list(choices)) if value else "leave the key out"
        yield Problem(path, f"'{value}' is none of its values", to_do)
    if not isinstance(value, str):
        yield from _bounds(value, "", shape, path)
        return
    yield from _bounds(len(value), " characters", shape, path)
    compiled = _compiled(shape.metadata.get("pattern", ""))
    if compiled and not compiled.fullmatch(value):
        yield Problem(path, f"'{value}' does not match {compiled.pattern}")


def _bounds(size: float, what: str, shape: Shape, path: Path) -> Iterator[Problem]:
    """Compare a number, or the length of something, with the shape's `min` and `max`."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield Problem(path, f"{json.dumps(size)}{what} where at least {least} is due")
    if most is not None and size > most:
        yield Problem(path, f"{json.dumps(size)}{what} where at most {most} is due")


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the compiled pattern; None if Python does not know its grammar."""
    try:
        return re.compile(pattern or ".*", re.DOTALL)
    except re.error:
        return None


def nearest(word: str, known: list[str]) -> str:
    """Return the advice on a misspelt word: the nearest known one, or all of them if they are few."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    if close:
        return f"did you mean '{by_lower[close[0]]}'?"
    return f"known: {', '.join(sorted(known))}" if len(known) <= _FEW else ""


_FEW = 20
_SCHEDULE = "CreateScheduleInput"

_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "double": (int, float),
    "float": (int, float),
    "timestamp": (str, int, float),
}

_NAMES = {
    "structure": "an object",
    "map": "an object",
    "list": "a list",
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "long": "a whole number",
    "double": "a number",
    "float": "a number",
    "timestamp": "a time",
}


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _how_to_write(value: Any, shape: Shape) -> str:
    match value:
        case None:
            return "leave the key out where there is nothing to say"
        case bool() | int() | float() if shape.type_name == "string":
            return f'write "{json.dumps(value)}", in quotes'
        case str() if shape.type_name in {"integer", "long", "double", "float", "boolean"}:
            return "write it without the quotes"
        case _:
            return ""
