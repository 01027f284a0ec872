"""Functions that run several calls in parallel."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from deploytasks.errors import DeployError, contained, once

MAX_THREADS = 64
LONGEST_WAIT_S = 0.5
"""The longest single wait: a signal that arrives just before Python begins to wait is handled only after it."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Todo = SimpleQueue[tuple[Item, "Future[Answer]"]]


def each(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Return the results of `work` for the items, in their order, run in parallel.

    An interruption does not wait for running calls: the threads are daemons, which Python does not join at exit
    either. A concurrent.futures pool would keep the process alive until AWS answers or times out. Outside the main
    thread, which signals interrupt, the caller does items too.
    """
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    todo: Todo[Item, Answer] = SimpleQueue()
    answers: list[Future[Answer]] = [Future() for _ in listed]
    for pair in zip(listed, answers, strict=True):
        todo.put(pair)
    works_along = threading.current_thread() is not threading.main_thread()
    for _ in range(min(len(listed), MAX_THREADS) - works_along):
        threading.Thread(target=_work_off, args=(work, todo), daemon=True).start()
    if works_along:
        _work_off(work, todo)
    try:
        return [_awaited(answer) for answer in answers]
    finally:
        _empty(todo)  # after an interruption, start none of the remaining items


class StillRunning(KeyboardInterrupt):
    """A signal interrupted the wait for a work that did not end in time, and may end later."""


def finish(work: Callable[[], Answer], grace_s: float) -> Answer:
    """Return the result of a work that no signal cuts off; after a signal, wait for at most `grace_s` seconds.

    Raises:
        StillRunning: a signal came, and the work did not end in time.
        KeyboardInterrupt: a signal came, and the work has ended.

    """
    answer: Future[Answer] = Future()
    try:
        _start(answer, work)  # a signal may come before the thread's start is known here
        return _awaited(answer)
    except KeyboardInterrupt:
        with suppress(Exception):
            answer.exception(grace_s)
        if not answer.done():
            raise StillRunning from None
        raise


def started(work: Callable[[], Answer]) -> "Future[Answer]":
    """Return the result to come of a work that runs in a daemon thread of its own."""
    answer: Future[Answer] = Future()
    _start(answer, work)
    return answer


def _start(answer: "Future[Answer]", work: Callable[[], Answer]) -> None:
    threading.Thread(target=_settle, args=(answer, work), daemon=True).start()


def _settle(answer: "Future[Answer]", work: Callable[[], Answer]) -> bool:
    """Set the answer, and return whether the work went well."""
    try:
        answer.set_result(work())
    except BaseException as error:
        answer.set_exception(error)
        return False
    return True


def _awaited(answer: "Future[Answer]") -> Answer:
    """Return the result, waiting in short steps so that a signal is noticed."""
    while not answer.done():
        try:
            answer.exception(LONGEST_WAIT_S)
        except TimeoutError:
            continue
        except RuntimeError as error:
            # A signal that comes while Condition.wait takes its lock again: "release unlocked lock" hides it.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
    return answer.result()


def _work_off(work: Callable[[Item], Answer], todo: "Todo[Item, Answer]") -> None:
    while True:
        try:
            item, answer = todo.get_nowait()
        except Empty:
            return
        if not _settle(answer, partial(work, item)):
            _empty(todo)  # the items before this one have been taken: each of them gets its answer


def _empty(todo: "Todo[Any, Any]") -> None:
    with suppress(Empty):
        while True:
            todo.get_nowait()


def together(*works: Callable[[], Any]) -> list[Any]:
    """Return the results of all works, in their order, run in parallel.

    Raises:
        DeployError: of the type of the first work that failed, with the complaints of all that failed.

    """
    answers = attempts(*works)
    errors = [answer for answer in answers if isinstance(answer, DeployError)]
    if errors:
        raise type(errors[0])(*once(each for error in errors for each in error.complaints)) from errors[0]
    return answers


def attempts(*works: Callable[[], Any]) -> list[Any]:
    """Return the results of all works, in their order, run in parallel; a work that raises yields its DeployError."""
    return each(_answer, works)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        with contained("AWS"):
            return work()
    except DeployError as error:
        return error
