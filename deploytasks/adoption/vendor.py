"""Copy this package into a repository, with a stamp by which the copy knows what it was made of."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from deploytasks.adoption import releases, stamp
from deploytasks.errors import Complaint, Refusal, raise_all

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
    or not at all. `releases.running().requires` are the packages that it needs, as pip takes them.

    Raises: Refusal if something without a stamp is there.
    """
    raise_all(Refusal, obstacles(root))
    if there := releases.copy(root):
        yield f"{releases.PACKAGE}/ is a copy of version {there.version} already: `upgrade` brings it to another"
        return
    source = releases.running()
    release = releases.read(source)
    with TemporaryDirectory(prefix=".deploytasks.", dir=root) as name:
        draft = Path(name, releases.PACKAGE)
        for path, content in release.files.items():
            Path(draft, path).parent.mkdir(parents=True, exist_ok=True)
            Path(draft, path).write_bytes(content)
        made = stamp.read(source.folder) or release.stamp  # a copy of an edited copy knows what was edited
        Path(draft, stamp.NAME).write_text(made.text(), "utf-8")
        draft.rename(root / releases.PACKAGE)
    yield f"{releases.PACKAGE}/ is a copy of version {release.version}, {len(release.files)} files"
