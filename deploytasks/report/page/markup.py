"""HTML as values. Text enters a document only through `element`, which makes it harmless and escapes it.

So no caller has to escape anything: a `str` is text, and only `Html` is markup.
"""

import html
from dataclasses import dataclass

from deploytasks.report.text import one_line

_VOID = frozenset({"link", "meta", "input"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "code", "span", "time"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe to insert into a document as it is."""

    markup: str


Content = Html | str | None


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """Return the element, without content that is None or ""; `class_` is `class`, `data_rank` is `data-rank`.

    A block element ends its line of the source, so that documents can be read and compared.
    """
    tag = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    end = "" if name in _INLINE else "\n"
    return Html(f"{tag}{end}" if name in _VOID else f"{tag}{joined(*content).markup}</{name}>{end}")


def joined(*content: Content, by: str = "") -> Html:
    """Return the contents that are not empty, joined."""
    return Html(html.escape(by).join(_markup(each) for each in content if each))


def lines(*content: Content) -> Html:
    """Return the contents, starting on a new line of the source."""
    return Html("\n" + joined(*content).markup)


def unescaped(tag: str, source: str) -> Html:
    """Return a style or script of ours, unescaped, as HTML requires: it must never contain data of others."""
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
