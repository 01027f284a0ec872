"""What somebody who mistyped a name most likely meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 40


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, None where none comes near."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest right one, and all there are, as far as anybody reads on."""
    names = tuple(known)
    near = nearest(name, names)
    meant = [f"did you mean '{near}'?"] if near else []
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return "\n".join([*meant, f"known: {', '.join(names[:_MOST]) or 'none'}{more}"])
