"""Values become text, tables and JSON; nothing here prints by itself, asks AWS or decides anything.

Every kind of value has one file, with two functions: `sheet(…)` lays it out for people, `as_json(…)` for programs.
`show.py` writes either to a stream. A running command is told by a `Face` (`reporter.py`), of which there are three: a
live table on a terminal, plain lines elsewhere, JSON lines for programs.
"""
