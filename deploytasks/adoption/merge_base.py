"""The release that a copy was made of: the base over which its edits and a new release are merged."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from deploytasks import git
from deploytasks.adoption import releases, wheels
from deploytasks.adoption.releases import Place, Release
from deploytasks.adoption.stamp import Stamp, digest
from deploytasks.errors import DeployError


class MergeBase:
    """The release of a stamp, looked for once a file needs it: where it is installed, then by pip, also in `folders`.

    `lost` is why files could not be merged, if the base was not to be had; else "".
    """

    def __init__(self, stamp: Stamp, installed: Place | None, folders: Sequence[Path] = ()) -> None:
        self.lost = ""
        self.stamp, self._installed, self._folders = stamp, installed, folders

    def merge(self, path: str, mine: bytes, new: bytes) -> bytes | None:
        """Return the file with the changes of both sides; None if they clash or the base is not to be had."""
        content = self._in(self._beside, path)
        if content is None:
            content = self._in(self._downloaded, path)
        if content is None:
            self.lost = self.lost or f"the {self.stamp.version} that was found is not what this copy was made of"
            return None
        return git.merged(mine, content, new)

    def _in(self, release: Release | None, path: str) -> bytes | None:
        content = release.files.get(path) if release else None
        return content if content is not None and digest(content) == self.stamp.files[path] else None

    @cached_property
    def _beside(self) -> Release | None:
        there = self._installed
        return releases.read(there) if there and there.version == self.stamp.version else None

    @cached_property
    def _downloaded(self) -> Release | None:
        try:
            return wheels.download(self.stamp.version, self._folders)
        except DeployError as error:
            self.lost = error.complaints[0].what
            return None
