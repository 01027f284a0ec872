"""Refuse the layout in which a service said how its image is built, with the lines to write instead."""

import json
from collections.abc import Mapping
from typing import Any

from deploytasks.config.files import Fault, Source, table
from deploytasks.config.lines import dotted
from deploytasks.config.schema import ImageTable, ServiceTable

_MOVED = frozenset(ImageTable.__struct_fields__) - {*ServiceTable.__struct_fields__}


def brought_up_to_date(source: Source, faults: list[Fault]) -> Source:
    """Return the project's file as if it were written in the present layout, so that the rest of it is checked too.

    Adds a fault to `faults` for each service whose table says how an image is built.
    """
    services, images = table(source.data, "services"), dict(table(source.data, "images"))
    changed = dict(services)
    for name, found in services.items():
        moved = {key: value for key, value in found.items() if key in _MOVED} if isinstance(found, dict) else {}
        if moved or (isinstance(found, dict) and not source.data.get("images")):
            changed[name] = {key: value for key, value in found.items() if key not in _MOVED}
            images.setdefault(name, moved)
            what = "how an image is built belongs in a table of its own, since several services may run one image"
            to_do = f"write instead\n{_written('images', name, moved)}\n{_written('services', name, changed[name])}"
            at = source.origin(dotted("services", name, *list(moved)[:1]))
            faults.append(Fault(at, what, to_do, shown=dotted("services", name)))
    if changed == services:
        return source
    return Source(source.file, source.name, {**source.data, "services": changed, "images": images})


def _written(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """Return the table as TOML; a value that is neither text nor a list of it is left to the reader."""
    lines = [f"{key} = {_value(value)}" for key, value in values.items()]
    return "\n".join([f"[{dotted(kind, name)}]", *lines])


def _value(value: Any) -> str:
    is_plain = isinstance(value, str | list) and not any(isinstance(each, dict) for each in value)
    return json.dumps(value, ensure_ascii=False) if is_plain else "…"
