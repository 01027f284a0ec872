"""Render sheets as GitHub-flavoured Markdown: tables, lines, and indented lines as a block of code.

Everything shows as plain text: no markup, link, mention or HTML from AWS, git or a container takes effect.
"""

import re
from collections.abc import Iterable
from itertools import groupby

from msgspec import Struct

from deploytasks.report.sheet import Block, Entry, Line, Sheet, Span, Table, Tone
from deploytasks.report.text import counted, one_line

_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$]")
_BLOCK_START = re.compile(r"^\d+(?=[.)])|^(?=[#+=:-])")
_LINKING = re.compile(
    r"(?<=@)(?:(?<!\w@)|(?=[\w.-]*\.\w))|(?<=:)(?=//|[\w+-]+:)|(?<=#)(?=\d)|(?<=GH-)(?=\d)|(?i:(?<=www)(?=\.))"
)
_APART = "&#8203;"  # no width; renderers detect mentions, addresses and emoji after unescaping the text
_BOLD: frozenset[Tone] = frozenset({"strong", "bad"})


class Part(Struct, frozen=True):
    """A self-contained piece of Markdown; logs are `verbose`, and left out first if room is short."""

    text: str
    verbose: bool = False


def markdown(title: str, sheet: Sheet, room: int | None = None) -> str:
    """Return the sheet under a heading, in at most `room` bytes of UTF-8, with a note of how much is left out."""
    parts = [Part(f"## {escaped(title)}"), *_parts(sheet)]
    kept = parts if room is None else _fitting(parts, room)
    return "".join(f"{part.text}\n\n" for part in kept)


def escaped(text: str) -> str:
    """Return Markdown, on one line, that shows exactly this text."""
    apart = _LINKING.sub("\u200b", one_line(text).strip())  # harmless text never contains this character
    plain = _BLOCK_START.sub(r"\g<0>\\", _SPECIAL.sub(r"\\\g<0>", apart))
    return plain.replace("\u200b", _APART)


def _parts(sheet: Sheet) -> Iterable[Part]:
    for kind, blocks in groupby(sheet, _kind):
        match kind:
            case "table":
                yield from (Part(_table(block)) for block in blocks if isinstance(block, Table) and block.columns)
            case "code":
                yield Part(_code([block for block in blocks if isinstance(block, Line)]), verbose=True)
            case "copied":
                yield Part(_code([block for block in blocks if isinstance(block, Line)]))
            case "text":
                yield Part("<br>\n".join(_spans(block.spans) for block in blocks if isinstance(block, Line)))


def _kind(block: Block) -> str:
    match block:
        case Table():
            return "table"
        case Line(spans=()):
            return "blank"
        case Line(whole=True):
            return "copied"
        case Line(indent=indent):
            return "code" if indent else "text"


def _table(table: Table) -> str:
    head = [escaped(column.name) for column in table.columns]
    rows = [[_entry(entry) for entry in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _entry(entry: Entry) -> str:
    return "<br>".join(_spans((span,)) for span in entry)


def _spans(spans: Iterable[Span]) -> str:
    """Return the spans side by side; those of one weight are joined first, so that escaping sees whole words."""
    runs = [(bold, "".join(span.text for span in run)) for bold, run in groupby(spans, lambda one: one.tone in _BOLD)]
    said = [(bold, text) for bold, text in runs if text.strip()]
    return "".join(_run(text, bold=bold) for bold, text in said).strip()


def _run(text: str, *, bold: bool) -> str:
    core = escaped(text)
    before, after = " " * (text[0] == " "), " " * (text[-1] == " ")
    return f"{before}<b>{core}</b>{after}" if bold else f"{before}{core}{after}"


def _code(lines: list[Line]) -> str:
    """Return the lines, unchanged, in a block whose fence is longer than any run of backticks in it."""
    margin = min(line.indent for line in lines)
    text = [line.text[margin:] for line in lines]
    longest = max((len(run) for line in text for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *text, fence])


def _fitting(parts: list[Part], room: int) -> list[Part]:
    """Return the parts that there is room for, in their order; tables and sentences take precedence over logs."""
    sizes = [len(part.text.encode()) + 2 for part in parts]
    if sum(sizes) <= room:
        return parts
    left = room - len(_left_out(len(parts), len(parts)).text) - 2
    kept: set[int] = set()
    for at in sorted(range(len(parts)), key=lambda at: parts[at].verbose):
        if sizes[at] <= left:
            left -= sizes[at]
            kept.add(at)
    missing = len(parts) - len(kept)
    return [*(parts[at] for at in sorted(kept)), _left_out(missing, len(parts))] if left >= 0 else []


def _left_out(missing: int, total: int) -> Part:
    return Part(f"{missing} of {counted(total, 'part')} had no room here; the job's log has everything.")
