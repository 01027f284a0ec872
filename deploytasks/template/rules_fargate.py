"""Find what Fargate requires, and what it does not support.

Source: ECS developer guide, "Amazon ECS task definition differences for Fargate", and botocore's documentation of each
member.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploytasks.template.shape import Path, Problem

_NOT_THERE = (
    *("disableNetworking", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions", "extraHosts", "links"),
    "privileged",
)
_NOT_IN_LINUX = ("devices", "maxSwap", "sharedMemorySize", "swappiness")
_DRIVERS = ("awslogs", "splunk", "awsfirelens")
_LEAVE_OUT = "leave it out"


def fargate_rules(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with a definition that is to run on Fargate."""
    if request.get("networkMode") != "awsvpc":
        yield Problem(("networkMode",), "Fargate supports only network mode awsvpc", 'write "networkMode": "awsvpc"')
    missing = [key for key in ("cpu", "memory") if key not in request]
    yield from (Problem((), f"the key '{key}' is missing", f"Fargate requires {key} for the task") for key in missing)
    if not missing:
        yield from _size(request["cpu"], request["memory"])
        yield from _sums(request)
    for key in ("ipcMode", "placementConstraints"):
        if request.get(key):
            yield Problem((key,), f"Fargate does not support {key}", _LEAVE_OUT)
    if request.get("pidMode", "task") != "task":
        yield Problem(("pidMode",), "Fargate supports only pidMode task")
    yield from _storage(request)
    for index, container in enumerate(request["containerDefinitions"]):
        yield from _container(("containerDefinitions", index), container)


def _size(cpu: str, memory: str) -> Iterator[Problem]:
    units, mib = cpu_units(cpu), memory_mib(memory)
    if units not in FARGATE:
        yield Problem(("cpu",), f"Fargate has no task size with cpu {cpu}", f"choose {one_of(list(FARGATE))}")
    elif mib not in FARGATE[units]:
        choices = fargate_memory(units)
        yield Problem(("memory",), f"Fargate has no memory {memory} for cpu {cpu}", f"in MiB, choose {choices}")


def _sums(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Source: botocore's documentation of a container's `cpu` and `memory`: both are what a container reserves."""
    listed, where = request["containerDefinitions"], ("containerDefinitions",)
    memory = sum(each.get("memoryReservation") or each.get("memory") or 0 for each in listed)
    cpu = sum(each.get("cpu", 0) for each in listed)
    for name, total, most in (
        ("memory", memory, memory_mib(request["memory"])),
        ("cpu", cpu, cpu_units(request["cpu"])),
    ):
        if most is not None and total > most and not (name == "memory" and len(listed) == 1):  # already reported
            yield Problem(where, f"its containers reserve {name} {total}, and the task has {most}")


def _storage(request: Mapping[str, Any]) -> Iterator[Problem]:
    size = request.get("ephemeralStorage", {}).get("sizeInGiB", 21)
    if not 21 <= size <= 200:
        yield Problem(("ephemeralStorage", "sizeInGiB"), f"{size}; Fargate has 21 to 200")
    for index, volume in enumerate(request.get("volumes", [])):
        if volume.get("dockerVolumeConfiguration"):
            yield Problem(
                ("volumes", index, "dockerVolumeConfiguration"), "Fargate does not support Docker volumes", _LEAVE_OUT
            )
        if volume.get("host", {}).get("sourcePath"):
            yield Problem(
                ("volumes", index, "host", "sourcePath"), "Fargate has no host directories to mount", _LEAVE_OUT
            )


def _container(path: Path, container: Mapping[str, Any]) -> Iterator[Problem]:
    yield from (
        Problem((*path, key), f"Fargate does not support {key}", _LEAVE_OUT) for key in _NOT_THERE if container.get(key)
    )
    linux = container.get("linuxParameters", {})
    for key in _NOT_IN_LINUX:
        if linux.get(key):
            yield Problem((*path, "linuxParameters", key), f"Fargate does not support {key}", _LEAVE_OUT)
    if extra := set(linux.get("capabilities", {}).get("add", [])) - {"SYS_PTRACE"}:
        what = f"Fargate can add only the capability SYS_PTRACE, not {', '.join(sorted(extra))}"
        yield Problem((*path, "linuxParameters", "capabilities", "add"), what)
    for key in ("startTimeout", "stopTimeout"):
        if not 2 <= container.get(key, 2) <= 120:
            yield Problem((*path, key), f"{container[key]}; Fargate allows 2 to 120 seconds")
    yield from _log((*path, "logConfiguration"), container.get("logConfiguration", {}))


def _log(path: Path, log: Mapping[str, Any]) -> Iterator[Problem]:
    """Source for the prefix: aws/aws-cdk#1422."""
    driver = log.get("logDriver", "awslogs")
    if driver not in _DRIVERS:
        yield Problem(
            (*path, "logDriver"), f"Fargate does not support log driver {driver}", f"choose {', '.join(_DRIVERS)}"
        )
    if log.get("logDriver") == "awslogs" and not log.get("options", {}).get("awslogs-stream-prefix"):
        yield Problem((*path, "options"), "the key 'awslogs-stream-prefix' is missing", "Fargate wants one")


_VCPU = re.compile(r"([0-9]{0,9}\.?[0-9]{1,9})\s*vcpu", re.IGNORECASE)
_GB = re.compile(r"([0-9]{0,9}\.?[0-9]{1,9})\s*gb", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,18}")
_GIB = 1024

FARGATE: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""The memory, in MiB, that Fargate offers by CPU units. Source: ECS developer guide, "Task CPU and memory"."""


def cpu_units(text: str) -> int | None:
    """Return the CPU units of `1024`, `1 vCPU` or `.5 vcpu`; None if ECS would reject the text."""
    return _whole(text, _VCPU)


def memory_mib(text: str) -> int | None:
    """Return the MiB of `2048`, `2 GB` or `0.5GB`; None if ECS would reject the text."""
    return _whole(text, _GB)


def fargate_memory(cpu: int) -> str:
    """Return the memory choices in words: `512, 1024 or 2048`, `2048 to 8192 in steps of 1024`."""
    match FARGATE[cpu]:
        case range() as choices:
            return f"{choices[0]} to {choices[-1]} in steps of {choices.step}"
        case choices:
            return one_of(choices)


def one_of(choices: Sequence[int]) -> str:
    """Return the choices in words: `1, 2 or 3`."""
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}" if most else last


def _whole(text: str, unit: re.Pattern[str]) -> int | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    match = unit.fullmatch(text.strip())
    return round(float(match[1]) * 1024) if match else None
