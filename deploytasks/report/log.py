"""Log lines as they are read: for people with where each comes from, or bare; for programs as JSON lines."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

from deploytasks.model import Definition, Event, Exited, Logged, Told
from deploytasks.report.json_lines import logged_json
from deploytasks.report.lines import logged
from deploytasks.report.outlet import Outlet
from deploytasks.report.paint import plain
from deploytasks.report.secrets import secrets_of, veiled
from deploytasks.report.sheet import Line, Span
from deploytasks.report.show import dumped
from deploytasks.report.text import iso, lines_of, target_json


class Log:
    """Shows every line that it is told (it is an OnEvent), without the secrets of the definitions that wrote it.

    `bare` lines are the message alone, which can be piped; what else is told goes to `aside`.
    """

    def __init__(
        self, stdout: TextIO, aside: TextIO, definitions: Iterable[Definition], *, as_json: bool, bare: bool = False
    ) -> None:
        self._stdout, self._out, self._aside = stdout, Outlet(stdout), Outlet(aside)
        self._secrets = secrets_of(definitions)
        self._as_json, self._bare = as_json, bare
        self.lines = 0

    def __call__(self, event: Event) -> None:
        """The line is on the stream."""
        match veiled(event, self._secrets):
            case Logged() as line:
                self.lines += 1
                self._out.write(self._json("log", logged_json(line)) if self._as_json else self._text(line))
            case Told() as told:
                self._aside.write(f"{told.service or told.step}: {told.message}\n")
            case _:
                pass

    def summary(self, command: str, exited: Exited | None = None, exit: int = 0) -> None:
        """The last JSON line; people need none."""
        if self._as_json:
            ended = (
                {} if exited is None else {**target_json(exited.target), "task": exited.task, "reason": exited.reason}
            )
            self._out.write(self._json("summary", {"command": command, "exit": exit, "lines": self.lines, **ended}))

    def _text(self, line: Logged) -> str:
        if self._bare:
            return plain(tuple(Line((Span(each),)) for each in lines_of(line.message)))
        return plain(tuple(logged(line, len(str(line.target)))))

    def _json(self, event: str, document: dict[str, object]) -> str:
        return dumped({"event": event, "time": iso(datetime.now(UTC)), **document}, self._stdout) + "\n"
