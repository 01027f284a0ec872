"""AWS's partitions and regions as listed by the installed botocore, read without importing botocore.

Source: botocore's data/partitions.json, from which botocore makes every address itself.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploytasks.spelling import nearest

_DEFAULT_SUFFIX = "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Partition:
    """One of AWS's clouds: `aws`, `aws-cn`, …; its hosts end in `suffix`."""

    name: str
    suffix: str
    regions: frozenset[str]


@cache
def partitions() -> tuple[Partition, ...]:
    """Return the partitions that botocore lists, without the pseudo regions of global services."""
    spec = find_spec("botocore")
    folders = (spec and spec.submodule_search_locations) or []
    data = json.loads((Path(next(iter(folders))) / "data" / "partitions.json").read_text(encoding="utf-8"))
    return tuple(
        Partition(
            each["id"],
            each["outputs"]["dnsSuffix"],
            frozenset(name for name in each["regions"] if not name.endswith("-global")),
        )
        for each in data["partitions"]
    )


def partition_name(region: str) -> str:
    """Return what an ARN of the region names as its partition; `aws` if the region is in none that is known."""
    partition = partition_of(region)
    return partition.name if partition else "aws"


def partition_of(region: str) -> Partition | None:
    """Return the partition of the region, None if botocore does not list the region."""
    return next((each for each in partitions() if region in each.regions), None)


def region_of(arn: Any) -> str:
    """Return the region in an ARN; "" if there is none, or the value is not an ARN."""
    parts = arn.split(":") if isinstance(arn, str) and arn.startswith("arn:") else []
    return parts[3] if len(parts) > 3 else ""


def suffix(region: str) -> str:
    """Return the DNS suffix of the region's hosts: `amazonaws.com`, `amazonaws.com.cn`."""
    found = partition_of(region)
    return found.suffix if found else _DEFAULT_SUFFIX


def nearest_region(region: str) -> str | None:
    """Return the region that a mistyped one was most likely meant to be; None if it is like none."""
    known = sorted(name for each in partitions() for name in each.regions)
    return nearest(region.lower().replace("_", "-"), known)


def advice(region: str) -> str:
    """Return the advice on a region that botocore does not list: the nearest one that it does."""
    near = nearest_region(region)
    meant = [f"did you mean '{near}'?"] if near else []
    return "\n".join([*meant, "a region newer than the installed botocore: pip install -U boto3"])
