"""A base image made of this machine's own Python, because a demo may not count on pulling one.

The interpreter, its standard library (without what a small network service never imports) and the shared libraries
they need become one layer; nothing else is in the image, no shell either.
"""

import fnmatch
import gzip
import hashlib
import io
import json
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

from dxf import DXF

REPOSITORY = "python"
TAG = "base"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
_LIBRARIES = "usr/local/lib"
_ENVIRONMENT = {
    "PATH": "/usr/local/bin",
    "LD_LIBRARY_PATH": f"/{_LIBRARIES}",
    "PYTHONHOME": "/usr/local",
    "PYTHONUTF8": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_LEFT_OUT = (
    *("site-packages", "dist-packages", "__pycache__", "test", "tests", "config-*", "ensurepip", "venv", "unittest"),
    *("idlelib", "tkinter", "turtle*", "lib2to3", "distutils", "pydoc*", "curses", "sqlite3", "dbm", "xmlrpc", "*.a"),
    *("_test*", "xx*", "_xx*", "_tkinter*", "_curses*", "readline*", "_sqlite3*", "_dbm*", "_gdbm*", "nis*", "_crypt*"),
    *("_ssl*", "_hashlib*", "_codecs_*", "ossaudiodev*", "sitecustomize*"),
)
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def push(registry: str, layer: bytes) -> str:
    """The image is in the registry; its name there is returned."""
    config = _config(hashlib.sha256(gzip.decompress(layer)).hexdigest())
    with DXF(registry, REPOSITORY, insecure=True) as repository:
        repository.push_blob(data=layer, digest=_digest(layer))
        repository.push_blob(data=config, digest=_digest(config))
        repository.set_manifest(TAG, _manifest(config, layer))
    return f"{registry}/{REPOSITORY}:{TAG}"


def make_layer() -> bytes:
    """The image's one layer, a compressed archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in _ACCOUNTS.items():
            _add(tar, name, content.encode(), mode=0o644)
        _add_directory(tar, "tmp", mode=0o1777)
        _add_interpreter(tar)
        for path, name in _files():
            _add(tar, name, path.read_bytes(), mode=0o755 if path.suffix == ".so" else 0o644)
    return gzip.compress(archive.getvalue(), compresslevel=1, mtime=0)


def _add_interpreter(tar: tarfile.TarFile) -> None:
    interpreter = Path(os.path.realpath(sys.executable))
    _add(tar, f"usr/local/bin/{_VERSION}", interpreter.read_bytes(), mode=0o755)
    for name in ("python3", "python"):
        link = tarfile.TarInfo(f"usr/local/bin/{name}")
        link.type, link.linkname = tarfile.SYMTYPE, _VERSION
        tar.addfile(link)
    loader = _loader(interpreter)
    if loader is None:
        return  # a static program, or no Linux: nothing else is needed, or nothing else would help
    _add(tar, loader.lstrip("/"), Path(loader).read_bytes(), mode=0o755)
    extensions = [path for path, _ in _files() if path.suffix == ".so"]
    for name, path in sorted(_needed(loader, [interpreter, *extensions]).items()):
        _add(tar, f"{_LIBRARIES}/{name}", path.read_bytes(), mode=0o755)


def _files() -> Iterator[tuple[Path, str]]:
    """Every file of the standard library that is kept, with its name in the image."""
    for folder, folders, names in os.walk(_STANDARD_LIBRARY):
        folders[:] = sorted(name for name in folders if not _left_out(name))
        for name in sorted(name for name in names if not _left_out(name)):
            path = Path(folder, name)
            inside = path.relative_to(_STANDARD_LIBRARY)
            yield path, f"usr/local/{sys.platlibdir}/{_VERSION}/{inside}"


def _left_out(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _LEFT_OUT)


def _loader(program: Path) -> str | None:
    """The dynamic loader that a 64-bit ELF program names (its PT_INTERP segment), None where it names none."""
    content = program.read_bytes()
    if content[:5] != b"\x7fELF\x02":
        return None
    order = "<" if content[5] == 1 else ">"
    (table,) = struct.unpack_from(order + "Q", content, 32)
    size, count = struct.unpack_from(order + "HH", content, 54)
    for header in range(table, table + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from(order + "IIQQQQ", content, header)
        if kind == 3:
            return content[offset : offset + length].rstrip(b"\0").decode()
    return None


def _needed(loader: str, programs: list[Path]) -> dict[str, Path]:
    """The shared libraries that the programs load, by the names they ask for, where the machine's loader finds them."""
    found: dict[str, Path] = {}
    for program in programs:
        listing = subprocess.run([loader, "--list", program], capture_output=True, text=True, check=False).stdout
        found |= {name: Path(path) for name, path in re.findall(r"(\S+) => (/\S+) \(", listing)}
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _add_directory(tar: tarfile.TarFile, name: str, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def _config(layer_id: str) -> bytes:
    environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
    content = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": environment, "Cmd": ["python3"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_id}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "comment": "this machine's Python"}],
    }
    return json.dumps(content).encode()


def _manifest(config: bytes, layer: bytes) -> str:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": _digest(layer)}],
        }
    )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
