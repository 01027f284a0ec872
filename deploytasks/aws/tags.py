"""Our tags on revisions and services, with which AWS records who released what, and their escaping. Pure.

A tag's value may contain letters, numbers, blanks and `_.:/=+-@`, at most 256 of them. Everything else becomes `=XX`
for each byte of its UTF-8, as in quoted-printable; a value that is too long ends with `=...`.

Source: the pattern of TagValue in botocore's model of ECS, and its documentation (no `aws:` in front).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

PREFIX = "deploytasks:"
KEYS = ("project", "commit", "digest", "release", "config", "version", "by", "ci", "override", "at", "tags")
NAMED = "tags"
"""The tag keys that the template named: tells tags that others add later from those a template no longer names."""
LONGEST = 256
CUT = "=..."

_PUNCTUATION = frozenset("_.:/+-@ ")  # without "=", which is the escape
_ESCAPED = re.compile("(?:=[0-9A-F]{2})+")


def stamp(at: datetime) -> str:
    """Return the time as it is written in tags and parameters: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(256)
def escape(value: str) -> str:
    """Return the value as a legal tag value that `unescape` reverses; one that is too long is cut and marked so."""
    units = [each if _is_legal(each) else _hex(each) for each in value]
    if value.lower().startswith("aws:") or value.startswith(" "):
        units[0] = _hex(value[0])
    if value.endswith(" "):
        units[-1] = _hex(" ")
    whole = "".join(units)
    return whole if len(whole) <= LONGEST else _fitting(units, LONGEST - len(CUT)) + CUT


def unescape(value: str) -> str:
    """Return the original of an escaped value; one that was cut ends with `…`. Never fail on tags that others wrote."""
    return _ESCAPED.sub(_plain, value.removesuffix(CUT)) + ("…" if value.endswith(CUT) else "")


def to_ecs(tags: Mapping[str, str], *, blanks: bool = False) -> list[dict[str, str]]:
    """Return the tags as ECS takes them, under our prefix; empty ones are left out, or kept as blanks with `blanks`."""
    return [{"key": PREFIX + key, "value": escape(value)} for key, value in tags.items() if value or blanks]


def from_ecs(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return our tags among those of an ECS answer, without the prefix and unescaped."""
    ours = (tag for tag in tags if tag.get("key", "").startswith(PREFIX))
    return {tag["key"].removeprefix(PREFIX): unescape(tag.get("value", "")) for tag in ours}


def _is_legal(character: str) -> bool:
    """Return whether the character needs no escape; ECS would count one beyond 16 bits twice."""
    return character in _PUNCTUATION or (unicodedata.category(character)[0] in "LN" and ord(character) < 0x10000)


def _hex(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _plain(escaped: re.Match[str]) -> str:
    try:
        return bytes.fromhex(escaped[0].replace("=", "")).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return escaped[0]


def _fitting(units: Sequence[str], room: int) -> str:
    kept, length = [], 0
    for unit in units:
        length += len(unit)
        if length > room:
            break
        kept.append(unit)
    return "".join(kept)
