"""A context's files in a directory, as a checkout would lay them: git's own conversions, LFS content in place."""

import os
import tempfile
from pathlib import Path

from deploytasks.source.contexts import Context
from deploytasks.source.stores import Store, grouped

# The same bytes on every machine, whatever its git is told; the content of LFS files is put in afterwards.
_SETTINGS = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.symlinks": "true",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
}


def write(context: Context, into: Path, at: float) -> None:
    """The context's files lie below `into` by their paths below the top, all of the same time `at`.

    Raises: Invalid where git refuses, BuildFailed where LFS content is damaged.
    """
    for store, paths in grouped((entry.store, entry.path) for entry in context.files).items():
        _check_out(store, paths, into)
    for path, pointer in context.pointers.items():
        pointer.copy(into / path)
    for directory in context.directories:
        (into / directory).mkdir(parents=True, exist_ok=True)
    _make_even(into, at)


def _check_out(store: Store, paths: list[str], into: Path) -> None:
    """Git itself writes the files, through an index that is thrown away: nothing of the repository changes."""
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        place = {"GIT_INDEX_FILE": str(Path(scratch, "index")), "GIT_WORK_TREE": scratch}
        store.ask("read-tree", store.tree, **place)
        prefix = f"--prefix={into.resolve() / store.at}/"
        names = "".join(f"{store.inside(path)}\0" for path in paths)
        store.ask(*settings, "checkout-index", "-z", "--stdin", prefix, given=names, **place)


def _make_even(top: Path, at: float) -> None:
    """Modes and times that say nothing about this machine or its umask."""
    for folder, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (at, at), follow_symlinks=False)
