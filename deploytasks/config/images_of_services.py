"""Which images each service and job runs: its own and those that its template names besides; and the URIs of all."""

from collections.abc import Collection, Iterator

from deploytasks import regions
from deploytasks.config.files import Fault, Source, table
from deploytasks.config.layers import KINDS
from deploytasks.config.lines import dotted
from deploytasks.spelling import nearest, suggestion


def faults_in(source: Source) -> Iterator[Fault]:
    """Yield services and jobs of an image that does not exist, and images that none of them runs."""
    known, named = table(source.data, "images"), set[str]()
    for kind, name in ((each, name) for each in KINDS for name in table(source.data, each)):
        own, uses = _named(source, kind, name)
        named |= {own, *uses}
        yield from _own_faults(source, (kind, name), own) if known else ()
        place = source.origin(dotted(kind, name, "uses"))
        for image in dict.fromkeys(uses):
            if uses.count(image) > 1:
                yield Fault(place, f"names '{image}' {uses.count(image)} times", "name it once")
            if image == own:
                what = f"'{own}' is the {kind[:-1]}'s own image, which its template names {{{{ image }}}}"
                yield Fault(place, what, "leave it out of `uses`")
            elif image not in known:
                yield Fault(place, f"there is no image '{image}'", suggestion(image, known))
    meant = named | {nearest(image, known) for image in named - {*known}}
    for image in known if "" not in named and named else ():
        if image not in meant:
            to_do = f'name it in a service or job: image = "{image}", or uses = ["{image}"]; or remove it'
            yield Fault(source.origin(dotted("images", image)), f"no service or job runs the image '{image}'", to_do)


def _own_faults(source: Source, path: tuple[str, str], own: str) -> Iterator[Fault]:
    known, place = table(source.data, "images"), dotted(*path)
    if not own and "image" not in table(source.data, *path):
        to_do = f'write image = "…", one of {", ".join(known)}'
        yield Fault(source.origin(place), f"does not say which image '{path[-1]}' runs", to_do)
    elif own and own not in known:
        yield Fault(source.origin(f"{place}.image"), f"there is no image '{own}'", suggestion(own, known))


def default_image(name: str, images: Collection[str]) -> str:
    """Return the image of a service or job that names none: the one of the same name, else the only one; else ""."""
    return name if name in images else next(iter(images)) if len(images) == 1 else ""


def default_repository(project: str, image: str) -> str:
    """Return the default repository of an image."""
    return f"{project}/{image}"


def own_host(account: str, region: str) -> str:
    """Return the host of an account's own registry, what names of its images begin with by default."""
    return f"{account}.dkr.ecr.{region}.{regions.suffix(region)}"


def uris(source: Source, kind: str, name: str) -> dict[str, str]:
    """Return the URIs of the repositories of its images, its own first, as far as the file is valid."""
    project, registry = table(source.data, "project").get("name"), table(source.data, "registry")
    host = registry.get("host") or own_host(str(registry.get("account")), str(registry.get("region")))
    own, uses = _named(source, kind, name)
    found = {
        image: table(source.data, "images", image).get("repository", default_repository(str(project), image))
        for image in (own, *uses)
    }
    return {image: f"{host}/{repository}" for image, repository in found.items()}


def _named(source: Source, kind: str, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the own image of a service or job, and those that it uses besides; empty where the file is wrong."""
    found = table(source.data, kind, name)
    own, uses = found.get("image", default_image(name, table(source.data, "images"))), found.get("uses", ())
    return own if isinstance(own, str) else "", tuple(uses) if isinstance(uses, tuple | list) else ()
