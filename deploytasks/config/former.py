"""Refuse the layout in which a service said how its image is built, with the lines to write instead."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from deploytasks.config.files import Fault, Source, table
from deploytasks.config.lines import dotted
from deploytasks.config.names import is_name
from deploytasks.config.schema import ImageTable, ServiceTable
from deploytasks.spelling import nearest

_MOVED = frozenset(ImageTable.__struct_fields__) - {*ServiceTable.__struct_fields__}


def brought_up_to_date(source: Source, faults: list[Fault]) -> Source:
    """Return the project's file as if it were written in the present layout, so that the rest of it is checked too.

    Adds a fault to `faults` for each service whose table says how an image is built.
    """
    services, images = dict(table(source.data, "services")), dict(table(source.data, "images"))
    moved: dict[str, str] = {}
    for name in _former(source):
        found = services[name]
        image = found["image"] if isinstance(found.get("image"), str) else name
        is_new = image not in images
        built = {key: value for key, value in found.items() if key in _MOVED}
        images[image] = {**table(images, image), **built}
        services[name] = {key: value for key, value in found.items() if key not in _MOVED}
        moved |= {dotted("images", image, key): dotted("services", name, key) for key in built}
        moved |= {dotted("images", image): dotted("services", name)} if is_new else {}
        what = "how an image is built belongs in a table of its own, since several services may run one image"
        instead = "write instead" if is_new else f"write instead, and in place of [{dotted('images', image)}]"
        to_do = f"{instead}\n{_written('images', image, images[image])}\n{_written('services', name, services[name])}"
        at = source.origin(dotted("services", name, *list(built)[:1]))
        faults.append(Fault(at, what, to_do, shown=dotted("services", name)))
    if not moved:
        return source
    return Source(source.file, source.name, {**source.data, "services": services, "images": images}, moved)


def _former(source: Source) -> Iterator[str]:
    """Yield the services that say how an image is built, and all where the file has no images at all."""
    has_images = bool(source.data.get("images")) or any(nearest(key, ("images",)) for key in source.data)
    for name, found in table(source.data, "services").items():
        if is_name(name) and isinstance(found, dict) and (not has_images or _MOVED & {*found}):
            yield name


def _written(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """Return the table as TOML; a value that no table of these can have is left to the reader."""
    lines = [f"{dotted(key)} = {_value(value)}" for key, value in values.items()]
    return "\n".join([f"[{dotted(kind, name)}]", *lines])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | int) else "…"
