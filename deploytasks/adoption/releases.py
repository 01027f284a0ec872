"""A release of this package, read from a folder or a wheel: where it is, its files, and what it requires."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import deploytasks
from deploytasks.adoption import stamp

PACKAGE = "deploytasks"
How = Literal["copy", "installed", "editable", "unstamped"]
_PHASES = ("dev", "a", "b", "rc", "", "post")
_VERSION = re.compile(r"(?:\d+!)?(\d+(?:\.\d+)*)(?:[.-]?(a|b|rc|post|dev)(\d+))?(?:\.dev\d+)?(?:\+.*)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version of this package is, and how it came there; what it requires, as pip takes it.

    `origin` is what pip recorded of where it got it; empty if that was an index.
    Source: "Recording the Direct URL Origin of installed distributions", packaging.python.org.
    """

    version: str
    folder: Path
    how: How
    requires: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """A version of this package: its files by path, and what it requires."""

    version: str
    files: Mapping[str, bytes]
    requires: tuple[str, ...] = ()

    @property
    def stamp(self) -> stamp.Stamp:
        """Return the stamp of a copy that is made of it."""
        hashes = {path: stamp.digest(content) for path, content in self.files.items()}
        return stamp.Stamp(self.version, hashes, self.requires)


def read(place: Place) -> Release:
    """Return what is there."""
    return Release(place.version, stamp.tree(place.folder), place.requires)


def running() -> Place:
    """Return where the package is that runs this."""
    folder = Path(deploytasks.__file__).resolve().parent
    if found := copy(folder.parent):
        return found
    known = next((each for each in _distributions(sys.path) if each.folder.resolve() == folder), None)
    return known or Place(deploytasks.__version__, folder, "unstamped", _asked_for(folder.parent / "pyproject.toml"))


def _asked_for(project: Path) -> tuple[str, ...]:
    """Return what the package requires by its own checkout; nothing outside of one."""
    document = tomllib.loads(project.read_text("utf-8")) if project.is_file() else {}
    about = document.get("project", {})
    return tuple(map(_ordered, about["dependencies"])) if about.get("name") == PACKAGE else ()


def copy(root: Path) -> Place | None:
    """Return the stamped copy in the root of a repository; None if there is none.

    Raises: Refusal if its stamp can't be read.
    """
    folder = root / PACKAGE
    found = stamp.read(folder)
    return Place(found.version, folder, "copy", found.requires) if found else None


def installed(root: Path) -> Place | None:
    """Return the package that is installed, whatever folder of that name is in `root`; None if none is."""
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != root.resolve()]
    return next(_distributions(elsewhere), None)


def _distributions(path: list[str]) -> Iterator[Place]:
    """Yield what is installed there: a checkout's own egg-info says nothing of that, and has no file WHEEL."""
    for each in distributions(name=PACKAGE, path=path):
        if each.read_text("WHEEL") is None:
            continue
        origin = json.loads(each.read_text("direct_url.json") or "{}")
        editable = origin.get("dir_info", {}).get("editable")
        source = url2pathname(urlsplit(origin["url"]).path) if editable else each.locate_file("")
        how: How = "editable" if editable else "installed"
        yield Place(each.version, Path(str(source), PACKAGE), how, requirements(each), origin)


def requirements(distribution: Distribution) -> tuple[str, ...]:
    """Return what the package requires, without that of its extras."""
    return tuple(_ordered(each) for each in distribution.requires or () if "extra ==" not in each)


def _ordered(requirement: str) -> str:
    """Return the requirement with its bounds in one order, `boto3>=1.43,<2`: what builds wheels changes it."""
    wanted, semicolon, marker = requirement.partition(";")
    first = re.search(r"[<>=!~]|$", wanted)
    begin = first.start() if first else 0
    bounds = sorted(wanted[begin:].split(","), reverse=True)
    return f"{wanted[:begin]}{','.join(bounds)}{semicolon}{marker}"


def is_newer(version: str, than: str) -> bool:
    """Return whether a version is newer than another; False if either can't be read.

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
