"""What to do about a key that a table does not know: where it belongs, or what was meant."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from deploytasks.project.schema import Layer, ProjectFile, ServiceTable, Settings, Tenant, TierTable
from deploytasks.spelling import nearest

_SETTINGS = frozenset(Layer.__struct_fields__)
_POLICY = frozenset(TierTable.__struct_fields__) - {"settings"}
_BUILD = frozenset(ServiceTable.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do about an unknown key; `meant` is the known key that it most likely is."""

    to_do: str
    meant: str | None = None


def hint(key: str, kind: type[Struct]) -> Hint:
    """What to do about a key that this kind of table does not know."""
    if place := _right_place(key, kind):
        return Hint(place)
    if meant := nearest(key, kind.__struct_fields__):
        return Hint(f"did you mean '{meant}'?", meant)
    known = f"known: {_listed(kind.__struct_fields__)}"
    if issubclass(kind, Settings):
        return Hint(f"what a template wants stands under vars: write vars.{key}\n{known}")
    return Hint(known)


def _right_place(key: str, kind: type[Struct]) -> str:
    """Where a key belongs that another table knows; "" where none does."""
    if issubclass(kind, Settings):
        return _place_outside_settings(key, kind)
    if kind is TierTable and key in _SETTINGS:
        return f"a tier's settings stand under [tiers.<tier>.settings]: write settings.{key}"
    if kind is ServiceTable and key in _SETTINGS:
        return "a service's settings stand in a layer, such as [defaults.services.<service>]"
    if kind is ProjectFile and key in _SETTINGS:
        return "settings of every environment stand under [defaults]"
    return ""


def _place_outside_settings(key: str, kind: type[Struct]) -> str:
    if key in _POLICY:
        return "a tier's policy stands only in envs/project.toml, under [tiers.<tier>]"
    if key in _BUILD:
        return "how a service is built stands only in envs/project.toml, under [services.<service>]"
    if kind is Tenant and key in ProjectFile.__struct_fields__:
        return f"[{key}] stands only in envs/project.toml"
    if kind is Layer and key == "settings":
        return "settings stand here directly, without a table of that name"
    return "services have no services of their own" if key == "services" else ""


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(keys)
