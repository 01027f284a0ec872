"""Check one file key by key against its struct, so that every complaint carries its exact dotted key.

msgspec reports one complaint at a time; here it judges single values, and the walk over the tables is ours.
"""

import json
from datetime import date, time
from functools import cache
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from deploytasks.config import placeholders
from deploytasks.config.files import Fault, Source
from deploytasks.config.former import brought_up_to_date
from deploytasks.config.lines import dotted
from deploytasks.config.schema import (
    Below,
    EcsName,
    ImageTable,
    Inside,
    JobSettings,
    JobTable,
    Layer,
    ProjectFile,
    Region,
    Rule,
    Secret,
    ServiceSettings,
    ServiceTable,
    Settings,
    Size,
    Tenant,
    TenantRole,
    Text,
    TierTable,
    Value,
    Variable,
)
from deploytasks.regions import advice, partition_of, region_of
from deploytasks.spelling import nearest


class _Bad:
    """Placeholder for an invalid value, so that no later check reports it as missing."""

    def __repr__(self) -> str:
        return "BAD"


BAD: Final = _Bad()
_LONG: Final = 1_024
_CONFIDENTIAL: Final = frozenset({"secrets", "notify"})
_TAKING_PLACEHOLDERS: Final = (TenantRole, EcsName, Rule, Secret)


def checked(source: Source, faults: list[Fault]) -> Source:
    """Return the source without unknown keys and with BAD for wrong values. Adds to `faults`."""
    kind = ProjectFile if source.is_project else Tenant
    source = brought_up_to_date(source, faults) if source.is_project else source
    walk = _Walk(source, faults)
    return replace(source, data=walk.struct(source.data, kind, ()))


class _Walk:
    """One walk over one file."""

    def __init__(self, source: Source, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults

    def struct(self, table: Any, kind: type[msgspec.Struct], path: tuple[str, ...]) -> dict[str, Any]:
        """Return the table with each key checked against the struct's field of that name."""
        found: dict[str, Any] = {}
        kinds = _kinds(kind)
        for key, value in table.items():
            if key in kinds:
                found[key] = self.value(value, kinds[key], (*path, key))
            elif meant := self.unknown(key, kind, path):
                found.setdefault(meant, BAD)
        for key in _required(kind):
            if key not in found:
                found[key] = self.missing(kinds[key], (*path, key))
        return found

    def value(self, value: Any, kind: Any, path: tuple[str, ...]) -> Any:
        """Return the checked value; BAD if it is of the wrong kind."""
        bare = _bare(kind)
        is_struct, is_map = isinstance(bare, type) and issubclass(bare, msgspec.Struct), get_origin(bare) is dict
        if (is_struct or is_map) and not isinstance(value, dict):
            return self.wrong(value, "a table", path)
        if is_struct:
            return self.struct(value, bare, path)
        if is_map:
            return self.entries(value, bare, path)
        if not fits(value, kind):
            if isinstance(value, str) and kind in _TAKING_PLACEHOLDERS and self.unknown_placeholder(value, path):
                return BAD
            return self.wrong(value, _wanted(value, kind, path), path)
        region = value if kind is Region else region_of(value) if kind is Secret else ""
        if not region or "{" in region or partition_of(region):
            return value
        self.fault(f"there is no AWS region '{region}'", advice(region), path)
        return BAD

    def entries(self, table: Any, kind: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """Return the table with each name and each value checked."""
        name, kind = get_args(kind)
        for key in table:
            if not fits(key, name):
                self.fault(f"'{key}' can't be a name here", f"wanted: {_description(name)}", (*path, key), path)
        return {key: self.value(each, kind, (*path, key)) for key, each in table.items()}

    def missing(self, kind: Any, path: tuple[str, ...]) -> Any:
        """Return the placeholder for a missing required key, after reporting it or its own required keys as missing."""
        bare = _bare(kind)
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            return self.struct({}, bare, path)
        if get_origin(bare) is not dict:
            self.fault("is missing", f"wanted: {_description(kind)}", path)
            return BAD
        return {}

    def unknown(self, key: str, kind: type[msgspec.Struct], path: tuple[str, ...]) -> str | None:
        """Report an unknown key, and return the known key that was most likely meant."""
        advice = hint(key, kind)
        self.fault(f"unknown key '{key}'", advice.to_do, (*path, key), path)
        return advice.meant

    def unknown_placeholder(self, value: str, path: tuple[str, ...]) -> bool:
        """Report the first unknown placeholder, and return whether there is one.

        What may be confidential is shown only where it is a misspelt placeholder.
        """
        found = next(placeholders.unknown(value), "")
        if not found or (_CONFIDENTIAL & {*path} and not placeholders.meant(found)):
            return False
        self.fault(f"there is no placeholder {found}", placeholders.advice(found), path)
        return True

    def wrong(self, value: Any, wanted: str, path: tuple[str, ...]) -> Any:
        """Report an invalid value. Values under `secrets` and `notify` may be confidential and are not shown."""
        shown = "this" if _CONFIDENTIAL & {*path} else _shown(value)
        self.fault(f"can't be {shown}", f"wanted: {wanted}", path)
        return BAD

    def fault(self, what: str, to_do: str, path: tuple[str, ...], shown: tuple[str, ...] | None = None) -> None:
        """Add a fault at a path; `shown` is the path to name if it is another."""
        at = self.source.origin(dotted(*path))
        self.faults.append(Fault(at, what, to_do, None if shown is None else dotted(*shown)))


@cache
def _kinds(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: _without_none(field.type) for field in msgspec.structs.fields(kind)}


@cache
def _required(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    (only,) = (each for each in get_args(kind) if each is not type(None))
    return only


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _description(kind: Any) -> str:
    return next(str(meta.description) for meta in reversed(get_args(kind)) if isinstance(meta, msgspec.Meta))


def _wanted(value: Any, kind: Any, path: tuple[str, ...]) -> str:
    """Return the description of a valid value, and how to write this one if its meaning is clear."""
    wanted = _description(kind)
    is_text = any(kind is each for each in (Text, Below, Inside))
    if is_text and isinstance(value, str) and (len(value) > _LONG or not value.isprintable()):
        wanted += f"; no control characters, and at most {_LONG:,} characters"
    is_bare = isinstance(value, int | float | date | time) and not isinstance(value, bool) and kind is not Size
    if is_bare and fits(str(value), kind):
        is_unknown = isinstance(value, float) or _CONFIDENTIAL & {*path}  # of 1.10 only 1.1 is known
        return f'{wanted}\nquote it: {path[-1]} = "{"…" if is_unknown else value}"'
    if kind is Region and isinstance(value, str):
        return f"{wanted}\n{advice(value)}"
    return wanted


def fits(value: Any, kind: Any) -> bool:
    """Return whether the value is valid for this kind of `schema`."""
    if kind is Value:
        return _is_data(value)
    if value is True and (kind is Variable or kind is Secret):
        return False
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _is_data(value: Any) -> bool:
    """Return whether JSON can express the value."""
    match value:
        case dict():
            return all(map(_is_data, value.values()))
        case list():
            return all(map(_is_data, value))
        case float():
            return isfinite(value)
    return isinstance(value, str | int)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


_SETTINGS = frozenset(Layer.__struct_fields__)
_POLICY = frozenset(TierTable.__struct_fields__) - {"settings"}
_BUILD = frozenset(ImageTable.__struct_fields__)
_SERVICE = frozenset(ServiceTable.__struct_fields__)
_JOB = frozenset(JobTable.__struct_fields__)


class Hint(Struct, frozen=True):
    """Advice on an unknown key; `meant` is the known key that it most likely is."""

    to_do: str
    meant: str | None = None


def hint(key: str, kind: type[Struct]) -> Hint:
    """Return the advice on a key that this kind of table does not have."""
    if place := _right_place(key, kind):
        return Hint(place)
    if meant := nearest(key, kind.__struct_fields__):
        return Hint(f"did you mean '{meant}'?", meant)
    known = f"known: {', '.join(kind.__struct_fields__)}"
    if issubclass(kind, Settings):
        return Hint(f"what a template wants belongs under vars: write vars.{key}\n{known}")
    return Hint(known)


def _right_place(key: str, kind: type[Struct]) -> str:
    """Return where a key belongs that another table has; "" if none has it."""
    if issubclass(kind, Settings):
        return _place_outside_settings(key, kind)
    if kind is ServiceTable or kind is JobTable:
        return _place_outside_what_runs(key, kind)
    if kind is TierTable and key in _SETTINGS:
        return f"a tier's settings belong under [tiers.<tier>.settings]: write settings.{key}"
    if kind is ImageTable and key in _SERVICE:
        return "what a service does with its image belongs under [services.<service>]"
    if kind is ImageTable and key in _JOB:
        return "when a job runs belongs under [jobs.<job>]"
    if kind is ImageTable and key in _SETTINGS:
        return "an image has no settings: the services that run it have, such as [defaults.services.<service>]"
    if kind is ProjectFile and key in _SETTINGS:
        return "settings of every environment belong under [defaults]"
    return ""


def _place_outside_what_runs(key: str, kind: type[Struct]) -> str:
    if kind is JobTable and key in _SERVICE:
        return f"only a service has `{key}`; jobs are rolled out after all services of their environment"
    if kind is ServiceTable and key in _JOB:
        return "only a job has a schedule: [jobs.<job>]"
    if key in _BUILD:
        return "how an image is built belongs under [images.<image>]"
    word = "job" if kind is JobTable else "service"
    return f"a {word}'s settings belong in a layer, such as [defaults.{word}s.<{word}>]" if key in _SETTINGS else ""


def _place_outside_settings(key: str, kind: type[Struct]) -> str:
    if key in _POLICY and not (kind is ServiceSettings and key in _SERVICE):
        return "a tier's policy belongs only in envs/project.toml, under [tiers.<tier>]"
    if key in _BUILD:
        return "how an image is built belongs only in envs/project.toml, under [images.<image>]"
    if key in _JOB and (kind is JobSettings or key not in _SERVICE):
        return "what a job runs, and when, belongs only in envs/project.toml, under [jobs.<job>]"
    if key in _SERVICE:
        return "what a service runs belongs only in envs/project.toml, under [services.<service>]"
    if kind is ServiceSettings and key in JobSettings.__struct_fields__:
        return f"only a job has `{key}`: [jobs.<job>]"
    if kind is JobSettings and key in ServiceSettings.__struct_fields__:
        return "a job has no ECS service"
    if kind is Tenant and key in ProjectFile.__struct_fields__:
        return f"[{key}] belongs only in envs/project.toml"
    if kind is Layer and key == "settings":
        return "settings belong here directly, without a table of that name"
    if key in ("services", "jobs"):
        return f"{'jobs' if kind is JobSettings else 'services'} have no {key} of their own"
    return ""
