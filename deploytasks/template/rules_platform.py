"""Whether the service's image is for the processor and operating system that a definition asks for.

Source: ECS developer guide, "Task definition parameters for Fargate", runtimePlatform (Fargate's defaults), and
botocore's RuntimePlatform for its values. On EC2 the instance decides what is not named, so nothing is asked there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploytasks.model import Platform
from deploytasks.template.shape import Path, Problem

_RUNS = {"X86_64": ("amd64", "386"), "ARM64": ("arm64", "arm")}
"""cpuArchitecture → the architectures of images that run there, the usual one first.

Source: containerd's platforms package, whose amd64 also takes 386, and whose arm64 also takes arm.
"""
_FARGATE = {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}


def names_platform(request: Mapping[str, Any]) -> bool:
    """Return whether it is known what the image has to be for."""
    return bool(_asked(request))


def platform_rules(request: Mapping[str, Any], platforms: Sequence[Platform], image: str) -> Iterator[Problem]:
    """Find what the definition asks for that none of the image's platforms is; `image` says which image that is."""
    asked = _asked(request) if platforms else {}
    system = asked.get("operatingSystemFamily", "")
    bootable = [each for each in platforms if not system or each.os == _os(system)]
    if platforms and not bootable:
        yield _problem(request, "operatingSystemFamily", system, platforms, image)
        return
    cpu = asked.get("cpuArchitecture", "")
    if cpu in _RUNS and not any(each.architecture in _RUNS[cpu] for each in bootable):
        yield _problem(request, "cpuArchitecture", cpu, bootable, image)


def _asked(request: Mapping[str, Any]) -> dict[str, str]:
    named = request.get("runtimePlatform", {})
    return {**_FARGATE, **named} if set(request.get("requiresCompatibilities", ())) == {"FARGATE"} else dict(named)


def _os(family: str) -> str:
    return "windows" if family.startswith("WINDOWS") else family.lower()


def _problem(request: Mapping[str, Any], key: str, value: str, platforms: Sequence[Platform], image: str) -> Problem:
    is_named = key in request.get("runtimePlatform", {})
    path: Path = ("runtimePlatform", key) if is_named else ()
    said = value if is_named else f"{key} is {value}, Fargate's default"
    what = f"{said}, but {image} is for {', '.join(map(str, platforms))}"
    return Problem(path, what, _to_do(key, value, platforms))


def _to_do(key: str, value: str, platforms: Sequence[Platform]) -> str:
    if key == "operatingSystemFamily":
        return f"build the image for {_os(value)}, or name the image's system in runtimePlatform.{key}"
    fits = next((cpu for cpu, names in _RUNS.items() if any(each.architecture in names for each in platforms)), "")
    other = f'write "runtimePlatform": {{"{key}": "{fits}"}}, or ' if fits else ""
    return f'{other}build the image for it: platforms = ["{_os("LINUX")}/{_RUNS[value][0]}"] in envs/project.toml'
