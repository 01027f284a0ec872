"""Copy this package into a repository, with a stamp by which the copy knows what it was made of."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deploytasks.adoption import releases, stamp
from deploytasks.adoption.staging import discard, stage
from deploytasks.errors import Complaint, Refusal, raise_all

_DRAFT = ".deploytasks-vendor"
_OTHERS = "it has no stamp, so it stays as it is: move it away, and compare afterwards (git diff)"


def obstacles(root: Path) -> list[Complaint]:
    """Return why no copy can be put into `root/deploytasks`: ask before anything else is written there.

    Raises: Refusal if a stamp is there that can't be read.
    """
    folder = root / releases.PACKAGE
    if not os.path.lexists(folder) or (folder.is_dir() and stamp.read(folder)):
        return []
    return [Complaint(str(folder), "something of this name is there", _OTHERS)]


def vendor(root: Path) -> Iterator[str]:
    """Copy the package that runs this into `root/deploytasks`, and yield the lines to print.

    A stamped copy that is there stays as it is: `upgrade` brings it to another version. The new one appears as a whole
    or not at all.

    Raises: Refusal if something without a stamp is there.
    """
    raise_all(Refusal, obstacles(root))
    if there := releases.copy(root):
        yield f"{releases.PACKAGE}/ is a copy of version {there.version} already: `upgrade` brings it to another"
        return
    source = releases.running()
    release = releases.read(source)
    made = stamp.read(source.folder) or release.stamp  # a copy of an edited copy knows what was edited
    files = {**release.files, stamp.NAME: made.text().encode()}
    beside = root / _DRAFT
    try:
        stage(beside, {f"{releases.PACKAGE}/{path}": content for path, content in files.items()})
        (beside / releases.PACKAGE).rename(root / releases.PACKAGE)
    finally:
        with suppress(OSError):
            discard(beside)
    yield f"{releases.PACKAGE}/ is a copy of version {release.version}, {len(release.files)} files"
