"""Which of two versions is the newer one, by the rules of Python's packages."""

import re

_PHASES = ("dev", "a", "b", "rc", "", "post")
_VERSION = re.compile(r"(?:\d+!)?(\d+(?:\.\d+)*)(?:[.-]?(a|b|rc|post|dev)(\d+))?(?:\.dev\d+)?(?:\+.*)?")


def is_newer(version: str, than: str) -> bool:
    """Return whether a version is newer than another; False if one is no version that is understood.

    Source: "Version specifiers", packaging.python.org; of several suffixes only the first counts.
    """
    one, other = _key(version), _key(than)
    return bool(one and other and one > other)


def _key(version: str) -> tuple[tuple[int, ...], int, int] | None:
    found = _VERSION.fullmatch(version)
    if not found:
        return None
    release = [int(part) for part in found[1].split(".")]
    while release and not release[-1]:
        release.pop()
    return tuple(release), _PHASES.index(found[2] or ""), int(found[3] or 0)
