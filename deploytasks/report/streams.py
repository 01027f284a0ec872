"""Write to streams that may fail: the reader goes away (`| head`), or the disk is full.

That must not stop a release half-way; the loss of output is reported at the end.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from deploytasks.report.sheet import Sheet
from deploytasks.report.text import escaped, harmless_document


class OutputStream:
    """Writes whole texts and flushes; writes nothing after the first failure.

    `lost` is the reason of the failure; "" if there was none, or the reader went away.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True
        self.lost = ""

    @property
    def is_read(self) -> bool:
        """Whether the reader was still there at the last write."""
        return self._open

    def write(self, text: str) -> None:
        """Write the text, unless an earlier write failed."""
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
    """Return the text with characters that the stream's encoding lacks written as escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def speaks_unicode(stream: TextIO) -> bool:
    """Return whether the stream's encoding is a Unicode one."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def silence(stream: TextIO) -> None:
    """Redirect the stream to /dev/null, so that flushing it at exit raises no error.

    Source: the signal module's note on SIGPIPE.

    """
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def room_in(file: Path, most: int) -> int:
    """Return how many bytes may be added to a file of at most `most` bytes."""
    try:
        return most - file.stat().st_size
    except OSError:
        return most


def append(file: Path, text: str) -> str:
    """Append the text to the file; return why that failed, "" if it did not."""
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        return f"{file} could not be written: {error.strerror or error}"
    return ""


def show(sheet: Sheet, stdout: TextIO) -> str:
    """Write the sheet: coloured and fitted to a terminal, else plain and as wide as needed; return why that failed."""
    if stdout.isatty() and speaks_unicode(stdout):
        from deploytasks.report.paint import Terminal  # rich, which only a terminal needs

        Terminal(stdout).put(sheet)
        return ""
    from deploytasks.report.plain import plain  # rich's widths of characters, which --json does not need

    return _written(plain(sheet), stdout)


def show_json(document: Any, stdout: TextIO) -> str:
    """Write the document as JSON; return why that failed, "" if it did not."""
    return _written(dumped(document, stdout, indent=2) + "\n", stdout)


def show_exact_json(document: Any, stdout: TextIO, indent: int | None = 2) -> str:
    """Write the document with exact values, for a program that will use it; return why that failed, "" if it did not.

    Mask and leave out nothing; write control characters and the like as JSON escapes.
    """
    text = json.dumps(document, ensure_ascii=not speaks_unicode(stdout), indent=indent)
    return _written(escaped(text) + "\n", stdout)


def dumped(document: Any, stdout: TextIO, *, indent: int | None = None) -> str:
    """Return the document as harmless JSON that the stream's encoding can represent."""
    return json.dumps(harmless_document(document), ensure_ascii=not speaks_unicode(stdout), indent=indent)


def _written(text: str, stdout: TextIO) -> str:
    stream = OutputStream(stdout)
    stream.write(text)
    return stream.lost
