"""Markdown that shows text as text, whatever AWS, git or a container wrote into it."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from deploytasks.report.markdown import escaped, markdown
from deploytasks.report.sheet import Column, Span, line, table
from deploytasks.report.text import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[a](http://b.example)", r"\[a\](http:&#8203;//b.example)"),
        ("&lt;", r"\&lt;"),
        ("@octocat", "@&#8203;octocat"),
        ("mail a@b.example", "mail a@&#8203;b.example"),
        ("api@sha256:12", "api@sha256:12"),
        ("www.example.com", "www&#8203;.example.com"),
        (":smile:", "\\:&#8203;smile:"),
        ("#12 and GH-3", "\\#&#8203;12 and GH-&#8203;3"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("$x$ ~y~ *z* _w_", r"\$x\$ \~y\~ \*z\* \_w\_"),
        ("back\\slash", "back\\\\slash"),
        ("two\nlines", "two lines"),
        ("prod-20260102T030400Z", "prod-20260102T030400Z"),
    ],
)
def test_text_shows_as_text(text, expected):
    assert escaped(text) == expected


@given(st.text())
def test_no_text_opens_markup_or_another_line(text):
    shown = escaped(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`<>|\[\]*~$]", shown)
    assert "\n" not in shown


_PUNCTUATED = st.text(alphabet="a1 \\`*_{}[]()<>#+-.!|~&;:=$@/^'\"\t")


@given(st.text() | _PUNCTUATED)
def test_what_a_reader_sees_is_the_text_itself(text):
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escaped(text))
    shown = unescape(html.removeprefix("<p>").removesuffix("\n").removesuffix("</p>")).replace("\u200b", "")
    assert shown == one_line(text).strip()


@given(_PUNCTUATED, _PUNCTUATED)
def test_a_cell_shows_the_text_itself(left, right):
    sheet = (table([Column("a"), Column("b")], [[Span(f"x{left}"), Span(f"x{right}")]]),)
    html = MarkdownIt("commonmark").enable("table").render(markdown("x", sheet))
    cells = [unescape(cell).replace("\u200b", "") for cell in re.findall(r"<td>(.*?)</td>", html)]
    assert cells == [one_line(f"x{each}").strip() for each in (left, right)]


@given(st.lists(st.text(alphabet="`~ax \t|"), min_size=1))
def test_no_line_closes_its_block_of_code(lines):
    fenced = markdown("x", tuple(line(each, indent=4) for each in lines)).splitlines()[2:-1]
    fence = fenced[0].removesuffix("text")
    assert fenced[-1] == fence
    assert not any(each.strip().startswith(fence) for each in fenced[1:-1])


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_table_has_the_same_columns_in_every_row(left, right):
    text = markdown("x", (table([Column("a"), Column("b", "whole")], [[Span(left), Span(right)], ["c", "d"]]),))
    rows = [each for each in text.splitlines() if each.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} <= {2, 3}
    assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}) == 1


def test_a_summary_that_is_too_long_loses_its_logs_first_and_says_so():
    block = (line("mb/api failed"), line("x" * 400, indent=4), line("inv deploy.prod", whole=True))
    text = markdown("deploy.prod", block, room=300)
    assert text == (
        "## deploy.prod\n\nmb/api failed\n\n```text\ninv deploy.prod\n```\n\n"
        "1 of 4 parts had no room here; the job's log has everything.\n\n"
    )


@given(st.integers(0, 3000), st.lists(st.text(max_size=300), max_size=20))
def test_a_summary_never_takes_more_than_its_room(room, texts):
    sheet = tuple(line(text, indent=4 * (at % 2)) for at, text in enumerate(texts))
    assert len(markdown("x", sheet, room).encode()) <= room
