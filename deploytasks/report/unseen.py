"""Lay out why targets could not be read, a shared reason once."""

from collections.abc import Iterable, Iterator

from deploytasks.report.sheet import Line, Span, Tone, line
from deploytasks.report.text import lines_of


def hindrances(found: Iterable[tuple[str, str, str]], tone: Tone = "bad") -> Iterator[Line]:
    """Yield `names: what`, and below it what to do, once per reason; `found` holds triples (name, what, to do)."""
    hindered: dict[tuple[str, str], list[str]] = {}
    for name, what, to_do in found:
        hindered.setdefault((what, to_do), []).append(name)
    for (what, to_do), names in hindered.items():
        yield line(Span(f"{', '.join(names)}: {what}", tone))
        yield from (line(each, indent=4) for each in lines_of(to_do))
