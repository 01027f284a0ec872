"""Regions and partitions in a request that AWS could not reach from the target's region.

Another region of the same partition may be meant, and is not a problem. Variables, commands and labels are the
application's own, and are not looked at.

Source: IAM user guide, "Amazon Resource Names" (accounts, and so roles and credentials, belong to one partition);
botocore's data/partitions.json.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploytasks.regions import Partition, advice, partition_of
from deploytasks.template.shape import Path, Problem

_COLONS = 5
"""So many at least are in an ARN."""
_THE_APPLICATIONS = frozenset(
    {"command", "dockerLabels", "entryPoint", "environment", "healthCheck", "options", "tags"}
)


def region_rules(request: Mapping[str, Any], region: str) -> Iterator[Problem]:
    """Find regions that do not exist, and regions and ARNs of another partition than the target's region is of."""
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
                what = f"an ARN of partition {partition}, but the service runs in {here}"
                yield Problem(path, what, f"name one of this partition: arn:{own.name}:…")
            elif region:
                yield from _region(region, path, here, own)


def _region(region: str, path: Path, here: str, own: Partition) -> Iterator[Problem]:
    found = partition_of(region)
    if found is None:
        yield Problem(path, f"there is no AWS region '{region}'", advice(region))
    elif found != own:
        what = f"region {region}, of partition {found.name}, but the service runs in {here}"
        yield Problem(path, what, f"name a region of partition {own.name}; {{{{ region }}}} is the target's own")
