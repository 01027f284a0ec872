"""What requirements-deploy.txt asks for: this package, where pip can get it again, or what a copy of it needs."""

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from deploytasks.adoption import releases
from deploytasks.adoption.releases import PACKAGE, Place


@dataclass(frozen=True, slots=True)
class Pins:
    """The lines for pip; whether the repository has a copy of the package; whether pip must be told where to look."""

    lines: tuple[str, ...]
    vendored: bool = False
    nowhere: bool = False


def pins(root: Path, *, vendor: bool) -> Pins:
    """Return what pip must install for the tasks of the repository in `root`."""
    running, copy = releases.running(), releases.copy(root)
    if copy:
        return Pins(copy.requires, vendored=True)
    if vendor or (root / PACKAGE).is_dir():
        return Pins(running.requires, vendored=True)
    return pinned(running, _origin())


def pinned(running: Place, origin: Any) -> Pins:
    """Return the line for this package: a version in an index, or the commit that pip recorded as its `origin`.

    Source: "Recording the Direct URL Origin of installed distributions", packaging.python.org.
    """
    version = (f"{PACKAGE}=={running.version}",)
    if running.how != "installed":
        return Pins(version, nowhere=True)
    match origin:
        case {"url": str(url), "vcs_info": {"vcs": str(system), "commit_id": str(commit)}}:
            return Pins((f"{PACKAGE} @ {system}+{url}@{commit}",))
    return Pins(version, nowhere=bool(origin))


def _origin() -> Any:
    """Return what pip recorded of where the package came from; {} if from an index, or if it is not installed."""
    try:
        return json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return {}
