r"""Which tags AWS takes.

Source: botocore's documentation of `RegisterTaskDefinition.tags`, and its TagKey and TagValue, whose pattern Python's
`re` does not compile (`\p{L}`).
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from deploytasks.template.shape import Path, Problem

MOST = 50
OURS = 15
"""So many are kept for our own: those of `audit.KEYS`, `steps`, `ended`, and on a service `after` and `undone`."""

_PUNCTUATION = "_.:/=+-@"


def tag_rules(tags: Sequence[Mapping[str, str]]) -> Iterator[Problem]:
    """Find what is wrong with the tags of a template."""
    if len(tags) > MOST - OURS:
        what = f"{len(tags)} tags; AWS takes {MOST}, and {OURS} are kept for deploytasks' own"
        yield Problem(("tags",), what, f"leave out {len(tags) - MOST + OURS}")
    seen: set[str] = set()
    for index, tag in enumerate(tags):
        path: Path = ("tags", index)
        if "key" not in tag:
            yield Problem(path, "the key 'key' is missing")
        elif tag["key"] in seen:
            yield Problem((*path, "key"), f"the tag '{tag['key']}' stands there twice")
        seen.add(tag.get("key", ""))
        for member, text in tag.items():
            yield from _text((*path, member), member, text)


def _text(path: Path, member: str, text: str) -> Iterator[Problem]:
    if wrong := next((each for each in text if not _is_legal(each)), ""):
        to_do = f"letters, digits, spaces and {_PUNCTUATION} may stand there"
        yield Problem(path, f"AWS takes no {wrong!r} in a tag", to_do)
    if text.lower().startswith("aws:"):
        yield Problem(path, "'aws:' begins tags that only AWS writes", "begin it otherwise")
    if member == "key" and text.startswith("deploytasks:"):
        yield Problem(path, "'deploytasks:' begins tags that only deploytasks writes", "begin it otherwise")


def _is_legal(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LZN"
