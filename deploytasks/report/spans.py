"""Where secrets stand inside a text: what names, flags and addresses give away. Pure.

What an assignment without quotes holds is hidden up to the next blank: rather too much than too little.
"""

import re
from collections.abc import Iterable, Iterator

from deploytasks.report.secrets import SHORTEST, looks_secret
from deploytasks.report.text import ADDRESS_SECRET

Where = tuple[int, int]
"""Where a secret begins, and where what follows it does."""

_VALUE = r"""(?:(?P<quote>\\*["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|.))*)|(?P<bare>[^\s&]+))"""
_ASSIGNED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]+)(?:\\*["'][ \t]*[:=]\s*|[ \t]*=[ \t]*|:[ \t]+)""" + _VALUE, re.DOTALL
)
_FLAG = re.compile(r"(?<![\w.-])(?P<name>-[\w-]+)[ \t]+(?!--)" + _VALUE, re.DOTALL)


def secret_spans(text: str, known: Iterable[str]) -> list[Where]:
    """Where the secrets of the text stand, in order, those that overlap as one; `known` ones anywhere."""
    return _joined(_found(text, known))


def recognisable(secret: str) -> Iterator[str]:
    """What of a secret may be looked for elsewhere: all of it, and what stands before a mark that may have ended it."""
    parts = {secret, secret.rstrip("\"'}]),;"), re.split(r"[\"'}\]),;]", secret, maxsplit=1)[0]}
    return (part for part in parts if len(part) >= SHORTEST)


def _found(text: str, known: Iterable[str]) -> Iterator[Where]:
    for secret in known:
        if secret in text:
            yield from (found.span() for found in re.finditer(re.escape(secret), text))
    yield from _values(_ASSIGNED, text)
    yield from _values(_FLAG, text)
    yield from (found.span("token" if found["token"] else "password") for found in ADDRESS_SECRET.finditer(text))


def _values(pattern: re.Pattern[str], text: str) -> Iterator[Where]:
    """The values of secret names. What follows an open name is looked at again: it may be an assignment itself."""
    at = 0
    while found := pattern.search(text, at):
        group = "bare" if found["bare"] else "quoted"
        secret = looks_secret(found["name"])
        if secret and found[group]:
            yield found.span(group)
        at = max(found.end() if secret else found.start(group), found.start() + 1)


def _joined(spans: Iterable[Where]) -> list[Where]:
    joined: list[Where] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
