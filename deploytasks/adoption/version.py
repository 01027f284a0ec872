"""`python -m deploytasks version`: say which deploytasks this is, where it is, and what was edited in it.

The first one told is the one that runs. Others that could be meant follow: the copy in the present folder, which is
what `inv` and `python -m deploytasks` use there, and the package that is installed.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploytasks.adoption import releases, stamp
from deploytasks.adoption.releases import How, Place
from deploytasks.adoption.staging import present_folder
from deploytasks.errors import listed

_IS: dict[How, str] = {
    "copy": "the copy in {}",
    "installed": "installed in {}",
    "editable": "installed (editable) from {}",
    "unstamped": "in {}, without a stamp: what was edited is not known",
}
_AT_MOST = 20


def arguments(parser: ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--json", action="store_true", help="as JSON, the one that runs first")


def run(given: Namespace) -> Iterator[Any]:
    """Yield a line for each place, and those of what was edited in it; or one document."""
    found = [(place, _differences(place)) for place in _places(present_folder())]
    if given.json:
        yield [_document(place, differences) for place, differences in found]
        return
    for place, differences in found:
        pristine = ", as it was made" if differences and not any(differences.values()) else ""
        yield f"deploytasks {place.version}: {_IS[place.how].format(place.folder)}{pristine}"
        yield from (f"  {what}: {listed(paths, _AT_MOST)}" for what, paths in differences.items() if paths)


def _places(root: Path) -> Iterator[Place]:
    """Yield the one that runs, then the others, each folder once."""
    seen = set[Path]()
    for place in (releases.running(), releases.copy(root), releases.installed(root)):
        if place and place.folder.resolve() not in seen:
            seen.add(place.folder.resolve())
            yield place


def _differences(place: Place) -> dict[str, list[str]]:
    """Return which files of a copy differ from what it was made of, by what was done to them."""
    made = stamp.read(place.folder) if place.how == "copy" else None
    if made is None:
        return {}
    changes = made.changes(stamp.tree(place.folder))
    return {
        "edited": list(changes.edited),
        "added": list(changes.added),
        "missing": list(changes.missing),
        "not merged yet": stamp.unmerged(place.folder),
    }


def _document(place: Place, differences: dict[str, list[str]]) -> dict[str, Any]:
    named = {what.replace(" ", "_"): paths for what, paths in differences.items()}
    return {"version": place.version, "how": place.how, "folder": str(place.folder), **named}
