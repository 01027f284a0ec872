"""List which files of a build context the image may see: all that `.dockerignore` does not ignore."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from deploytasks import dockerignore


def visible(context: Path, dockerfile: Path) -> frozenset[str]:
    """Return every path below the context that may be copied, relative, directories included.

    Raises: Invalid if `.dockerignore` is malformed.
    """
    return frozenset(_walk(context, _matcher(context, dockerfile), ""))


def _matcher(context: Path, dockerfile: Path) -> dockerignore.Matcher:
    """Return the matcher of `<Dockerfile>.dockerignore`, else of the context's own `.dockerignore`."""
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            return dockerignore.parse(candidate.read_text(encoding="utf-8", errors="surrogateescape"), candidate.name)
    return dockerignore.parse("")


def _walk(context: Path, matcher: dockerignore.Matcher, below: str) -> Iterator[str]:
    """Yield the visible paths: an ignored directory is one of them if an exception (`!kept/file`) needs it."""
    with os.scandir(context / below) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        enters = entry.is_dir(follow_symlinks=False) and not matcher.ignores_tree(path)
        inside = [*_walk(context, matcher, path)] if enters else []
        if inside or not matcher.ignores(path):
            yield path
        yield from inside


def pack(context: Path, dockerfile: Path, into: IO[bytes]) -> str:
    """Write the visible files as a tar for an engine's own builder, and return the Dockerfile's name in it.

    That builder removes from the context again what `.dockerignore` names of itself and the Dockerfile, so if either is
    not visible, the tar has a `.dockerignore` that names them.
    Source: moby builder/remotecontext/detect.go, removeDockerfile.
    """
    paths = visible(context, dockerfile)
    inside = os.path.relpath(dockerfile, context)
    name = inside if inside in paths else f".dockerfile.{os.urandom(8).hex()}"
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(paths):
            tar.add(context / path, path, recursive=False, filter=_anonymous)
        if name != inside:
            ours = context / ".dockerignore"
            hidden = ours.read_bytes() + b"\n" if ours.name in paths else b".dockerignore\n"
            _add(tar, name, dockerfile.read_bytes())
            _add(tar, ours.name, hidden + f"{name}\n".encode())
    into.seek(0)
    return name


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the entry as in a fresh checkout by root, whatever user and umask it was made with."""
    info.uid, info.gid, info.uname, info.gname = 0, 0, "", ""
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info
