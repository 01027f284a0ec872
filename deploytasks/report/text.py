"""Make text safe and short enough to show: AWS, git and containers may have written anything into it.

All text of a sheet or a JSON document goes through `harmless`: no escape sequence reaches a terminal.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deploytasks import tags
from deploytasks.model import Target

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device strings
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ALONE = r"""[^\s/?#:@"'<>]"""
ADDRESS_SECRET = re.compile(
    r"""://(?:(?P<user>[^/\s:@"'<>]*:)(?P<password>[^\s"'<>]{1,2048})"""
    rf"""|(?P<token>(?:(?<=http://)|(?<=https://)){_ALONE}{{1,2048}}|{_ALONE}{{20,2048}}))@"""
)
"""A password in an address; it may contain `/`, `:` and `@` itself, if its author forgot to escape them.

Or a token that stands alone before the `@`: anything in an http(s) address, else 20 characters or more, which is too
long for a user's name.
"""

MOST_NAMES = 8
"""How many names of targets or keys a cell or a remark lists."""

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]+")


def harmless(text: str) -> str:
    """Return the text without escape sequences, control and direction characters, and passwords in addresses."""
    if text.isprintable() and "://" not in text:
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub("[\u2028\u2029\x85]", "\n", text)
    return ADDRESS_SECRET.sub(r"://\g<user>***@", _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text)))


def escaped(json_text: str) -> str:
    r"""Return JSON text of the same document, with control characters and surrogates escaped as `\u009b`."""
    return _SURROGATES.sub(_as_escape, _CONTROLS.sub(_as_escape, json_text))


def _as_escape(letter: re.Match[str]) -> str:
    return f"\\u{ord(letter[0]):04x}"


def one_line(text: str) -> str:
    """Return the harmless text on one line."""
    return harmless(text).replace("\n", " ").replace("\t", "    ")


def lines_of(text: str) -> list[str]:
    """Return the harmless text's lines that are not blank."""
    return [line for line in harmless(text).split("\n") if line.strip()]


def harmless_document(value: Any) -> Any:
    """Return the JSON-able value with every string in it, keys too, made harmless."""
    match value:
        case str():
            return harmless(value)
        case Mapping():
            return {harmless(str(key)): harmless_document(each) for key, each in value.items()}
        case list() | tuple():
            return [harmless_document(each) for each in value]
        case _:
            return value


def iso(at: datetime | None) -> str | None:
    """Return a time for programs: UTC, to the second, with `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def minute(at: datetime | None) -> str:
    """Return a time for people: UTC, to the minute; "" for None."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def duration(seconds: float) -> str:
    """Return `42s`, `3m07s` or `1h02m`; "" for zero and less."""
    whole = round(seconds)
    if seconds <= 0:
        return ""
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def age(then: datetime | None, now: datetime) -> str:
    """Return how long ago it was in the coarsest unit: `40s`, `12m`, `5h`, `3d`; "" if `then` is None."""
    if then is None:
        return ""
    seconds = max(0, round((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def revision_name(revision: str) -> str:
    """Return a task definition's `family:number`, given as that or as its ARN."""
    return revision.rsplit("/", 1)[-1]


def revision_number(revision: str) -> str:
    """Return a revision's number alone: the family repeats the target's name."""
    return revision.rpartition(":")[2]


def short_image(image: str) -> str:
    """Return an image's name for people: without the registry's host, its digest cut to twelve digits."""
    host, slash, rest = image.partition("/")
    named = rest if slash and ("." in host or ":" in host or host == "localhost") else image
    return _DIGEST.sub(r"\1", named)


def short_commit(name: str) -> str:
    """Return a commit tag, or the digest of an image that has none, shortened for people."""
    return _DIGEST.sub(r"\1", name) if name.startswith("sha256:") else tags.short(name)


def counted(count: int, noun: str) -> str:
    """Return `1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def target_json(target: Target) -> dict[str, Any]:
    """Return the members that name a target in every JSON document."""
    return {
        "target": str(target),
        "environment": str(target.environment),
        "tenant": target.environment.tenant,
        "tier": target.environment.tier,
        "service": target.name,
    }
