"""Many questions at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

MAX_THREADS = 32
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def each(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """The answers of `work` for the items, in their order, got in parallel."""
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(max_workers=min(len(listed), MAX_THREADS)) as pool:
        return list(pool.map(work, listed))


def together(*works: Callable[[], Any]) -> list[Any]:
    """The answers of all works, in their order, got in parallel; the first that raises, raises here."""
    return each(lambda work: work(), works)
