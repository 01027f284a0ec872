"""A copy in somebody's repository knows what it was made of, and what was done to it since."""

import json
import subprocess
from pathlib import Path

import pytest

import deploytasks
from deploytasks.adoption import releases, stamp, vendor
from deploytasks.errors import Refusal
from tests.template_stage import ROOT

FILES = {"__init__.py": b"one\ntwo\n", "aws/ecs.py": b"three\n"}
MADE = releases.Release("1.0", FILES, ("invoke>=3",))


def copied(root: Path) -> Path:
    """Put a copy of `MADE` into the root, and return its folder."""
    folder = root / "deploytasks"
    for path, content in {**FILES, stamp.NAME: MADE.stamp.text().encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_copy_has_every_tracked_file_of_the_package_and_a_stamp(tmp_path: Path):
    (tmp_path / ".deploytasks-vendor").mkdir()  # of a copy that was killed
    (line,) = vendor.vendor(tmp_path)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "deploytasks"], cwd=ROOT, capture_output=True
    )
    tracked = {line.removeprefix("deploytasks/") for line in listed.stdout.decode().split()}
    files = {str(path.relative_to(tmp_path / "deploytasks")) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {*tracked, stamp.NAME}
    assert line == f"deploytasks/ is a copy of version {releases.running().version}, {len(tracked)} files"
    assert [path.name for path in tmp_path.iterdir()] == ["deploytasks"]


def test_a_stamp_says_the_version_what_it_requires_and_that_nothing_is_edited(tmp_path: Path):
    list(vendor.vendor(tmp_path))
    found = stamp.read(tmp_path / "deploytasks")
    assert found and found.version == releases.running().version
    assert any(each.startswith("boto3") for each in found.requires)
    assert found.changes(stamp.tree(tmp_path / "deploytasks")) == stamp.Changes()


def test_a_second_copy_leaves_the_first_as_it_is(tmp_path: Path):
    (copied(tmp_path) / "__init__.py").write_text("mine\n")
    assert list(vendor.vendor(tmp_path)) == [
        "deploytasks/ is a copy of version 1.0 already: `upgrade` brings it to another"
    ]
    assert (tmp_path / "deploytasks/__init__.py").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_nothing_that_has_no_stamp_is_overwritten(tmp_path: Path, kind: str):
    there = tmp_path / "deploytasks"
    match kind:
        case "folder":
            there.mkdir()
        case "file":
            there.write_text("mine")
        case _:
            there.symlink_to("nowhere")
    with pytest.raises(Refusal) as refused:
        list(vendor.vendor(tmp_path))
    assert str(refused.value) == (
        f"{there}: something of this name is there\n"
        "    it has no stamp, so it stays as it is: move it away, and compare afterwards (git diff)"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["deploytasks"]


def test_a_copy_that_finds_no_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "here")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        list(vendor.vendor(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_was_edited_added_and_removed_is_told_apart(tmp_path: Path):
    folder = copied(tmp_path)
    (folder / "__init__.py").write_text("one\n2\n")
    (folder / "aws/ecs.py").unlink()
    (folder / "mine.py").write_text("")
    assert MADE.stamp.changes(stamp.tree(folder)) == stamp.Changes(("__init__.py",), ("mine.py",), ("aws/ecs.py",))


def test_line_ends_modes_bytecode_and_hidden_files_are_no_edit(tmp_path: Path):
    folder = copied(tmp_path)
    (folder / "__init__.py").write_bytes(b"one\r\ntwo\r\n")
    (folder / "aws/ecs.py").chmod(0o755)
    for path in ("__pycache__/x.cpython-311.pyc", "old.pyc", ".mypy_cache/x.json", "aws/ecs.py.new"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"\0")
    assert MADE.stamp.changes(stamp.tree(folder)) == stamp.Changes()
    assert stamp.unmerged(folder) == ["aws/ecs.py.new"]


STAMP = json.loads(MADE.stamp.text())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "this stamp can't be read: Expecting value"),
        ("<<<<<<< ours\n", "this stamp can't be read: Expecting value"),
        ("[]", "this stamp can't be read: list indices"),
        ("{}", "this stamp can't be read: 'format'"),
        (json.dumps({**STAMP, "files": ["a"]}), "this stamp can't be read: "),
        (json.dumps({**STAMP, "files": {"a": 1}}), "this stamp can't be read: a value in it is not a text"),
        (json.dumps({**STAMP, "format": 2}), "format 2, written by a later version\n    install that one"),
        ("\udcff", "this stamp can't be read: 'utf-8' codec"),
    ],
)
def test_a_stamp_that_cannot_be_read_is_refused(tmp_path: Path, text: str, what: str):
    (copied(tmp_path) / stamp.NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Refusal) as refused:
        releases.copy(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'deploytasks/vendored.json'}: {what}")


def test_a_folder_without_a_stamp_is_no_copy(tmp_path: Path):
    (tmp_path / "deploytasks").mkdir()
    assert releases.copy(tmp_path) is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("boto3>=1.43,<2", "boto3>=1.43,<2"),
        ("boto3<2,>=1.43", "boto3>=1.43,<2"),
        ("moto[ecr,ecs]<6,>=5; python_version<'4'", "moto[ecr,ecs]>=5,<6; python_version<'4'"),
        ("invoke", "invoke"),
    ],
)
def test_what_a_version_requires_is_told_in_one_spelling(tmp_path: Path, monkeypatch, written: str, told: str):
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "deploytasks"\ndependencies = ["{written}"]\n')
    monkeypatch.setattr(deploytasks, "__file__", str(tmp_path / "deploytasks/__init__.py"))
    assert releases.running().requires == (told,)
