"""Lay out how definitions differ: unified diffs, one for all tenants with the same difference, secrets masked."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from deploytasks.model import Definition, Difference
from deploytasks.report.masking import masked
from deploytasks.report.secrets import Path, named
from deploytasks.report.sheet import Sheet, Span, Tone, line, stacked
from deploytasks.report.text import counted, escaped, target_json
from deploytasks.report.unseen import hindrances

_CONTEXT = 2
_NOTHING: Mapping[str, str] = MappingProxyType({})
_TONES: dict[str, Tone] = {"+": "good", "-": "bad", "@": "dim"}


class Row(Struct, frozen=True):
    """One line of a definition, and the path of the member that it shows."""

    path: Path
    text: str


class Group(Struct, frozen=True):
    """Targets with the same difference; `lines` are the first one's unified diff, without its two headings."""

    members: tuple[Difference, ...]
    lines: tuple[str, ...]


def sheet(differences: Sequence[Difference], grouped: Sequence[Group]) -> Sheet:
    """Return the differences for people: a diff per group, what could not be compared, and what does not differ."""
    same = [each for each in differences if _is_same(each)]
    return stacked(
        *(_group(group) for group in grouped),
        tuple(hindrances(_not_compared(differences))),
        tuple(hindrances(((_name(each), note, "") for each in differences for note in each.notes), "warn")),
        (line(Span(summary(differences), "strong")),),
        (line(Span(f"no difference: {', '.join(_name(each) for each in same)}", "dim")),) if same and grouped else (),
    )


def as_json(differences: Sequence[Difference], grouped: Sequence[Group]) -> dict[str, Any]:
    """Return the differences for programs; `diff` holds the lines of a unified diff, secrets masked."""
    return {
        "different": [
            {
                "targets": [target_json(each.target) for each in group.members],
                "left": [each.left for each in group.members],
                "right": [each.right for each in group.members],
                "diff": group.lines,
            }
            for group in grouped
        ],
        "same": [str(each.target) for each in differences if _is_same(each)],
        "complaints": [
            {"target": str(each.target), "complaint": str(complaint)}
            for each in differences
            for complaint in each.complaints
        ],
        "notes": [{"target": str(each.target), "note": note} for each in differences for note in each.notes],
    }


def groups(differences: Iterable[Difference], environ: Mapping[str, str] = _NOTHING) -> tuple[Group, ...]:
    """Return the targets that differ, grouped by difference.

    A difference is the same if the same lines of the same members changed; line numbers and context may differ.
    `environ` holds the variables that templates may have read: secret values among them are masked wherever they stand.
    """
    members: dict[tuple[Any, ...], list[Difference]] = {}
    lines: dict[tuple[Any, ...], tuple[str, ...]] = {}
    for each in differences:
        if each.differs:
            before, after = (rows(one) for one in masked(each.before, each.after, [environ, *_settings(each)]))
            key = tuple(_changed(before, after))
            members.setdefault(key, []).append(each)
            lines.setdefault(key, tuple(_unified(before, after)))
    return tuple(Group(tuple(those), lines[key]) for key, those in members.items())


def summary(differences: Sequence[Difference]) -> str:
    """Return the summary, in one sentence."""
    unseen = sum(bool(each.complaints) for each in differences)
    same = sum(_is_same(each) for each in differences)
    differ = len(differences) - unseen - same
    verb = "differs" if 1 in (differ, len(differences)) else "differ"
    said = f"{differ or 'none'} of {counted(len(differences), 'target')} {verb}"
    return f"{said}, {unseen} could not be compared" if unseen else said


def rows(definition: Definition | None) -> tuple[Row, ...]:
    """Return the definition as JSON for comparison: sorted keys, a line per variable or port; () for no definition."""
    return () if definition is None else tuple(_rows("", definition, ()))


def _settings(difference: Difference) -> Iterator[Mapping[str, Any]]:
    """Yield the settings that the two definitions may have been rendered from."""
    for target in filter(None, (difference.target, difference.against)):
        yield from (target.env, target.vars)


def _rows(head: str, value: Any, path: Path, *, item: bool = False) -> Iterator[Row]:
    """Yield the value's lines, the first after `head`; a flat item of a list is one line, so that it changes as one."""
    indent = "  " * len(path)
    match value:
        case Mapping() if value and not (item and _is_flat(value)):
            yield Row(path, f"{indent}{head}{{")
            for key in sorted(value):
                yield from _rows(f"{_json(key)}: ", value[key], (*path, key))
            yield Row(path, f"{indent}}},")
        case list() | tuple() if value and not all(isinstance(member, str | int) for member in value):
            yield Row(path, f"{indent}{head}[")
            for name, member in named(value):
                yield from _rows("", member, (*path, name), item=True)
            yield Row(path, f"{indent}],")
        case _:
            yield Row(path, f"{indent}{head}{_json(value)},")


def _json(value: Any) -> str:
    """Return the value on one line, with control characters and the like written as escapes."""
    return escaped(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))


def _is_flat(value: Mapping[str, Any]) -> bool:
    return not any(isinstance(member, Mapping | list | tuple) for member in value.values())


def _changed(before: Sequence[Row], after: Sequence[Row]) -> Iterator[tuple[str, Path, str]]:
    for tag, a, b, c, d in _matcher(before, after).get_opcodes():
        if tag != "equal":
            yield from (("-", row.path, row.text) for row in before[a:b])
            yield from (("+", row.path, row.text) for row in after[c:d])


def _unified(before: Sequence[Row], after: Sequence[Row]) -> Iterator[str]:
    for hunk in _matcher(before, after).get_grouped_opcodes(_CONTEXT):
        (_, a, _, c, _), (_, _, b, _, d) = hunk[0], hunk[-1]
        place = ".".join(_first_changed(hunk, before, after).path[:-1])
        yield f"@@ -{a + (b > a)},{b - a} +{c + (d > c)},{d - c} @@ {place}".rstrip()
        for tag, i, j, k, m in hunk:
            if tag == "equal":
                yield from (f" {row.text}" for row in before[i:j])
            else:
                yield from (f"-{row.text}" for row in before[i:j])
                yield from (f"+{row.text}" for row in after[k:m])


def _first_changed(hunk: Iterable[tuple[str, int, int, int, int]], before: Sequence[Row], after: Sequence[Row]) -> Row:
    _, i, j, k, _ = next(each for each in hunk if each[0] != "equal")
    return before[i] if j > i else after[k]


def _matcher(before: Sequence[Row], after: Sequence[Row]) -> difflib.SequenceMatcher[Row]:
    return difflib.SequenceMatcher(None, before, after, autojunk=False)


def _group(group: Group) -> Sheet:
    first, *more = group.members
    also = (line(f"the same in {', '.join(_name(each) for each in more)}"),) if more else ()
    return (
        line(Span(f"--- {first.left}", "strong")),
        line(Span(f"+++ {first.right}", "strong")),
        *also,
        *(line(Span(each, _TONES.get(each[0], "plain")), whole=True) for each in group.lines),
    )


def _not_compared(differences: Iterable[Difference]) -> Iterator[tuple[str, str, str]]:
    """Yield each target that could not be compared, why, and what to do."""
    for each in differences:
        for complaint in each.complaints:
            shown_beside = {str(each.target): "", f"{complaint.file}: {each.target}": complaint.file}
            where = shown_beside.get(complaint.where, complaint.where)
            place = f"{where}: " if where else ""
            yield _name(each), f"not compared: {place}{complaint.what}", complaint.to_do


def _is_same(difference: Difference) -> bool:
    return not difference.complaints and not difference.differs


def _name(difference: Difference) -> str:
    return str(difference.target)
