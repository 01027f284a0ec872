"""Find offline what ECS refuses although botocore's shapes allow it. Rules are given requests that fit the shape.

Each names its source: botocore's documentation of the member, AWS's guide, or a public report of ECS's own words.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploytasks.model import Platform, Target
from deploytasks.regions import Partition, advice, partition_of
from deploytasks.template.rules_containers import HOW_TO_NAME, NAME, container_rules
from deploytasks.template.rules_fargate import fargate_rules
from deploytasks.template.shape import Path, Problem

LONGEST = 65_536
"""The most bytes of a task definition. Source: ECS service quotas, "Task definition size"; its refusal counts bytes."""

_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(-fips)?\.")


def definition_rules(request: Mapping[str, Any], target: Target, image: str) -> Iterator[Problem]:
    """Find what is wrong with a RegisterTaskDefinition request whose main container is to run the image."""
    yield from _agrees(request, "family", target.family)
    if any(not each.get(key) for each in request["containerDefinitions"] for key in ("name", "image")):
        yield from container_rules(request, image)
        return
    yield from _size(request)
    yield from tag_rules(request.get("tags", []), len(target.images))
    yield from container_rules(request, image)
    yield from _volumes(request)
    yield from _execution_role(request)
    yield from region_rules(request, target.access.region)
    if is_fargate(request):
        yield from fargate_rules(request)


def service_rules(request: Mapping[str, Any], target: Target) -> Iterator[Problem]:
    """Find what is wrong with a CreateService request."""
    yield from _agrees(request, "serviceName", target.ecs_service)
    yield from _agrees(request, "cluster", target.cluster)
    if "taskDefinition" in request:
        yield Problem(("taskDefinition",), "the revision is set here", "leave it out: it is the one just registered")
    controller = request.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        what = f"services deployed by {controller} are not rolled out here"
        yield Problem(("deploymentController", "type"), what, "leave it out: only ECS's own controller is followed")
    yield from region_rules(request, target.access.region)
    yield from tag_rules(request.get("tags", []), len(target.images))


def is_fargate(request: Mapping[str, Any]) -> bool:
    """Return whether ECS validates the definition for Fargate."""
    return "FARGATE" in request.get("requiresCompatibilities", ())


def _agrees(request: Mapping[str, Any], key: str, wanted: str) -> Iterator[Problem]:
    if request[key] != wanted:
        yield Problem((key,), f"'{request[key]}', but envs/ says '{wanted}'", "leave it out, and envs/ decides")


def _size(request: Mapping[str, Any]) -> Iterator[Problem]:
    untagged = {key: value for key, value in request.items() if key != "tags"}
    length = len(json.dumps(untagged, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if length > LONGEST:
        what = f"the definition has {length:,} bytes, and ECS allows {LONGEST:,}"
        yield Problem((), what, "move long values out of it: to environmentFiles, SSM parameters or the image")


def _volumes(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Source: botocore's documentation of `Volume.name` and `MountPoint.sourceVolume`."""
    names: list[str] = []
    for index, volume in enumerate(request.get("volumes", [])):
        name = volume.get("name", "")
        if name and not NAME.fullmatch(name):
            yield Problem(("volumes", index, "name"), f"'{name}' is not a valid volume name", HOW_TO_NAME)
        if name in names:
            yield Problem(("volumes", index, "name"), f"two volumes are called '{name}'")
        names.append(name)
    for index, container in enumerate(request["containerDefinitions"]):
        for number, mount in enumerate(container.get("mountPoints", [])):
            source = mount.get("sourceVolume", "")
            if source not in names:
                path: Path = ("containerDefinitions", index, "mountPoints", number)
                known = f"volumes here: {', '.join(filter(None, names)) or 'none'}"
                yield Problem(path, f"there is no volume '{source}'", f'add it to "volumes"; {known}')


def _execution_role(request: Mapping[str, Any]) -> Iterator[Problem]:
    reasons = [] if request.get("executionRoleArn") else list(dict.fromkeys(_needs_role(request)))
    if reasons:
        to_do = f"the role that pulls images and reads secrets: {', '.join(reasons)}"
        yield Problem((), "the key 'executionRoleArn' is missing", f"name {to_do}")


def _needs_role(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what ECS requires an execution role for.

    Source: hashicorp/terraform-provider-aws#3051 (ECR images), virtual-kubelet/virtual-kubelet#193 (awslogs), both on
    Fargate alone; fabfuel/ecs-deploy#87 (secrets, anywhere); ECS developer guide, "task execution IAM role" (the rest).
    """
    for container in request["containerDefinitions"]:
        log = container.get("logConfiguration", {})
        if container.get("secrets"):
            yield f"'{container['name']}' has secrets"
        if not is_fargate(request):
            continue
        if container.get("repositoryCredentials") or log.get("secretOptions"):
            yield f"'{container['name']}' has credentials to be read"
        if _ECR.match(container["image"]):
            yield f"'{container['name']}' has an image in ECR"
        if log.get("logDriver") == "awslogs":
            yield f"'{container['name']}' logs by awslogs"


MOST = 50
OURS = 15
"""The number of tags kept for our own: `aws.tags.KEYS`, `steps`, `ended`, and on a service `after` and `undone`.

Each further image that a template names needs another one, for its digest.
"""

_PUNCTUATION = "_.:/=+-@"


def tag_rules(tags: Sequence[Mapping[str, str]], images: int = 1) -> Iterator[Problem]:
    """Find what is wrong with the tags of a template."""
    ours = OURS + images - 1
    if len(tags) > MOST - ours:
        what = f"{len(tags)} tags; AWS allows {MOST}, and {ours} are kept for deploytasks' own"
        yield Problem(("tags",), what, f"leave out {len(tags) - MOST + ours}")
    seen: set[str] = set()
    for index, tag in enumerate(tags):
        path: Path = ("tags", index)
        if "key" not in tag:
            yield Problem(path, "the key 'key' is missing")
        elif tag["key"] in seen:
            yield Problem((*path, "key"), f"the tag '{tag['key']}' appears twice")
        seen.add(tag.get("key", ""))
        for member, text in tag.items():
            yield from _text((*path, member), member, text)


def _text(path: Path, member: str, text: str) -> Iterator[Problem]:
    if wrong := next((each for each in text if not _is_legal(each)), ""):
        to_do = f"letters, digits, spaces and {_PUNCTUATION} are allowed"
        yield Problem(path, f"AWS allows no {wrong!r} in a tag", to_do)
    if text.lower().startswith("aws:"):
        yield Problem(path, "'aws:' begins tags that only AWS writes", "begin it otherwise")
    if member == "key" and text.startswith("deploytasks:"):
        yield Problem(path, "'deploytasks:' begins tags that only deploytasks writes", "begin it otherwise")


def _is_legal(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LZN"


_COLONS = 5
"""The least number of colons in an ARN."""
_THE_APPLICATIONS = frozenset(
    {"command", "dockerLabels", "entryPoint", "environment", "healthCheck", "options", "tags"}
)


def region_rules(request: Mapping[str, Any], region: str) -> Iterator[Problem]:
    """Find regions that do not exist, and regions and ARNs of another partition than the target's region is in."""
    own = partition_of(region)
    if own:
        yield from _problems(request, (), f"{region}, of partition {own.name}", own)


def _problems(value: Any, path: Path, here: str, own: Partition) -> Iterator[Problem]:
    match value:
        case {"logDriver": "awslogs", "options": {"awslogs-region": str() as region}} if region:
            yield from _region(region, (*path, "options", "awslogs-region"), here, own)
            yield from _problems({**value, "logDriver": ""}, path, here, own)
        case Mapping():
            for key, each in value.items():
                if key not in _THE_APPLICATIONS:
                    yield from _problems(each, (*path, key), here, own)
        case list():
            for index, each in enumerate(value):
                yield from _problems(each, (*path, index), here, own)
        case str() if value.startswith("arn:") and value.count(":") >= _COLONS:
            _, partition, _, region, *_ = value.split(":")
            if partition != own.name:
                what = f"an ARN of partition {partition}, but the target is in {here}"
                yield Problem(path, what, f"name one of this partition: arn:{own.name}:…")
            elif region:
                yield from _region(region, path, here, own)


def _region(region: str, path: Path, here: str, own: Partition) -> Iterator[Problem]:
    found = partition_of(region)
    if found is None:
        yield Problem(path, f"there is no AWS region '{region}'", advice(region))
    elif found != own:
        what = f"region {region}, of partition {found.name}, but the target is in {here}"
        yield Problem(path, what, f"name a region of partition {own.name}; {{{{ region }}}} is the target's own")


_RUNS = {"X86_64": ("amd64", "386"), "ARM64": ("arm64", "arm")}
"""The image architectures that run on each cpuArchitecture, the usual one first.

Source: containerd's platforms package, whose amd64 also takes 386, and whose arm64 also takes arm.
"""
_FARGATE = {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}


def names_platform(request: Mapping[str, Any]) -> bool:
    """Return whether the definition determines the platform of the image."""
    return bool(_asked(request))


def platform_rules(request: Mapping[str, Any], platforms: Sequence[Platform], image: str) -> Iterator[Problem]:
    """Find what the definition requires that none of the image's platforms offers; `image` is the image's name."""
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
