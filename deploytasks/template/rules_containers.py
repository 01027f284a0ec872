"""Find what ECS refuses in the containers of a definition, on any launch type.

Source, where a rule names no other: botocore's documentation of the member.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploytasks.template.rules_fargate import memory_mib
from deploytasks.template.shape import Path, Problem

NAME = re.compile(r"[a-zA-Z0-9_-]{1,255}")
HOW_TO_NAME = "use letters, digits, - and _, at most 255 of them"
_WHERE: Path = ("containerDefinitions",)
_HEALTH = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
_LOG_OPTIONS = ("awslogs-group", "awslogs-region")
_MOST = 10  # Source: ECS service quotas, "Container definitions"
Container = Mapping[str, Any]


def container_rules(request: Mapping[str, Any], image: str) -> Iterator[Problem]:
    """Find what is wrong with the containers, at least one of which must run the image."""
    containers = request["containerDefinitions"]
    unnamed = list(_keys(containers))
    yield from unnamed
    for index, container in enumerate(containers):
        yield from _variables(container, (*_WHERE, index))
    names = [container["name"] for container in containers if "name" in container]
    yield from (Problem(_WHERE, f"two containers are called '{name}'") for name in _repeated(names))
    if not containers:
        yield Problem(_WHERE, "no container", "one at least must run {{ image }}")
    elif image not in (container.get("image") for container in containers):
        yield Problem(_WHERE, f"no container runs {image}", 'give one of them "image": "{{ image }}"')
    if not unnamed:
        yield from _together(request)


def _keys(containers: Sequence[Container]) -> Iterator[Problem]:
    for index, container in enumerate(containers):
        for key in ("name", "image"):
            if not container.get(key):
                yield Problem((*_WHERE, index), f"the key '{key}' is missing")


def _together(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with containers that all have a name and an image."""
    containers = request["containerDefinitions"]
    if containers and not any(each.get("essential", True) for each in containers):
        yield Problem(_WHERE, "no container is essential", 'let the task end with one: leave out its "essential"')
    if len(containers) > _MOST:
        yield Problem(_WHERE, f"{len(containers)} containers, and ECS allows {_MOST}")
    named = [each["name"] for container in containers for each in container.get("portMappings", []) if each.get("name")]
    yield from (Problem(_WHERE, f"two ports are called '{name}'") for name in _repeated(named))
    network = request.get("networkMode") or "bridge"
    by_name = {each["name"]: each for each in containers}
    for index, container in enumerate(containers):
        path: Path = (*_WHERE, index)
        if not NAME.fullmatch(container["name"]):
            yield Problem((*path, "name"), f"'{container['name']}' is not a valid container name", HOW_TO_NAME)
        yield from _ports(path, container, network)
        if "memory" in request or "FARGATE" not in request.get("requiresCompatibilities", ()):  # which wants the task's
            yield from _memory(path, container, request.get("memory"))
        yield from _health(path, container)
        yield from _others(path, container, by_name, network)
        yield from _log((*path, "logConfiguration"), container.get("logConfiguration", {}))
    yield from _circle(by_name)


def _ports(path: Path, container: Container, network: str) -> Iterator[Problem]:
    ports = container.get("portMappings", [])
    if ports and network == "none":
        yield Problem((*path, "portMappings"), "network mode none does not support ports", "leave them out")
    for index, port in enumerate(ports):
        own, hosts = port.get("containerPort"), port.get("hostPort")
        if "containerPortRange" in port and (own is not None or hosts is not None):
            yield Problem((*path, "portMappings", index), "a range of ports and a single one", "keep one of them")
            continue
        if network in ("awsvpc", "host") and hosts is not None and hosts != own:
            what = f"{hosts}, but in network mode {network} it is the container's, {own}"
            yield Problem((*path, "portMappings", index, "hostPort"), what, "leave it out")


def _memory(path: Path, container: Container, of_task: str | None) -> Iterator[Problem]:
    """Source: cuttlesoft/ecs-deploy.py#17 (none at all), ansible/ansible#67647 (0)."""
    hard, soft = container.get("memory"), container.get("memoryReservation")
    most = memory_mib(of_task) if of_task else None
    if not of_task and not hard and not soft:
        what = "neither it nor the task has memory"
        yield Problem(path, what, 'give it "memory" or "memoryReservation", or the task "memory"')
    for key, value in (("memory", hard), ("memoryReservation", soft)):
        if value is not None and most is not None and value > most:
            yield Problem((*path, key), f"{value}, and the task has {most}")
    if hard and soft and soft > hard:
        yield Problem((*path, "memoryReservation"), f"{soft} is more than its memory, {hard}")


def _health(path: Path, container: Container) -> Iterator[Problem]:
    check = container.get("healthCheck")
    if check is None:
        return
    first = next(iter(check.get("command", [])), "")
    if first not in ("CMD", "CMD-SHELL"):
        to_do = 'begin it with "CMD", which runs the words, or "CMD-SHELL", which gives one text to the shell'
        yield Problem((*path, "healthCheck", "command"), f"it begins with '{first}'", to_do)
    for key, (least, most) in _HEALTH.items():
        if key in check and not least <= check[key] <= most:
            yield Problem((*path, "healthCheck", key), f"{check[key]}; ECS allows {least} to {most}")


def _others(path: Path, container: Container, by_name: Mapping[str, Container], network: str) -> Iterator[Problem]:
    """Find what is wrong with the container's references to others."""
    for index, each in enumerate(container.get("dependsOn", [])):
        yield from _dependency((*path, "dependsOn", index), each, by_name)
    for index, each in enumerate(container.get("volumesFrom", [])):
        yield from _unknown((*path, "volumesFrom", index), each.get("sourceContainer", ""), by_name)
    if container.get("links") and network != "bridge":
        yield Problem((*path, "links"), f"network mode {network} does not support links", "leave them out")
    elif container.get("links"):
        for index, link in enumerate(container["links"]):
            yield from _unknown((*path, "links", index), link.partition(":")[0], by_name)
    for key in ("hostname", "extraHosts"):
        if container.get(key) and network == "awsvpc":
            yield Problem((*path, key), f"network mode awsvpc does not support {key}", "leave it out")


def _dependency(path: Path, wanted: Mapping[str, str], by_name: Mapping[str, Container]) -> Iterator[Problem]:
    name, condition = wanted["containerName"], wanted["condition"]
    yield from _unknown(path, name, by_name)
    other = by_name.get(name)
    if other is None:
        return
    if condition == "HEALTHY" and "healthCheck" not in other:
        yield Problem(
            path, f"'{name}' has no healthCheck to be HEALTHY by", "give it one; that of its image is not asked"
        )
    if condition in ("COMPLETE", "SUCCESS") and other.get("essential", True):
        what = f"'{name}' is essential, so the task ends with it, {condition} or not"
        yield Problem(path, what, f"give '{name}' \"essential\": false")


def _unknown(path: Path, name: str, known: Collection[str]) -> Iterator[Problem]:
    if name not in known:
        yield Problem(path, f"there is no container '{name}'", f"containers here: {', '.join(known)}")


def _circle(by_name: Mapping[str, Container]) -> Iterator[Problem]:
    """Find containers that wait for each other in a circle."""
    waits = {
        name: {each["containerName"] for each in container.get("dependsOn", [])} & by_name.keys()
        for name, container in by_name.items()
    }
    while ready := [name for name, others in waits.items() if not others & waits.keys()]:
        waits = {name: others for name, others in waits.items() if name not in ready}
    if waits:
        yield Problem(_WHERE, f"dependsOn: {', '.join(waits)} wait for each other, so none of them starts")


def _log(path: Path, log: Mapping[str, Any]) -> Iterator[Problem]:
    if log.get("logDriver") == "awslogs":
        missing = [key for key in _LOG_OPTIONS if not log.get("options", {}).get(key)]
        yield from (Problem((*path, "options"), f"the key '{key}' is missing", "awslogs wants it") for key in missing)


def _variables(container: Container, path: Path) -> Iterator[Problem]:
    plain, secret = (
        [each["name"] for each in container.get(key, ()) if "name" in each] for key in ("environment", "secrets")
    )
    for key, names in (("environment", plain), ("secrets", secret)):
        yield from (Problem((*path, key), f"'{name}' appears twice") for name in _repeated(names))
    for name in dict.fromkeys(plain):
        if name in secret:
            yield Problem((*path, "secrets"), f"'{name}' is in environment too", "ECS takes a name in one of them")


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
