"""The door of a running command's reports: which of the three faces it wears."""

import os
from typing import TextIO

from deploytasks.report.json_lines import JsonLines
from deploytasks.report.outlet import speaks_unicode
from deploytasks.report.teller import Clock, Face, utc_now

__all__ = ["Face", "face"]


def face(command: str, stdout: TextIO, *, as_json: bool, clock: Clock = utc_now) -> Face:
    """JSON lines where they are asked for; a live table on a terminal that can move its cursor; else plain lines."""
    if as_json:
        return JsonLines(command, stdout, clock)
    if stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown") and speaks_unicode(stdout):
        from deploytasks.report.live import LiveTable  # rich, which --json does not need

        return LiveTable(command, stdout, clock)
    from deploytasks.report.lines import Lines

    return Lines(command, stdout, clock)
