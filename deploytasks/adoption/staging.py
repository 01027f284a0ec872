"""Write files into a folder beside their places, so that a full disk is found before anything is in its place."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


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
    """Remove the folder, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
