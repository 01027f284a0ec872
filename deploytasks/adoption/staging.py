"""Write files into a folder beside their places, so that a full disk is found before anything is in its place."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploytasks.errors import Refusal, unwritable


def present_folder() -> Path:
    """Return the present folder.

    Raises: Refusal if somebody removed it.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise Refusal.of("the present folder", "it was removed", "go to one that is there: cd") from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the end of the process, however it comes, lets them in again.

    Raises: Refusal if another run is at work there, or the folder may not be read.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise Refusal(unwritable(error)) from None
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what, to_do = "another init or upgrade is at work here", "run it again once that has ended"
        raise Refusal.of(str(folder), what, to_do) from None
    except OSError:  # a file system without locks
        return


def stage(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files, in their order, into the folder, which is made anew and which git ignores; all, or none."""
    discard(folder)
    try:
        for path, content in {".gitignore": b"*\n", **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except BaseException:
        with suppress(OSError):
            discard(folder)
        raise


def discard(folder: Path) -> None:
    """Remove the folder, if it is there, or what else has its name."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
