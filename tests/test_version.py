"""`python -m deploytasks version`: which copy this is, where it is, and what was edited in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import deploytasks
from deploytasks.__main__ import main
from deploytasks.adoption import releases
from deploytasks.adoption.vendor import vendor
from tests.test_vendor import copied

HERE = Path(deploytasks.__file__).parent


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["version", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_copy_in_the_present_folder_is_told_beside_the_one_that_runs(tmp_path: Path, capsys, monkeypatch):
    folder = copied(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert said(capsys)[1] == f"deploytasks 1.0: the copy in {folder}, as it was made"
    (folder / "__init__.py").write_text("mine\n")
    (folder / "aws/ecs.py").unlink()
    (folder / "mine.py").write_text("")
    (folder / "__init__.py.new").write_text("")
    assert said(capsys)[1:6] == [
        f"deploytasks 1.0: the copy in {folder}",
        "  edited: __init__.py",
        "  added: mine.py",
        "  missing: aws/ecs.py",
        "  not merged yet: __init__.py.new",
    ]


def test_as_json_the_one_that_runs_is_first(tmp_path: Path, capsys, monkeypatch):
    folder = copied(tmp_path)
    (folder / "mine.py").write_text("")
    monkeypatch.chdir(tmp_path)
    first, second, *_ = json.loads("\n".join(said(capsys, "--json")))
    assert (first["version"], first["folder"]) == (deploytasks.__version__, str(HERE))
    assert second == {
        "version": "1.0",
        "how": "copy",
        "folder": str(folder),
        "edited": [],
        "added": ["mine.py"],
        "missing": [],
        "not_merged_yet": [],
    }


def test_a_stamp_that_cannot_be_read_is_refused(tmp_path: Path, capsys, monkeypatch):
    (copied(tmp_path) / "vendored.json").write_text("<<<<<<< HEAD\n")
    monkeypatch.chdir(tmp_path)
    assert main(["version"]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'deploytasks/vendored.json'}: this stamp can't be read: ")


def test_in_a_repository_with_a_copy_the_copy_runs_and_what_is_installed_is_told_too(tmp_path: Path):
    list(vendor(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "deploytasks", "version"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    first, second = ended.stdout.splitlines()
    assert first == f"deploytasks {deploytasks.__version__}: the copy in {tmp_path / 'deploytasks'}, as it was made"
    assert ": installed" in second


def test_a_checkout_that_was_built_in_is_not_installed(tmp_path: Path, monkeypatch):
    about = tmp_path / "deploytasks.egg-info"
    about.mkdir()
    (about / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: deploytasks\nVersion: 9.0\n")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert releases.installed(tmp_path / "elsewhere") is None
