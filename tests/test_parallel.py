"""Many questions at once: an interruption is heard whenever it comes, and waits for nobody's answer."""

import signal
import threading
import time

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
