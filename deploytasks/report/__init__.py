"""Turn values into text, tables, JSON, Markdown and HTML. Nothing here calls AWS or decides anything.

Every kind of value has one file with two functions: `sheet(…)` lays it out for people, `as_json(…)` for programs.
`streams.py` writes either to a stream. A running command is shown by a `Reporter` (`reporter.py`), of which there are
three: a live table on a terminal, plain lines elsewhere, JSON lines for programs.
"""
