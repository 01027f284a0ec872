"""Releases as wheels: read from a file, or downloaded by pip from wherever its settings say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PathDistribution
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile
from zipfile import Path as ZipPath

from deploytasks.adoption import releases, stamp
from deploytasks.adoption.releases import PACKAGE, Release
from deploytasks.errors import Refusal

_VERSION = re.compile(r"[0-9A-Za-z.!+_-]+")
_LOOKS = "pip looks where PIP_INDEX_URL, PIP_EXTRA_INDEX_URL and PIP_FIND_LINKS say; --wheel FILE takes a file"


def read(file: Path) -> Release:
    """Return the release in the wheel.

    Raises: Refusal if it can't be read, or is not a wheel of this package.
    """
    try:
        with ZipFile(file) as archive:
            about = _distribution(archive)
            files = {path: archive.read(f"{PACKAGE}/{path}") for path in _paths(archive)}
            return Release(about.version, files, releases.requirements(about))
    except (OSError, BadZipFile, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise Refusal.of(str(file), f"not a wheel of {PACKAGE}: {said}", "name a .whl file of it") from None


def _distribution(archive: ZipFile) -> Distribution:
    """Return what the wheel says of itself. Source: "Binary distribution format", packaging.python.org."""
    about = [name for name in archive.namelist() if re.fullmatch(rf"{PACKAGE}-[^/]+\.dist-info/METADATA", name)]
    if len(about) != 1 or f"{PACKAGE}/__init__.py" not in archive.namelist():
        raise ValueError("it holds another package")
    return PathDistribution(ZipPath(archive, about[0].removesuffix("METADATA")))


def _paths(archive: ZipFile) -> list[str]:
    """Return the paths of the package's files. Raise ValueError if one leads out of its folder."""
    names = [name for name in archive.namelist() if name.startswith(f"{PACKAGE}/") and not name.endswith("/")]
    if any(".." in name.split("/") or "\\" in name or "//" in name for name in names):
        raise ValueError("a path in it leads out of the package's folder")
    paths = [name.removeprefix(f"{PACKAGE}/") for name in names]
    return [path for path in paths if stamp.belongs(PurePosixPath(path))]


def download(version: str, folders: Iterable[Path] = ()) -> Release:
    """Return the release of that version, downloaded by pip, which also looks into the folders.

    Raises: Refusal if pip does not find it, there is no pip, or the version is not valid.
    """
    if not _VERSION.fullmatch(version):
        raise Refusal.of("--to", f"{version!r} is not a version", "give one as in 0.2.0")
    with TemporaryDirectory(prefix="deploytasks-") as folder:
        options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet"]
        links = [f"--find-links={each}" for each in folders]
        command = [*_pip(), "download", *options, *links, "--dest", folder, f"{PACKAGE}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise Refusal.of(f"{PACKAGE} {version}", f"pip finds no wheel of it: {_why(done.stderr)}", _LOOKS)
        return read(next(Path(folder).glob("*.whl")))


def _why(stderr: str) -> str:
    said = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return said[-1] if said else (stderr.strip().splitlines() or ["it said nothing"])[-1]


def _pip() -> list[str]:
    """Return the command that is pip, that of this Python first; what is in the present folder does not count."""
    if find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]
    if found := shutil.which("pip", path=os.environ.get("PATH")):
        return [found]
    raise Refusal.of("pip", "it is not installed, so nothing can be downloaded", "name a file: --wheel FILE")
