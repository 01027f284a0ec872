"""Waiting in tests: for what must become true, and never for a time by which it should have."""

import time
from collections.abc import Callable
from threading import Event

HANGS_S = 300.0
"""What has not come by then never comes, however busy the machine is."""


def until(true: Callable[[], object], *, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait until it is true, doing something again and again, or raise where it never will be."""
    deadline = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        meanwhile()
        Event().wait(0.01)
