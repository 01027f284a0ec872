"""A disk that is full is told as such, by one complaint; nothing half-written is left, and no lock."""

import errno
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploytasks.errors import unforeseen, unwritable
from tests.commands import REGISTRY, Shop
from tests.registry import Registry
from tests.repositories import commit
from tests.test_build_commands import registry

__all__ = ["registry"]
pytestmark = pytest.mark.waits
ROOM = "    see that it is there, has room and may be used; for temporary files, TMPDIR names another directory\n"
Disk = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Make a directory that holds so many KiB."""
    made = list[Path]()

    def make(size: int) -> Path:
        made.append(tmp_path / f"disk-{size}")
        made[-1].mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", made[-1]]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            made.pop()
            pytest.skip("nobody may mount a small disk here")
        return made[-1]

    yield make
    for each in made:
        subprocess.run(["umount", each], check=True)


@pytest.mark.parametrize(
    ("words", "size", "code", "said"),
    [
        ("build", 24, 2, "git: unable to write file "),
        ("build", 200, 2, "this machine: No space left on device\n"),
        ("build --allow-dirty", 24, 2, "git: unable to write loose object file: No space left on device\n"),
        ("release.dev", 24, 2, "git: unable to write file "),
        ("release.dev --json", 200, 2, "this machine: No space left on device\n"),
    ],
)
def test_a_build_whose_temporary_files_find_no_room_says_so_and_leaves_nothing(
    shop: Shop,
    registry: Registry,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    size: int,
    code: int,
    said: str,
):
    """Git has no room for the files where there are 24 KiB; where there are 200, the layer has none beside them."""
    (shop.root / "api/big").write_bytes(random.Random(1).randbytes(150_000))
    if "dirty" not in words:
        commit(shop)
    full = disk(size)
    monkeypatch.setattr("tempfile.tempdir", str(full))
    monkeypatch.setenv("TMPDIR", str(full))
    ran = shop.inv(*words.split())
    assert (ran.code, ran.stderr.startswith(said), ran.stderr.count("\n    see that")) == (code, True, 1), ran.stderr
    assert ROOM in ran.stderr and "Traceback" not in ran.stderr and "unforeseen" not in ran.stderr
    assert ([*full.iterdir()], registry.tags.get("api", {})) == ([], {})
    assert "/deploytasks/shop/dev/lock" not in shop.endpoint.cloud.account(REGISTRY).parameters


@pytest.mark.parametrize("name", ["old.html", "new.html"])
def test_a_page_that_finds_no_room_leaves_the_one_before(shop: Shop, disk: Disk, name: str):
    full = disk(4)
    (full / "old.html").write_text("old")
    ran = shop.inv("status", "--html", str(full / name))
    assert ran.code == 1
    assert ran.stderr == (
        f"{full / name}: it could not be written: No space left on device\n    make room, or name another file\n"
    )
    assert {each.name: each.read_text() for each in full.iterdir()} == {"old.html": "old"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_of_a_copy_that_finds_no_room_the_copy_is_named(number: int):
    assert unwritable(OSError(number, "No room", "/repo/.git/index", None, "/tmp/index")).where == "/tmp/index"
    assert unforeseen("t1", OSError(number, "No room")).to_do in ROOM
