"""Many questions at once."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from deploytasks.errors import DeployError, contained, once

MAX_THREADS = 32
LONGEST_WAIT_S = 0.5
"""No single wait is longer: a signal that comes just before Python begins to wait is heard only when the wait ends."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Todo = SimpleQueue[tuple[Item, "Future[Answer]"]]


def each(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """The answers of `work` for the items, in their order, got in parallel.

    An interruption waits for nobody: the threads are daemons, which Python does not wait for at its end either. A pool
    of concurrent.futures would keep the process alive until AWS has answered, or has been silent long enough.
    """
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    todo: Todo[Item, Answer] = SimpleQueue()
    answers: list[Future[Answer]] = [Future() for _ in listed]
    for pair in zip(listed, answers, strict=True):
        todo.put(pair)
    for _ in range(min(len(listed), MAX_THREADS)):
        threading.Thread(target=_work_off, args=(work, todo), daemon=True).start()
    try:
        return [_awaited(answer) for answer in answers]
    finally:
        _empty(todo)  # what was not begun, because somebody interrupted or a work failed, is not begun any more


def _awaited(answer: "Future[Answer]") -> Answer:
    """The answer, which is waited for a little at a time."""
    while not answer.done():
        with suppress(TimeoutError):
            answer.exception(LONGEST_WAIT_S)
    return answer.result()


def _work_off(work: Callable[[Item], Answer], todo: "Todo[Item, Answer]") -> None:
    while True:
        try:
            item, answer = todo.get_nowait()
        except Empty:
            return
        try:
            answer.set_result(work(item))
        except BaseException as error:
            answer.set_exception(error)


def _empty(todo: "Todo[Any, Any]") -> None:
    with suppress(Empty):
        while True:
            todo.get_nowait()


def together(*works: Callable[[], Any]) -> list[Any]:
    """The answers of all works, in their order, got in parallel.

    Raises:
        DeployError: of the first that raised one, with the complaints of all that did.

    """
    answers = attempts(*works)
    errors = [answer for answer in answers if isinstance(answer, DeployError)]
    if errors:
        raise type(errors[0])(*once(each for error in errors for each in error.complaints)) from errors[0]
    return answers


def attempts(*works: Callable[[], Any]) -> list[Any]:
    """Return the answers of all works, in their order, got in parallel; of one that raises, it is a DeployError."""
    return each(_answer, works)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        with contained("AWS"):
            return work()
    except DeployError as error:
        return error
