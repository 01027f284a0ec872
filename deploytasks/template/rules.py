"""What ECS refuses although botocore's shapes allow it, found offline. Rules are given requests that fit the shape."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploytasks.model import Target
from deploytasks.template.shape import Path, Problem
from deploytasks.template.sizes import FARGATE, cpu_units, fargate_memory, memory_mib, one_of


def definition_rules(request: Mapping[str, Any], target: Target, image: str) -> Iterator[Problem]:
    """What is wrong with a RegisterTaskDefinition request whose main container shall run the image."""
    yield from _agrees(request, "family", target.family)
    yield from _containers(request["containerDefinitions"], image)
    if "FARGATE" in request.get("requiresCompatibilities", ()):
        yield from _fargate(request)


def service_rules(request: Mapping[str, Any], target: Target) -> Iterator[Problem]:
    """What is wrong with a CreateService request."""
    yield from _agrees(request, "serviceName", target.ecs_service)
    yield from _agrees(request, "cluster", target.cluster)
    if "taskDefinition" in request:
        yield Problem(("taskDefinition",), "the revision is set here", "leave it out: it is the one just registered")


def _agrees(request: Mapping[str, Any], key: str, wanted: str) -> Iterator[Problem]:
    if request[key] != wanted:
        yield Problem((key,), f"'{request[key]}', but envs/ says '{wanted}'", "leave it out, and envs/ decides")


def _containers(containers: Sequence[Mapping[str, Any]], image: str) -> Iterator[Problem]:
    where: Path = ("containerDefinitions",)
    for index, container in enumerate(containers):
        yield from (
            Problem((*where, index), f"the key '{key}' is missing") for key in ("name", "image") if key not in container
        )
        yield from _variables(container, (*where, index))
    names = [container["name"] for container in containers if "name" in container]
    yield from (Problem(where, f"two containers are called '{name}'") for name in _repeated(names))
    if not containers:
        yield Problem(where, "no container", "one at least must run {{ image }}")
    elif image not in (container.get("image") for container in containers):
        yield Problem(where, f"no container runs {image}", 'give one of them "image": "{{ image }}"')


def _variables(container: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    plain, secret = (
        [each["name"] for each in container.get(key, ()) if "name" in each] for key in ("environment", "secrets")
    )
    for key, names in (("environment", plain), ("secrets", secret)):
        yield from (Problem((*path, key), f"'{name}' stands there twice") for name in _repeated(names))
    for name in dict.fromkeys(plain):
        if name in secret:
            yield Problem((*path, "secrets"), f"'{name}' is in environment too", "ECS takes a name in one of them")


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))  # type: ignore[func-returns-value]


def _fargate(request: Mapping[str, Any]) -> Iterator[Problem]:
    if request.get("networkMode") != "awsvpc":
        yield Problem(("networkMode",), "Fargate knows no network mode but awsvpc", 'write "networkMode": "awsvpc"')
    missing = [key for key in ("cpu", "memory") if key not in request]
    yield from (Problem((), f"the key '{key}' is missing", f"Fargate wants {key} for the task") for key in missing)
    if not missing:
        yield from _fargate_size(request["cpu"], request["memory"])


def _fargate_size(cpu: str, memory: str) -> Iterator[Problem]:
    units, mib = cpu_units(cpu), memory_mib(memory)
    if units not in FARGATE:
        yield Problem(("cpu",), f"Fargate has no task of cpu {cpu}", f"choose {one_of(list(FARGATE))}")
    elif mib not in FARGATE[units]:
        choices = fargate_memory(units)
        yield Problem(("memory",), f"Fargate has no memory {memory} for cpu {cpu}", f"in MiB, choose {choices}")
