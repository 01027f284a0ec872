"""Which images each service runs: its own and those that its template names besides; and the URIs of all."""

from collections.abc import Collection, Iterator

from deploytasks import regions
from deploytasks.config.files import Fault, Source, table
from deploytasks.config.lines import dotted
from deploytasks.spelling import suggestion


def faults_in(source: Source) -> Iterator[Fault]:
    """Yield services of an image that does not exist, and images that no service runs."""
    known, used = table(source.data, "images"), set[str]()
    for service in table(source.data, "services"):
        own, uses = _named(source, service)
        used |= {own, *uses}
        yield from _own_faults(source, service, own) if known else ()
        place = source.origin(dotted("services", service, "uses"))
        for image in uses:
            if image == own:
                what = f"'{own}' is the service's own image, which its template names {{{{ image }}}}"
                yield Fault(place, what, "leave it out of `uses`")
            elif image not in known:
                yield Fault(place, f"there is no image '{image}'", suggestion(image, known))
    for image in known:
        if image not in used:
            to_do = f'name it in a service: image = "{image}", or uses = ["{image}"]; or remove it'
            yield Fault(source.origin(dotted("images", image)), f"no service runs the image '{image}'", to_do)


def _own_faults(source: Source, service: str, own: str) -> Iterator[Fault]:
    known, place = table(source.data, "images"), dotted("services", service)
    if not own and "image" not in table(source.data, "services", service):
        to_do = f'write image = "…", one of {", ".join(known)}'
        yield Fault(source.origin(place), f"does not say which image '{service}' runs", to_do)
    elif own and own not in known:
        yield Fault(source.origin(f"{place}.image"), f"there is no image '{own}'", suggestion(own, known))


def default_image(service: str, images: Collection[str]) -> str:
    """Return the image of a service that names none: the one of the same name, else the only one; "" if neither."""
    return service if service in images else next(iter(images)) if len(images) == 1 else ""


def default_repository(project: str, image: str) -> str:
    """Return the default repository of an image."""
    return f"{project}/{image}"


def own_host(account: str, region: str) -> str:
    """Return the host of an account's own registry, what names of its images begin with by default."""
    return f"{account}.dkr.ecr.{region}.{regions.suffix(region)}"


def uris(source: Source, service: str) -> dict[str, str]:
    """Return the URIs of the repositories of a service's images, its own first, as far as the file is valid."""
    project, registry = table(source.data, "project").get("name"), table(source.data, "registry")
    host = registry.get("host") or own_host(str(registry.get("account")), str(registry.get("region")))
    own, uses = _named(source, service)
    found = {
        image: table(source.data, "images", image).get("repository", default_repository(str(project), image))
        for image in (own, *uses)
    }
    return {image: f"{host}/{repository}" for image, repository in found.items()}


def _named(source: Source, service: str) -> tuple[str, tuple[str, ...]]:
    """Return the service's own image and those that it uses besides; empty where the file is wrong."""
    found = table(source.data, "services", service)
    own, uses = found.get("image", default_image(service, table(source.data, "images"))), found.get("uses", ())
    return own if isinstance(own, str) else "", tuple(uses) if isinstance(uses, tuple | list) else ()
