"""What somebody who mistyped a name most likely meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_MOST = 40
_CLOSE = 5


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, None where none comes near; of equals, the first.

    Letters that only changed places are likelier than others.
    """
    names = list(known)

    def likeness(each: str) -> tuple[bool, float, int]:
        return sorted(each) == sorted(name), SequenceMatcher(None, each, name).ratio(), -names.index(each)

    return max(get_close_matches(name, names, n=_CLOSE), key=likeness, default=None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest right one, and all there are, as far as anybody reads on."""
    names = tuple(known)
    near = nearest(name, names)
    meant = [f"did you mean '{near}'?"] if near else []
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return "\n".join([*meant, f"known: {', '.join(names[:_MOST]) or 'none'}{more}"])
