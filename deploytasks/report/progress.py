"""Choose the reporter of a running command."""

import os
from typing import TextIO

from msgspec.structs import replace

from deploytasks.report import ci
from deploytasks.report.json_lines import JsonLines
from deploytasks.report.reporter import Clock, Reporter, utc_now
from deploytasks.report.streams import speaks_unicode


def reporter_for(
    command: str, stdout: TextIO, *, as_json: bool, summarised: bool = True, clock: Clock = utc_now
) -> Reporter:
    """Return the reporter for this stream, wrapped for the CI engine if there is one.

    Write no step summary unless `summarised`: a dry run writes no file.
    """
    engine = ci.engine(os.environ)
    engine = engine if summarised else replace(engine, summary=None)
    chosen = _bare(command, stdout, clock, as_json=as_json, moving=not engine.is_there)
    if engine.folds and not as_json:
        chosen = ci.Folding(chosen, command, stdout, clock)
    return ci.Summarised(chosen, command, engine.summary, clock) if engine.summary else chosen


def _bare(command: str, stdout: TextIO, clock: Clock, *, as_json: bool, moving: bool) -> Reporter:
    """Return JSON lines if asked for; a live table on a terminal that can move its cursor; else plain lines."""
    if as_json:
        return JsonLines(command, stdout, clock)
    terminal = stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown") and speaks_unicode(stdout)
    if moving and terminal:
        from deploytasks.report.live import LiveTable  # rich, which --json does not need

        return LiveTable(command, stdout, clock)
    from deploytasks.report.lines import Lines

    return Lines(command, stdout, clock)
