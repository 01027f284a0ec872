"""Words that are safe and short enough to be shown: AWS, git and containers may have written anything into them.

Whatever a sheet or a JSON document says went through `harmless`: no escape sequence reaches a terminal.
"""

import re
from collections.abc import Mapping, Sequence
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
"""A password in an address; it may hold `/`, `:` and `@` itself, as people write them who forget to escape them.

Or a token that stands alone before the `@`: of the web anything, elsewhere what is too long for a user's name.
"""

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]+")


def harmless(text: str) -> str:
    """The text without escape sequences, control characters, writing-direction tricks, and passwords in addresses."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub("[\u2028\u2029\x85]", "\n", text)
    return ADDRESS_SECRET.sub(r"://\g<user>***@", _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text)))


def escaped(json_text: str) -> str:
    r"""JSON text, the same document, with letters that a terminal would obey or cannot show written as `\u009b`."""
    return _SURROGATES.sub(_as_escape, _CONTROLS.sub(_as_escape, json_text))


def _as_escape(letter: re.Match[str]) -> str:
    return f"\\u{ord(letter[0]):04x}"


def one_line(text: str) -> str:
    """The harmless text on one line."""
    return harmless(text).replace("\n", " ").replace("\t", "    ")


def lines_of(text: str) -> list[str]:
    """The harmless text's lines that say something."""
    return [line for line in harmless(text).split("\n") if line.strip()]


def harmless_document(value: Any) -> Any:
    """A JSON-able value with every string in it, keys too, made harmless."""
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
    """A time as machines read it: UTC, to the second, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def minute(at: datetime | None) -> str:
    """A time as people read it: UTC, to the minute; nothing where there is none."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def duration(seconds: float) -> str:
    """`42s`, `3m07s`, `1h02m`; nothing for no time at all."""
    whole = round(seconds)
    if seconds <= 0:
        return ""
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, in the coarsest unit that says enough: `40s`, `12m`, `5h`, `3d`; nothing where it is not known."""
    if then is None:
        return ""
    seconds = max(0, round((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def revision_name(revision: str) -> str:
    """`family:number` of a task definition, whether given as that or as its ARN."""
    return revision.rsplit("/", 1)[-1]


def revision_number(revision: str) -> str:
    """The number alone: the family says what the target says already."""
    return revision.rpartition(":")[2]


def short_image(image: str) -> str:
    """An image's name as people read it: without the registry's host, its digest cut to twelve digits."""
    host, slash, rest = image.partition("/")
    named = rest if slash and ("." in host or ":" in host or host == "localhost") else image
    return _DIGEST.sub(r"\1", named)


def short_commit(name: str) -> str:
    """A commit tag as people read it, or the digest of an image that has none."""
    return _DIGEST.sub(r"\1", name) if name.startswith("sha256:") else tags.short(name)


def some(names: Sequence[str], most: int = 8) -> str:
    """The names, of many only the first, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def target_json(target: Target) -> dict[str, Any]:
    """What names a target in every JSON document."""
    return {
        "target": str(target),
        "environment": str(target.environment),
        "tenant": target.environment.tenant,
        "tier": target.environment.tier,
        "service": target.service,
    }
