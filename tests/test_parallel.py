"""Many questions at once: an interruption is heard whenever it comes, and waits for nobody's answer."""

import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from deploytasks import concurrency
from tests.hanging import HANGS_S


def test_a_signal_that_does_not_wake_the_waiting_thread_is_heard_all_the_same():
    silent = threading.Event()

    def ask(number: int) -> None:
        if number == 1:  # a handler that runs in another thread wakes nobody, nor does one just before the wait begins
            silent.wait(1)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        silent.wait(HANGS_S)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            concurrency.each(ask, [1, 2])
    finally:
        silent.set()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < HANGS_S / 2


def test_a_signal_while_the_thread_of_a_work_starts_waits_for_the_work(monkeypatch: pytest.MonkeyPatch):
    start, done = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    def work() -> None:
        threading.Event().wait(0.2)
        done.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        concurrency.finish(work, HANGS_S)
    assert done.is_set() and not isinstance(caught.value, concurrency.StillRunning)


def test_a_signal_that_python_hides_behind_an_unlocked_lock_is_an_interruption(monkeypatch: pytest.MonkeyPatch):
    def hidden(_: object, timeout: float) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            threading.Lock().release()

    monkeypatch.setattr(Future, "exception", hidden)
    with pytest.raises(KeyboardInterrupt):
        concurrency.each(lambda _: threading.Event().wait(1), [1, 2])


def in_a_thread(work):
    """What the work returns, run in a thread of its own; an error is the answer too."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).exception() or pool.submit(threading.get_ident).result()


def test_a_thread_that_has_questions_asks_one_of_them_itself_and_all_at_once():
    both, asking = threading.Barrier(2), set[int]()

    def ask(_: int) -> None:
        asking.add(threading.get_ident())
        both.wait(HANGS_S)

    itself = in_a_thread(lambda: concurrency.each(ask, [1, 2]))
    assert itself in asking and len(asking) == 2


def test_after_a_failure_no_further_question_is_asked(monkeypatch: pytest.MonkeyPatch):
    asked, emptied, empty = list[int](), threading.Event(), concurrency._empty

    def ask(number: int) -> None:
        asked.append(number)
        if number == 0:
            raise ValueError(number)
        emptied.wait(30)

    def emptying(todo: Any) -> None:
        empty(todo)
        emptied.set()

    monkeypatch.setattr(concurrency, "_empty", emptying)
    assert isinstance(in_a_thread(lambda: concurrency.each(ask, range(1_000))), ValueError)
    assert len(asked) <= concurrency.MAX_THREADS
