"""A stream that may stop taking text: its reader goes away (`| head`), or the disk is full.

A release must not die of it half-way; what was lost is told at the end.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from deploytasks.report.sheet import Sheet
from deploytasks.report.text import escaped, harmless_document


class OutputStream:
    """Writes whole texts and flushes; from the first failure on it is silent.

    `lost` says why, unless the reader went away by himself.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True
        self.lost = ""

    @property
    def is_read(self) -> bool:
        """Whether the reader was still there at the last writing."""
        return self._open

    def write(self, text: str) -> None:
        """The text is with the reader, if there is still one."""
        if not self._open:
            return
        try:
            self._stream.write(writable(text, self._stream))
            self._stream.flush()
        except OSError as error:
            self._open = False
            self.lost = "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
            silence(self._stream)


def writable(text: str, stream: TextIO) -> str:
    """The text with its characters that the stream's encoding cannot say written as escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether every character may be written to the stream."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def silence(stream: TextIO) -> None:
    """What is still buffered goes nowhere, so that Python does not complain at its end.

    Source: the signal module's note on SIGPIPE.

    """
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def room_in(file: Path, most: int) -> int:
    """How many bytes may be added to a file that shall hold `most` of them."""
    try:
        return most - file.stat().st_size
    except OSError:
        return most


def append(file: Path, text: str) -> str:
    """The text stands at the file's end, or, returned, why it does not."""
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        return f"{file} could not be written: {error.strerror or error}"
    return ""


def show(sheet: Sheet, stdout: TextIO) -> str:
    """The sheet stands on the stream: coloured and as wide as a terminal, else plain and as wide as it needs."""
    from deploytasks.report.paint import Terminal, plain  # rich, which --json does not need

    if stdout.isatty() and speaks_unicode(stdout):
        Terminal(stdout).put(sheet)
        return ""
    return _written(plain(sheet), stdout)


def show_json(document: Any, stdout: TextIO) -> str:
    """The document, and nothing else, stands on the stream."""
    return _written(dumped(document, stdout, indent=2) + "\n", stdout)


def show_exact_json(document: Any, stdout: TextIO, indent: int | None = 2) -> str:
    """The document stands on the stream with every value as it is, for a program that will use it.

    Nothing is masked or left out; what a terminal would obey is written as an escape of JSON's own.
    """
    text = json.dumps(document, ensure_ascii=not speaks_unicode(stdout), indent=indent)
    return _written(escaped(text) + "\n", stdout)


def dumped(document: Any, stdout: TextIO, *, indent: int | None = None) -> str:
    """The document as JSON that the stream can take."""
    return json.dumps(harmless_document(document), ensure_ascii=not speaks_unicode(stdout), indent=indent)


def _written(text: str, stdout: TextIO) -> str:
    stream = OutputStream(stdout)
    stream.write(text)
    return stream.lost
