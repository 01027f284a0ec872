"""The reporter for programs: one JSON object per line, the last one always `{"event": "summary", …}`."""

from typing import Any, TextIO, assert_never

from deploytasks.errors import INTERRUPTED, exit_code
from deploytasks.model import Ended, Event, Logged, Planned, Progress, Report, Told
from deploytasks.report import plan, results
from deploytasks.report.masking import veil
from deploytasks.report.reporter import Clock, Reporter
from deploytasks.report.streams import OutputStream, dumped
from deploytasks.report.text import iso, revision_name, target_json


class JsonLines(Reporter):
    """Writes each event as one flushed line. A command that breaks off ends with a summary too, of what had ended."""

    def __init__(self, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(command, clock)
        self._stdout = stdout
        self._stream = OutputStream(stdout)

    @property
    def lost(self) -> str:
        """Why the stream rejected output; "" if it did not."""
        return self._stream.lost

    def _tell(self, event: Event) -> None:
        match event:
            case Told():
                self._write("told", {"step": event.step, "about": event.about, "message": event.message})
            case Logged():
                self._write("log", logged_json(event))
            case Planned():
                self._write("planned", {"plan": plan.as_json(event.plan)})
            case Progress():
                self._write("progress", _progress(event))
            case Ended():
                self._write("ended", results.result_json(event.result))
            case _:
                assert_never(event)

    def _end(self, report: Report) -> None:
        self._write("summary", {**results.as_json(report), "duration_s": round(self._elapsed_s(), 1)})

    def _leave(self, error: BaseException | None) -> None:
        if error is None or self._finished:
            return
        known = {} if self._plan is None else results.as_json(Report(self._command, self._plan, self._ended))
        failure = {"exit": exit_code(error), "error": veil(str(error), self._secrets) or type(error).__name__}
        self._write("summary", {"command": self._command, **known, **failure, **self._complaints(error)})

    def _complaints(self, error: BaseException) -> dict[str, Any]:
        """Return each complaint in its parts; the last `to_do` of an interruption is the command to resume with."""
        named = ("where", "what", "to_do")
        complaints = getattr(error, "complaints", ())  # every error of ours has them
        parts = [{name: veil(getattr(each, name), self._secrets) for name in named} for each in complaints]
        resume = {"resume": parts[-1]["to_do"]} if parts and exit_code(error) == INTERRUPTED else {}
        return {"complaints": parts, **resume}

    def _write(self, event: str, document: dict[str, Any]) -> None:
        line = {"event": event, "time": iso(self._clock()), **document}
        self._stream.write(dumped(line, self._stdout) + "\n")


def logged_json(event: Logged) -> dict[str, Any]:
    """Return a container's log line for programs."""
    known = {"task": event.task, "container": event.container, "message": event.message, "at": iso(event.at)}
    return {**target_json(event.target), **known}


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        **target_json(progress.target),
        "state": progress.state,
        "revision": revision_name(progress.revision) or None,
        "running": progress.running,
        "desired": progress.desired,
        "last_event": progress.last_event or None,
    }
