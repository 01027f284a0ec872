"""What requirements-deploy.txt asks for: this package, where pip can get it again, or what a copy of it needs."""

from dataclasses import dataclass
from pathlib import Path

from deploytasks.adoption import releases
from deploytasks.adoption.releases import PACKAGE, Place


@dataclass(frozen=True, slots=True)
class Requirements:
    """The lines for pip; whether the repository has a copy of the package; whether pip must be told where to look."""

    lines: tuple[str, ...]
    vendored: bool = False
    nowhere: bool = False


def of_repository(root: Path, *, vendor: bool) -> Requirements:
    """Return what pip must install for the tasks of the repository in `root`."""
    running, copy = releases.running(), releases.copy(root)
    if copy or vendor or (root / PACKAGE).is_dir():
        return Requirements((copy or running).requires, vendored=True)
    return of_package(running)


def of_package(running: Place) -> Requirements:
    """Return the line for this package: a version in an index, or the commit that pip recorded as its origin."""
    version = (f"{PACKAGE}=={running.version}",)
    match running.origin:
        case {"url": str(url), "vcs_info": {"vcs": str(system), "commit_id": str(commit)}} if (
            running.how == "installed"
        ):
            return Requirements((f"{PACKAGE} @ {system}+{url}@{commit}",))
    return Requirements(version, nowhere=running.how != "installed" or bool(running.origin))
