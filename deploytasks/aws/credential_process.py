"""The program of a profile's `credential_process`: it has a deadline, and its output is never shown.

Botocore itself waits for it forever, and repeats its stderr, which may contain secrets.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

from botocore.credentials import ProcessProvider
from botocore.exceptions import CredentialRetrievalError

PROCESS_S = 60.0
"""How long the program may take. Source: `DefaultTimeout` of processcreds in AWS's SDK for Go."""
_MOST = 1 << 20
_TICK_S = 0.25


def provider(profile: str, load_config: Callable[[], Any], stopped: Event) -> ProcessProvider:
    """Return botocore's provider of a profile, with a program that is killed at its deadline or on an interruption."""
    return ProcessProvider(profile, load_config, popen=lambda words, **_: Program(profile, words, stopped))


class Program:
    """The running program, with the part of Popen's interface that botocore uses."""

    returncode = 0

    def __init__(self, profile: str, words: Sequence[str], stopped: Event) -> None:
        self._who = f"{words[0] if words else 'nothing'}, the credential_process of profile {profile},"
        self._stopped = stopped
        if not words:
            raise self._error("can't be run")
        self._has_group = not _has_terminal()  # a background process group can't prompt for a password at the terminal
        pipe, group = subprocess.PIPE, 0 if self._has_group else None
        self._process = subprocess.Popen(words, stdout=pipe, stderr=pipe, process_group=group)

    def communicate(self) -> tuple[bytes, bytes]:
        """Return the program's output once it has ended successfully.

        Raises:
            CredentialRetrievalError: it failed, took too long, or printed something else.

        """
        with self._ended():
            printed = self._read()
            code = self._process.poll()
        if code:
            how = f"exited with {code}" if code > 0 else f"was ended by signal {-code}"
            raise self._error(f"{how}; what it printed is not shown, since it may name secrets")
        with suppress(ValueError):
            if isinstance(json.loads(printed), dict):
                return printed, b""
        raise self._error(f"printed {len(printed):,} bytes that are not the JSON object AWS documents")

    def _read(self) -> bytes:
        """Return its stdout, read until the program ends: a child that it left may keep the pipes open."""
        printed, until = bytearray(), time.monotonic() + PROCESS_S
        with selectors.DefaultSelector() as pipes:
            for pipe in (self._process.stdout, self._process.stderr):
                pipes.register(pipe, selectors.EVENT_READ)  # type: ignore[arg-type]
            while self._is_running(pipes):
                for key, _ in pipes.select(_TICK_S):
                    part = os.read(key.fd, 1 << 16)
                    if not part:
                        pipes.unregister(key.fileobj)
                    elif key.fileobj is self._process.stdout:
                        printed += part
                self._guard(len(printed), until)
        return bytes(printed)

    def _is_running(self, pipes: selectors.BaseSelector) -> bool:
        """Return whether the program runs, or there may be output left to read."""
        if not pipes.get_map():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TICK_S)
        return self._process.poll() is None or bool(pipes.get_map() and pipes.select(0))

    def _guard(self, size: int, until: float) -> None:
        if self._stopped.is_set():
            raise self._error("was ended by an interruption")
        if size > _MOST:
            raise self._error(f"printed more than {_MOST:,} bytes, and was ended")
        if time.monotonic() >= until:
            raise self._error(f"did not end in {PROCESS_S:g} s, and was ended")

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Kill the program and all that it started if the block raises; close the pipes."""
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if self._has_group:
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()
            self._process.wait()
            raise
        finally:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe:
                    pipe.close()

    def _error(self, what: str) -> CredentialRetrievalError:
        return CredentialRetrievalError(provider=ProcessProvider.METHOD, error_msg=f"{self._who} {what}")


def _has_terminal() -> bool:
    """Return whether the program could prompt the user."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True
