"""The door of a running command's reports: which of the three faces it wears, and what CI is told around it."""

import os
from dataclasses import replace
from typing import TextIO

from deploytasks.report import ci
from deploytasks.report.json_lines import JsonLines
from deploytasks.report.outlet import speaks_unicode
from deploytasks.report.teller import Clock, Face, utc_now

__all__ = ["Face", "face"]


def face(command: str, stdout: TextIO, *, as_json: bool, summarised: bool = True, clock: Clock = utc_now) -> Face:
    """The face for this stream, and around it what the CI engine that reads along can show besides.

    Write no step summary unless `summarised`: a dry run writes no file.
    """
    engine = ci.engine(os.environ)
    engine = engine if summarised else replace(engine, summary=None)
    worn = _bare(command, stdout, clock, as_json=as_json, moving=not engine.is_there)
    if not engine.is_there and engine.summary is None:
        return worn
    from deploytasks.report.around import Folding, Summarised

    if engine.folds and not as_json:
        worn = Folding(worn, command, stdout, clock)
    return Summarised(worn, command, engine.summary, clock) if engine.summary else worn


def _bare(command: str, stdout: TextIO, clock: Clock, *, as_json: bool, moving: bool) -> Face:
    """JSON lines where they are asked for; a live table on a terminal that can move its cursor; else plain lines."""
    if as_json:
        return JsonLines(command, stdout, clock)
    terminal = stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown") and speaks_unicode(stdout)
    if moving and terminal:
        from deploytasks.report.live import LiveTable  # rich, which --json does not need

        return LiveTable(command, stdout, clock)
    from deploytasks.report.lines import Lines

    return Lines(command, stdout, clock)
