"""HTML as values. Text enters a document only through `element`, which makes it harmless and escapes it.

So no caller has to think of it: whoever has a `str` has text, and only `Html` is markup.
"""

import html
from dataclasses import dataclass

from deploytasks.report.text import one_line

_VOID = frozenset({"link", "meta", "input"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "code", "span", "time"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe to stand in a document as it is."""

    markup: str


Content = Html | str | None


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """The element with its content, what is None or "" left out; `class_` is `class`, `data_rank` is `data-rank`.

    An element that is no part of a sentence ends its line, so that the document can be read and compared.
    """
    tag = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    end = "" if name in _INLINE else "\n"
    return Html(f"{tag}{end}" if name in _VOID else f"{tag}{joined(*content).markup}</{name}>{end}")


def joined(*content: Content, by: str = "") -> Html:
    """The contents that say something, one after the other."""
    return Html(html.escape(by).join(_markup(each) for each in content if each))


def lines(*content: Content) -> Html:
    """The contents, from a line of the document's source of its own."""
    return Html("\n" + joined(*content).markup)


def unescaped(tag: str, source: str) -> Html:
    """A style or script of ours; HTML reads its content to the letter, so nothing in it may be anybody's data."""
    return Html(f"<{tag}>{source}</{tag}>\n")


def _markup(content: Html | str) -> str:
    return content.markup if isinstance(content, Html) else html.escape(one_line(content))


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    match value:
        case None | False | "":
            return ""
        case True:
            return f" {name}"
        case _:
            return f' {name}="{html.escape(one_line(value))}"'
