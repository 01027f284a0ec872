"""Parse and spell lengths of time: `20m`, `90s`, `1h30m`. Pure."""

import re

_LENGTH = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_LONGEST_S = 10 * 365 * 24 * 3600


def is_length(text: str) -> bool:
    """Return whether the text is a length of time above zero and of at most ten years."""
    return _LENGTH.fullmatch(text) is not None and 0 < seconds(text) <= _LONGEST_S


def seconds(length: str) -> int:
    """Return the seconds in `20m`, `90s` or `1h30m`."""
    match = _LENGTH.fullmatch(length)
    hours, minutes, rest = (int(part or 0) for part in (match.groups() if match else (0, 0, 0)))
    return hours * 3600 + minutes * 60 + rest


def spelled(seconds: float) -> str:
    """Return the length, rounded to whole seconds, as `seconds` reads it: `1h30m`, `15m`, `2m10s`, `0s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if count]
    return "".join(parts) or "0s"
