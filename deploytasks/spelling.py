"""Suggest the name that a mistyped one was most likely meant to be."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_MOST = 40
_CLOSE = 5


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to this one, None if none is close; of equals, the first.

    A name with the same letters in another order is preferred.
    """
    names = list(known)

    def likeness(each: str) -> tuple[bool, float, int]:
        return sorted(each) == sorted(name), SequenceMatcher(None, each, name).ratio(), -names.index(each)

    return max(get_close_matches(name, names, n=_CLOSE), key=likeness, default=None)


def suggestion(name: str, known: Iterable[str], also: Iterable[str] = ()) -> str:
    """Return the advice on an unknown name: the nearest one, of `also` too, and the known names, up to a limit."""
    names = tuple(known)
    near = nearest(name, (*names, *also))
    meant = [f"did you mean '{near}'?"] if near else []
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return "\n".join([*meant, f"known: {', '.join(names[:_MOST]) or 'none'}{more}"])
