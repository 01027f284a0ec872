"""Render the board as one HTML page.

The page makes no requests (its own policy forbids them) and is complete without its script, which only adds a filter
and sorting. `markup` escapes, `words` ranks, `cell` and `table` lay out; style and script are constant files.
"""

import base64
import hashlib
from importlib import resources

from deploytasks.model import Board
from deploytasks.report.board import counts, headline
from deploytasks.report.locks import held, locked
from deploytasks.report.marks import EVIDENCE
from deploytasks.report.page.cell import when
from deploytasks.report.page.markup import Html, element, joined, lines, unescaped
from deploytasks.report.page.table import table
from deploytasks.report.page.words import MEANINGS, Word, token, tone

__all__ = ["page"]

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='%233b76c4'%3E"
    "%3Crect x='1' y='1' width='6' height='6' rx='1.5'/%3E%3Crect x='9' y='1' width='6' height='6' rx='1.5'/%3E"
    "%3Crect x='1' y='9' width='6' height='6' rx='1.5'/%3E%3Crect x='9' y='9' width='6' height='6' rx='1.5'"
    " fill-opacity='.4'/%3E%3C/g%3E%3C/svg%3E"
)


def page(board: Board) -> str:
    """Return the whole document: a pure function of the board, with ages relative to `board.at`."""
    body = element("body", lines(_header(board), _main(board), _legend(), unescaped("script", _source("script.js"))))
    return f"<!DOCTYPE html>\n{element('html', lines(_head(board), body), lang='en').markup}"


def _head(board: Board) -> Html:
    style, script = _source("style.css"), _source("script.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    known = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{board.project}: what runs where"),
        element("link", rel="icon", href=_ICON),
        unescaped("style", style),
    ]
    return element("head", lines(*known))


def _header(board: Board) -> Html:
    looked = joined(
        "What runs where, as it stood on ", when(board.at), ". Times are UTC; ages count back from this one."
    )
    said = (*board.notes, *map(locked, board.locks), *map(held, board.holds))
    notes = [element("li", note) for note in said]
    return element(
        "header",
        lines(
            element("h1", element("bdi", board.project)),
            element("p", looked),
            _summary(board),
            element("ul", lines(*notes), class_="notes", aria_label="Notes") if notes else None,
        ),
    )


def _summary(board: Board) -> Html | None:
    if not board.cells:
        return None
    numbers = counts(board)
    said = [_said(word, f"{numbers[word]} {word}") for word in MEANINGS if word in numbers]
    return element("p", joined(headline(board), *said, by=", "), class_="summary")


def _main(board: Board) -> Html:
    if not board.cells:
        return element("main", element("p", "There are no environments to look at."))
    hint = element("p", "A row stays that holds every word; is:failed is the mark, failed any text.", id="how")
    box = element(
        "input",
        type="search",
        placeholder="e.g. main is:behind",
        autocomplete="off",
        spellcheck="false",
        aria_describedby="how",
    )
    tools = element("div", element("label", "Filter ", box), element("output"), hint, id="tools", hidden=True)
    scrolled = element("div", lines(table(board)), class_="scroll", role="region", aria_label="The board", tabindex="0")
    return element("main", lines(tools, scrolled))


def _legend() -> Html:
    marks = [_meaning(_said(word, word, "flag"), what) for word, what in MEANINGS.items()]
    evidence = [_meaning(element("b", word), what) for word, what in EVIDENCE.items() if word != "seen"]
    listed = element("dl", lines(*marks, *evidence))
    hint = element("span", "A target's first line opens to its full commit, digests and revision.", class_="hint")
    note = element("p", "An age is that of the rollout's beginning. ", hint)
    return element("section", lines(element("h2", "Legend", id="legend"), listed, note), aria_labelledby="legend")


def _meaning(word: Html, what: str) -> Html:
    return element("div", element("dt", word), element("dd", what))


def _said(word: Word, text: str, kind: str = "count") -> Html:
    """Return one of the legend's words; the script makes it a button that filters."""
    return element("span", text, class_=f"{kind} {tone(word)}", data_filter=f"is:{token(word)}")


def _source(name: str) -> str:
    return "\n" + resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """Return the name of an inline style or script in a content security policy, which blocks all others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
