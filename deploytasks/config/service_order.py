"""The order of an environment's services: each is rolled out after those that its `after` names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from deploytasks.config.files import Fault, Source, table
from deploytasks.config.lines import dotted
from deploytasks.errors import listed
from deploytasks.model import Environment, Target
from deploytasks.spelling import suggestion

After = Mapping[str, Sequence[str]]
"""Service → the other services that its `after` names, as far as they exist."""


def faults_in(source: Source) -> Iterator[Fault]:
    """Yield services whose `after` names themselves or what does not exist, and each circle."""
    services = table(source.data, "services")
    for service in services:
        place = source.origin(dotted("services", service, "after"))
        for other in _named(source, service):
            if other == service:
                yield Fault(place, f"'{service}' can't come after itself", "leave it out of `after`")
            elif other in table(source.data, "jobs"):
                yield Fault(place, f"'{other}' is a job", "leave it out: jobs are rolled out after all services")
            elif other not in services:
                yield Fault(place, f"there is no service '{other}'", suggestion(other, services))
    for circle in _circles(_after(source)):
        steps = zip(circle, (*circle[1:], circle[0]), strict=True)
        said = ", ".join(f"{service} after {other}" for service, other in steps)
        place = source.origin(dotted("services", circle[0], "after"))
        yield Fault(place, f"goes in a circle: {said}", "remove one of these from its `after`")


def placed(source: Source, targets: Iterable[Target]) -> Iterator[Target]:
    """Yield the targets, each with all services that it comes after, directly or through others."""
    after = _after(source)
    before = {service: _reached(service, after) for service in after}
    for target in targets:
        yield replace(target, after=before[target.name]) if before.get(target.name) else target


def wave_faults(targets: Iterable[Target]) -> Iterator[Fault]:
    """Yield services in a later wave than one that comes after them, or than a job."""
    environments: dict[Environment, dict[str, Target]] = {}
    for target in targets:
        environments.setdefault(target.environment, {})[target.name] = target
    for members in environments.values():
        for other in members.values():
            early = [one.name for one in members.values() if one.wave < other.wave and one.comes_after(other)]
            if early:
                who = f"{listed(early)} come{'s' * (len(early) == 1)} after '{other.name}', but in an earlier wave"
                to_do = f"give '{other.name}' no later wave than what comes after it"
                yield Fault(other.origins["wave"], who, to_do)


def _named(source: Source, service: str) -> tuple[str, ...]:
    """Return the names in the service's `after`, each once; () if the file is wrong."""
    found = table(source.data, "services", service).get("after", ())
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str))) if isinstance(found, list) else ()


def _after(source: Source) -> After:
    services = table(source.data, "services")
    return {
        service: [other for other in _named(source, service) if other in services and other != service]
        for service in services
    }


def _circles(after: After) -> Iterator[tuple[str, ...]]:
    """Yield each circle that following `after` closes."""
    done: set[str] = set()
    for first in after:
        path = {} if first in done else {first: iter(after[first])}
        while path:
            service = next(reversed(path))
            other = next(path[service], None)
            if other is None:
                done.add(service)
                del path[service]
            elif other in path:
                names = tuple(path)
                yield names[names.index(other) :]
            elif other not in done:
                path[other] = iter(after[other])


def _reached(service: str, after: After) -> tuple[str, ...]:
    """Return the services that following `after` from the service leads to, but itself."""
    found: dict[str, None] = {}
    waiting = list(after[service])
    while waiting:
        other = waiting.pop(0)
        if other not in found and other != service:
            found[other] = None
            waiting += after[other]
    return tuple(found)
