"""Write containers' log lines: for people with their source or bare, for programs as JSON lines."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from deploytasks.errors import exit_code
from deploytasks.model import Definition, Event, Exited, Logged, Target, Told
from deploytasks.report.json_lines import logged_json
from deploytasks.report.lines import logged
from deploytasks.report.masking import veil, veiled, veiled_document
from deploytasks.report.secrets import secrets_of
from deploytasks.report.streams import OutputStream, dumped
from deploytasks.report.text import harmless, iso, target_json

Form = Literal["stamped", "bare", "json"]
"""`stamped`: with time, target, task and container. `bare`: the message, unchanged if stdout is not a terminal."""


class Log:
    """An OnEvent that writes log lines to stdout, without the secrets of the containers' definitions.

    Messages go to `aside`, in the form of an error; as JSON, everything goes to stdout, the summary last.
    """

    def __init__(self, command: str, stdout: TextIO, aside: TextIO, form: Form, *, width: int = 0) -> None:
        self._command, self._form, self._width = command, form, width
        self._stdout, self._out, self._aside = stdout, OutputStream(stdout), OutputStream(aside)
        self._secrets: frozenset[str] = frozenset()
        self._finished = False
        self.lines = 0

    @property
    def is_read(self) -> bool:
        """Whether stdout still has a reader."""
        return self._out.is_read

    @property
    def lost(self) -> str:
        """Why stdout rejected output; "" if it did not, or its reader went away."""
        return self._out.lost

    def keep_back(self, definitions: Iterable[Definition], targets: Iterable[Target]) -> None:
        """Mask the secrets of these definitions and of these targets' settings from now on."""
        self._secrets |= secrets_of(definitions, targets)

    def shown(self, text: str) -> str:
        """Return the text as it may be shown: secrets masked, escape sequences removed."""
        return harmless(veil(text, self._secrets))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._finished:
            self.finish({"exit": exit_code(error), "error": self.shown(str(error)) or type(error).__name__})

    def __call__(self, event: Event) -> None:
        """Write the event to its stream."""
        match veiled(event, self._secrets):
            case Logged() as line:
                self.lines += 1
                self._out.write(self._json("log", logged_json(line)) if self._form == "json" else self._text(line))
            case Told(step, message, subject) if self._form == "json":
                self._out.write(self._json("told", {"step": step, "about": subject, "message": message}))
            case Told(step, message, subject):
                self._aside.write(harmless(f"{subject or step}: {message}") + "\n")
            case _:
                pass

    def finish(self, known: Mapping[str, Any]) -> None:
        """Write the last JSON line; nothing in the other forms."""
        self._finished = True
        if self._form == "json":
            told = veiled_document(known, self._secrets)
            self._out.write(self._json("summary", {"command": self._command, "lines": self.lines, **told}))

    def _text(self, line: Logged) -> str:
        if self._form == "bare":
            return f"{harmless(line.message) if self._stdout.isatty() else line.message}\n"
        stamped = logged(line, self._width)  # joined here, because rich takes half a millisecond per line
        return "".join(f"{each.text.rstrip()}\n" for each in stamped)

    def _json(self, event: str, document: Mapping[str, Any]) -> str:
        return dumped({"event": event, "time": iso(datetime.now(UTC)), **document}, self._stdout) + "\n"


def exited_json(exited: Exited, code: int) -> dict[str, Any]:
    """Return how a one-off task ended, for programs; `code` is this process's exit code."""
    known = {"task": exited.task, "exit_code": exited.code, "reason": exited.reason or None, "exit": code}
    return {**target_json(exited.target), **known}
