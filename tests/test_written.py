"""What is written reaches its place whole, or the task says that it did not: full disks, pipes, links, devices."""

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from deploytasks import commands
from deploytasks.errors import Failure, Invalid
from deploytasks.model import Command, Options, Scope
from deploytasks.report.sheet import line
from deploytasks.report.streams import OutputStream
from deploytasks.tasks import files, flags, shell
from deploytasks.tasks.carry_out import carry_out
from tests.commands import REGISTRY, Shop
from tests.hanging import HANGS_S


class Failing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str, /) -> int:
        raise OSError(self._number, os.strerror(self._number))


def test_a_full_disk_is_told_and_a_reader_who_went_away_is_not():
    full, gone = OutputStream(Failing(errno.ENOSPC)), OutputStream(Failing(errno.EPIPE))
    for stream in (full, gone):
        stream.write("something\n")
        assert not stream.is_read
    assert (full.lost, gone.lost) == ("No space left on device", "")


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_shown_once_fails_where_stdout_does_not_take_it(monkeypatch: pytest.MonkeyPatch, as_json: bool):
    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    with pytest.raises(Failure, match="stdout: not everything could be written: No space left on device"):
        shell.show((line("a board"),), {"a": "board"}, as_json=as_json)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_release_that_went_well_still_fails_where_its_report_was_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, as_json: bool
):

    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    with pytest.raises(Failure, match="No space left on device") as raised:
        carry_out(shop.root, Command.DEPLOY, commands.deploy, Scope("prod"), Options(wait=False), as_json=as_json)
    assert raised.value.code == 1


def test_a_lock_that_is_held_is_named_where_stdout_did_not_take_it(shop: Shop):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "invoke", "lock.acquire", "prod"]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command, cwd=shop.root, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (
        1,
        "stdout: not everything could be written: No space left on device\n    make room, or send it elsewhere\n"
        "prod: it is locked all the same\n    inv lock.release prod ends it\n",
    )
    assert "/deploytasks/shop/prod/lock" in shop.endpoint.cloud.account(REGISTRY).parameters


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path):
    page = tmp_path / "board.html"
    page.write_text("before", "utf-8")
    page.chmod(0o640)
    files.write(page, "after")
    assert page.read_text("utf-8") == "after"
    assert stat.S_IMODE(page.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["board.html"]


def test_a_link_planted_under_a_name_that_can_be_guessed_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("private", "utf-8")
    planted = tmp_path / f".deploytasks.{os.getpid()}"
    planted.symlink_to(victim)
    files.write(tmp_path / "board.html", "the board")
    assert (victim.read_text("utf-8"), (tmp_path / "board.html").read_text("utf-8")) == ("private", "the board")
    assert not (tmp_path / "board.html").is_symlink()
    assert planted.is_symlink()


def test_a_draft_opens_nothing_that_is_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "urandom", bytes)
    victim = tmp_path / "victim"
    victim.write_text("private", "utf-8")
    planted = tmp_path / f".deploytasks.{'00' * 8}"
    planted.symlink_to(victim)
    with pytest.raises(Failure, match="it could not be written: File exists"):
        files.write(tmp_path / "board.html", "the board")
    assert victim.read_text("utf-8") == "private"
    assert planted.is_symlink()


def test_a_new_file_gets_the_mode_that_the_umask_leaves(tmp_path: Path):
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "board.html", "the board")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "board.html").stat().st_mode) == 0o640


def test_nothing_is_left_beside_a_file_that_could_not_be_written(tmp_path: Path):
    (tmp_path / "board.html").write_text("before", "utf-8")
    with pytest.raises(UnicodeEncodeError):
        files.write(tmp_path / "board.html", "\ud800")
    assert [each.name for each in tmp_path.iterdir()] == ["board.html"]
    assert (tmp_path / "board.html").read_text("utf-8") == "before"


def test_a_link_stays_a_link(tmp_path: Path):
    page, link = tmp_path / "public.html", tmp_path / "board.html"
    page.write_text("before", "utf-8")
    link.symlink_to(page)
    files.write(link, "after")
    assert link.is_symlink()
    assert page.read_text("utf-8") == "after"


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path):
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_text("utf-8")))
    reader.start()
    files.write(pipe, "the board")
    reader.join(timeout=HANGS_S)
    assert read == ["the board"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["", " ", "-", "nowhere/board.html", "."])
def test_a_name_that_can_be_no_file_is_refused(name: str):
    with pytest.raises(Invalid, match="--html"):
        flags.file("html", name)
