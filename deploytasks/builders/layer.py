"""Pack entries into one layer: the same files make the same bytes on any machine, at any time."""

import gzip
import hashlib
import tarfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from deploytasks.builders.copying import Entries, Entry, File
from deploytasks.builders.tree import Directory, Link

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Layer:
    """A gzipped tar on disk: `digest` is the blob's, `diff_id` that of the tar inside."""

    path: Path
    digest: str
    diff_id: str
    size_bytes: int


def pack(entries: Entries, path: Path) -> Layer:
    """Write the entries, in their order, as a gzipped tar at `path`.

    The tar holds no times, no user names, and nothing else of this machine.
    """
    with path.open("wb") as file:
        zipped = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0)
        with zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, entry in entries.items():
                _add(tar, name, entry)
    with path.open("rb") as blob, gzip.open(path) as content:
        return Layer(path, _digest(blob), _digest(content), path.stat().st_size)


def _digest(file: BufferedReader | gzip.GzipFile) -> str:
    return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, entry: Entry) -> None:
    info = tarfile.TarInfo(name)
    match entry:
        case Directory():
            info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, entry.mode, entry.uid, entry.gid
            tar.addfile(info)
        case Link():
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
            tar.addfile(info)
        case File():
            info.mode, info.uid, info.gid = entry.mode, entry.owner.uid, entry.owner.gid
            with entry.source.open("rb") as file:
                info.size = entry.source.stat().st_size
                tar.addfile(info, file)
