"""Many questions at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from deploytasks.errors import DeployError

MAX_THREADS = 32
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def each(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """The answers of `work` for the items, in their order, got in parallel."""
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    pool = ThreadPoolExecutor(max_workers=min(len(listed), MAX_THREADS))
    try:
        return list(pool.map(work, listed))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupted look waits for nobody


def together(*works: Callable[[], Any]) -> list[Any]:
    """The answers of all works, in their order, got in parallel.

    Raises:
        DeployError: of the first that raised one, with the complaints of all that did.

    """
    answers = each(_answer, works)
    errors = [answer for answer in answers if isinstance(answer, DeployError)]
    if errors:
        raise type(errors[0])(*dict.fromkeys(each for error in errors for each in error.complaints)) from errors[0]
    return answers


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except DeployError as error:
        return error
