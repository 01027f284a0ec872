"""What can be asked of AWS in one call stands together. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from deploytasks.model import Target

Item = TypeVar("Item")
SERVICES_A_CALL = 10


def of_one_cluster(items: Iterable[Item], target_of: Callable[[Item], Target]) -> Iterator[list[Item]]:
    """The items whose targets share an account and a cluster together, ten at most: one DescribeServices each."""
    clusters: dict[tuple[Any, str], list[Item]] = {}
    for item in items:
        target = target_of(item)
        clusters.setdefault((target.access, target.cluster), []).append(item)
    for members in clusters.values():
        yield from (members[at : at + SERVICES_A_CALL] for at in range(0, len(members), SERVICES_A_CALL))
