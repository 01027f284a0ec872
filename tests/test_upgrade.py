"""`python -m deploytasks upgrade`: a copy comes to another version, and no edit is ever lost, whenever it ends."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from deploytasks.__main__ import main
from deploytasks.adoption import stamp, upgrade
from deploytasks.adoption.merge_base import MergeBase
from deploytasks.adoption.releases import Place, Release, is_newer
from deploytasks.adoption.staging import alone
from deploytasks.adoption.vendor import vendor
from deploytasks.errors import DeployError

LINES = [f"line {number}\n" for number in range(9)]


def text(**changes: str) -> bytes:
    """Nine lines, of which those named (`_3="x"`) are others."""
    return "".join(changes.get(f"_{number}", line.strip()) + "\n" for number, line in enumerate(LINES)).encode()


_FILES = [
    "__init__.py",
    "same.py",
    "changed.py",
    "edited.py",
    "merged.py",
    "clash.py",
    "gone.py",
    "gone_edited.py",
    "deleted.py",
    "deleted_changed.py",
    "deleted_gone.py",
    "old/__init__.py",
    "old/mod.py",
]
OLD = Release("1.0", dict.fromkeys(_FILES, text()), ("invoke>=3",))
THERE = text(_1="there")
NEW = Release(
    "2.0",
    dict.fromkeys(("__init__.py", "same.py", "edited.py", "deleted.py"), text())
    | dict.fromkeys(("changed.py", "merged.py", "clash.py", "deleted_changed.py"), THERE)
    | dict.fromkeys(("added.py", "new/mod.py", "both.py", "equal.py"), THERE),
    ("boto3>=2", "invoke>=3"),
)
EDITS: Mapping[str, bytes | None] = {
    "edited.py": text(_1="here"),
    "merged.py": text(_7="here"),
    "clash.py": text(_1="here"),
    "gone_edited.py": text(_1="here"),
    "deleted.py": None,
    "deleted_changed.py": None,
    "deleted_gone.py": None,
    "mine.py": b"mine\n",
    "both.py": b"mine\n",
    "equal.py": THERE,
}
WANTED = {
    "__init__.py": text(),
    "same.py": text(),
    "changed.py": THERE,
    "edited.py": text(_1="here"),
    "merged.py": text(_1="there", _7="here"),
    "clash.py": text(_1="here"),
    "clash.py.new": THERE,
    "gone_edited.py": text(_1="here"),
    "deleted_changed.py.new": THERE,
    "mine.py": b"mine\n",
    "both.py": b"mine\n",
    "both.py.new": THERE,
    "equal.py": THERE,
    "added.py": THERE,
    "new/mod.py": THERE,
    "vendored.json": NEW.stamp.text().encode(),
}
LEFT = """\
deploytasks/both.py: added here, and another one in 2.0: it stays as it is
    merge deploytasks/both.py.new into it, and delete that file
deploytasks/clash.py: edited here, changed in 2.0: it stays as it is
    merge deploytasks/clash.py.new into it, and delete that file
deploytasks/deleted_changed.py: deleted here, changed in 2.0: it stays so
    delete deploytasks/deleted_changed.py.new too, or rename it
deploytasks/gone_edited.py: edited here, gone in 2.0: it stays as it is
    move the edit to where the code went"""


def write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    for path, content in files.items():
        if content is None:
            (folder / path).unlink()
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def found(folder: Path) -> dict[str, bytes]:
    """All files in the folder, the stamp and those to be merged too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copied(root: Path, release: Release = OLD, edits: Mapping[str, bytes | None] = {}) -> Path:
    """A copy of the release with these edits; its folder."""
    write(root / "deploytasks", {**release.files, stamp.NAME: release.stamp.text().encode()})
    write(root / "deploytasks", edits)
    return root / "deploytasks"


def wheel(folder: Path, release: Release) -> Path:
    """A wheel of the release in the folder."""
    file = folder / f"deploytasks-{release.version}-py3-none-any.whl"
    about = {"Metadata-Version": "2.1", "Name": "deploytasks", "Version": release.version}
    metadata = [*about.items(), *(("Requires-Dist", each) for each in release.requires)]
    told = {
        "METADATA": "".join(f"{key}: {each}\n" for key, each in metadata),
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with ZipFile(file, "w") as archive:
        for path, content in release.files.items():
            archive.writestr(f"deploytasks/{path}", content)
        for name, line in told.items():
            archive.writestr(f"deploytasks-{release.version}.dist-info/{name}", line)
    return file


def ended(lines: Iterator[str]) -> tuple[list[str], str]:
    """What it yields, and the message with which it ends then."""
    said = list[str]()
    try:
        for each in lines:
            said.append(each)
    except DeployError as error:
        return said, str(error)
    return said, ""


@pytest.fixture
def pristine(tmp_path: Path) -> Place:
    """The old release, as somebody has it installed."""
    write(tmp_path / "installed", OLD.files)
    return Place(OLD.version, tmp_path / "installed", "installed")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root, in which commands run; pip finds nothing but what a test puts into `index`."""
    root, index = tmp_path / "repo", tmp_path / "index"
    for folder in (root, index):
        folder.mkdir()
    monkeypatch.chdir(root)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return root


def test_each_kind_of_edit_survives_each_kind_of_change(tmp_path: Path, pristine: Place):
    folder = copied(tmp_path, edits=EDITS)
    said, failed = ended(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
    assert found(folder) == WANTED
    assert failed == LEFT
    assert not (folder / "old").exists()
    assert said == [
        "deploytasks/ from 1.0 to 2.0: 2 added, 4 kept, 1 merged, 3 removed, 1 replaced",
        "  merged.py: edited here, changed in 2.0: merged",
        "deploytasks/ is at 2.0: read git diff, run inv envs.check, and commit it",
        "it now requires boto3>=2: put that into requirements-deploy.txt, and install it",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploytasks", "installed"]


class Killed(BaseException):
    """The process is gone: nothing that it would do afterwards is done."""


class Writes:
    """Counts everything that is written, renamed and removed, and ends at one of these, half-way through a content."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.last = 0, sys.maxsize
        for name in ("replace", "unlink", "mkdir", "rmdir", "chmod"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), lambda *_: None))
        for name in ("write_bytes", "write_text"):
            real = getattr(Path, name)
            monkeypatch.setattr(
                Path, name, self._counted(real, lambda file, content, *_, real=real: real(file, content[:3]))
            )

    def _counted(self, real: Any, half: Any) -> Any:
        def counted(*args: Any, **named: Any) -> Any:
            self.count += 1
            if self.count == self.last:
                half(*args)
            if self.count >= self.last:
                raise Killed
            return real(*args, **named)

        return counted


def test_an_upgrade_that_is_killed_at_any_write_is_completed_by_the_next(
    tmp_path: Path, pristine: Place, monkeypatch: pytest.MonkeyPatch
):
    writes, kills, finished = Writes(monkeypatch), 0, 0
    while True:
        root = tmp_path / str(kills)
        folder = copied(root, edits=EDITS)
        writes.count, writes.last = 0, kills + 1
        try:
            ended(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
        except Killed:
            kills += 1
        else:
            break
        writes.last = sys.maxsize
        if any((root / ".deploytasks-upgrade/files").rglob("*.py")):
            assert stamp.read(folder) == OLD.stamp
        told, failed = ended(upgrade.finish(folder))
        finished += bool(told)
        if not failed:
            _, failed = ended(upgrade.bring(folder, NEW, MergeBase(stamp.read(folder) or OLD.stamp, pristine)))
        assert (found(folder), [path.name for path in root.iterdir()]) == (WANTED, ["deploytasks"]), f"write {kills}"
        assert set(LEFT.split("\n")) >= set(failed.split("\n")) - MERGED_LATER, f"write {kills}"
        shutil.rmtree(root)
    assert kills > 50
    assert 10 < finished < kills - 10


MERGED_LATER = {
    line
    for path in ("both.py", "clash.py", "deleted_changed.py")
    for line in (
        f"deploytasks/{path}.new: not merged yet",
        f"    merge it into deploytasks/{path}, and delete it",
    )
}


def test_what_is_edited_after_a_kill_is_not_overwritten_by_the_next_upgrade(
    tmp_path: Path, pristine: Place, monkeypatch: pytest.MonkeyPatch
):
    folder = copied(tmp_path, edits=EDITS)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(os, "replace", lambda *_: killed(*_))
        list(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
    write(folder, {"changed.py": b"late\n", "gone.py": b"late\n", "added.py": b"late\n"})
    said, failed = ended(upgrade.finish(folder))
    assert said[0] == "an upgrade to 2.0 was interrupted: it is finished first"
    since = dict.fromkeys(("changed.py", "gone.py", "added.py"), b"late\n")
    assert found(folder) == {**WANTED, **since, "changed.py.new": THERE, "added.py.new": THERE}
    assert "deploytasks/changed.py: edited here" in failed and "deploytasks/gone.py: edited here, gone in 2.0" in failed


def killed(source: Any, target: Any) -> None:
    if Path(target).name == "changes.json":
        os.rename(source, target)  # noqa: PTH104 - what os.replace is patched by
    else:
        raise Killed


def test_a_disk_that_is_full_leaves_the_copy_as_it_was(
    tmp_path: Path, pristine: Place, monkeypatch: pytest.MonkeyPatch
):
    folder = copied(tmp_path, edits=EDITS)
    before = found(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "here")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        list(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
    assert (found(folder), sorted(path.name for path in tmp_path.iterdir())) == (before, ["deploytasks", "installed"])


def test_what_was_not_merged_is_asked_for_until_it_is(tmp_path: Path, pristine: Place):
    folder = copied(tmp_path, edits=EDITS)
    ended(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
    said, failed = ended(upgrade.bring(folder, NEW, MergeBase(NEW.stamp, pristine)))
    assert (said, set(failed.split("\n"))) == (["nothing to do: deploytasks/ is at 2.0"], MERGED_LATER)
    later = Release("3.0", {**NEW.files, "same.py": THERE})
    said, refused = ended(upgrade.bring(folder, later, MergeBase(NEW.stamp, pristine)))
    assert (said, set(refused.split("\n"))) == ([], MERGED_LATER)
    for path in folder.rglob("*.new"):
        path.unlink()
    assert ended(upgrade.bring(folder, later, MergeBase(NEW.stamp, pristine)))[1] == ""
    assert (folder / "same.py").read_bytes() == THERE


def test_a_checkout_with_other_line_ends_is_no_edit_and_keeps_them(tmp_path: Path, pristine: Place):
    crlf = {path: content.replace(b"\n", b"\r\n") for path, content in OLD.files.items()}
    crlf["merged.py"] = text(_7="here").replace(b"\n", b"\r\n")
    folder = copied(tmp_path, edits=crlf)
    assert ended(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))[1] == ""
    assert (folder / "changed.py").read_bytes() == THERE.replace(b"\n", b"\r\n")
    assert (folder / "merged.py").read_bytes() == WANTED["merged.py"].replace(b"\n", b"\r\n")


def test_a_file_keeps_its_mode_and_one_that_is_no_text_is_not_merged(tmp_path: Path, pristine: Place):
    folder = copied(tmp_path, edits={"merged.py": b"\0\xff here\n"})
    (folder / "changed.py").chmod(0o755)
    _, failed = ended(upgrade.bring(folder, NEW, MergeBase(OLD.stamp, pristine)))
    assert failed.startswith("deploytasks/merged.py: edited here, changed in 2.0: it stays as it is")
    assert (folder / "changed.py").stat().st_mode & 0o777 == 0o755
    assert ((folder / "merged.py").read_bytes(), (folder / "merged.py.new").read_bytes()) == (b"\0\xff here\n", THERE)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["upgrade", *words])
    return code, *capsys.readouterr()


def test_pip_brings_the_version_and_the_base_that_it_is_merged_over(inside: Path, capsys):
    folder = copied(inside, edits={"merged.py": text(_7="here")})
    wheel(inside.parent / "index", OLD)
    wheel(inside.parent / "index", NEW)
    code, out, err = run("--to", "2.0", capsys=capsys)
    assert (code, err) == (0, "")
    assert "  merged.py: edited here, changed in 2.0: merged\n" in out
    assert found(folder) == {**NEW.files, "merged.py": WANTED["merged.py"], stamp.NAME: NEW.stamp.text().encode()}


def test_a_dry_run_changes_nothing_and_a_second_upgrade_has_nothing_to_do(inside: Path, capsys):
    folder, new = copied(inside, edits={"both.py": b"mine\n"}), str(wheel(inside.parent, NEW))
    before = found(inside)
    code, out, err = run("--wheel", new, "--dry-run", capsys=capsys)
    assert (code, out.splitlines()[-1], err, found(inside)) == (0, "dry run: nothing was changed", "", before)
    assert run("--wheel", new, capsys=capsys)[0] == 1
    (folder / "both.py.new").unlink()
    assert run("--wheel", new, capsys=capsys) == (0, "nothing to do: deploytasks/ is at 2.0\n", "")


def test_a_copy_that_upgrades_itself_reports_to_the_end_though_its_own_modules_are_replaced(inside: Path):
    list(vendor(inside))
    (inside / "deploytasks/mine.py").write_text("mine\n")
    paths = {*stamp.tree(inside / "deploytasks"), "mine.py"}
    new = wheel(inside, Release("9.0", dict.fromkeys(paths, b"raise ImportError('this is the new one')\n")))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "deploytasks", "upgrade", "--wheel", str(new)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "deploytasks/mine.py: added here, and another one in 9.0: it stays as it is\n"
        "    merge deploytasks/mine.py.new into it, and delete that file\n",
    )
    assert done.stdout.splitlines()[-1] == "deploytasks/ is at 9.0: read git diff, run inv envs.check, and commit it"


def test_without_the_base_edited_files_stay_with_the_new_ones_beside_them(inside: Path, capsys):
    folder = copied(inside, edits={"merged.py": text(_7="here")})
    code, out, err = run("--wheel", str(wheel(inside, NEW)), capsys=capsys)
    assert (code, err) == (
        1,
        "deploytasks/merged.py: edited here, changed in 2.0: it stays as it is\n"
        "    merge deploytasks/merged.py.new into it, and delete that file\n",
    )
    assert "  no merge: pip finds no wheel of it: No matching distribution found for deploytasks==1.0\n" in out
    assert ((folder / "merged.py").read_bytes(), (folder / "merged.py.new").read_bytes()) == (text(_7="here"), THERE)


def test_a_wheel_that_is_not_what_the_copy_was_made_of_is_no_base(inside: Path, capsys):
    folder = copied(inside, edits={"merged.py": text(_7="here")})
    wheel(inside, Release("1.0", dict.fromkeys(OLD.files, b"somebody else's\n")))
    code, out, _ = run("--wheel", str(wheel(inside, NEW)), capsys=capsys)
    assert (code, (folder / "merged.py").read_bytes()) == (1, text(_7="here"))
    assert "  no merge: the 1.0 that was found is not what this copy was made of\n" in out


def test_a_copy_newer_than_the_installed_version_is_left_unless_a_version_is_named(inside: Path, capsys):
    folder = copied(inside, Release("99.0", OLD.files))
    code, out, err = run(capsys=capsys)
    assert (code, out) == (2, "")
    assert err == (
        f"{folder}: this copy of 99.0 is newer than the installed 0.1.0\n    to go back, name the version: --to 0.1.0\n"
    )


def test_a_copy_comes_to_the_version_that_is_installed(inside: Path, capsys):
    folder = copied(inside, Release("0.0.1", {"__init__.py": b""}))
    code, out, _ = run(capsys=capsys)
    assert (code, out.splitlines()[0].partition(": ")[0]) == (0, "deploytasks/ from 0.0.1 to 0.1.0")
    assert (folder / "adoption/upgrade.py").read_bytes() == Path(upgrade.__file__).read_bytes()


def refused(inside: Path, kind: str) -> tuple[list[str], str]:
    """What is typed and what is said, in a repository as it must not be."""
    folder = inside / "deploytasks"
    match kind:
        case "no copy":
            return [], f"{folder}: there is no copy here\n    run it where tasks.py is; "
        case "no stamp":
            folder.mkdir()
            return [], f"{folder}: it has no stamp, so what was edited in it is not known\n    move it away, "
    copied(inside)
    match kind:
        case "dirty stamp":
            (folder / stamp.NAME).write_text("<<<<<<< HEAD\n")
            return [], f"{folder / stamp.NAME}: this stamp can't be read: Expecting value"
        case "link":
            (folder / "same.py").unlink()
            (folder / "same.py").symlink_to(folder / "edited.py")
            return [], f"{folder / 'same.py'}: it is a link, and only files are replaced\n    "
        case "not found":
            said = "pip finds no wheel of it: No matching distribution found for deploytasks==9.9"
            return ["--to", "9.9"], f"deploytasks 9.9: {said}\n    pip looks where PIP_INDEX_URL, "
        case "no version":
            return ["--to", "1; x"], "--to: '1; x' is not a version\n    give one as in 0.2.0"
        case "no wheel":
            (inside / "x.whl").write_text("no zip")
            return ["--wheel", "x.whl"], "x.whl: not a wheel of deploytasks: File is not a zip file\n    name a .whl"
        case "no file":
            return ["--wheel", "y.whl"], "y.whl: not a wheel of deploytasks: No such file or directory\n    name a .whl"
        case "another's":
            with ZipFile(inside / "x.whl", "w") as archive:
                archive.writestr("other/__init__.py", "")
            return ["--wheel", "x.whl"], "x.whl: not a wheel of deploytasks: it holds another package\n    name a .whl"
    file = wheel(inside, Release("2.0", {**NEW.files, "../../evil.py": b""}))
    return ["--wheel", file.name], f"{file.name}: not a wheel of deploytasks: a path in it leads out of the package's"


@pytest.mark.parametrize(
    "kind",
    [
        "no copy",
        "no stamp",
        "dirty stamp",
        "link",
        "not found",
        "no version",
        "no wheel",
        "no file",
        "another's",
        "leads out",
    ],
)
def test_what_cannot_be_upgraded_is_refused_and_nothing_is_written(inside: Path, capsys, kind: str):
    words, said = refused(inside, kind)
    before = found(inside)
    code, out, err = run(*words, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith(said), err
    assert err.count("\n    ") == 1
    assert found(inside) == before


@pytest.mark.parametrize("path", ["added.py/mine", "new"])
def test_what_has_the_name_of_a_new_file_or_its_folder_is_refused_before_any_change(inside: Path, capsys, path: str):
    copied(inside, edits={path: b"mine"})
    before, file = found(inside), wheel(inside.parent, NEW)
    assert main(["upgrade", "--wheel", str(file)]) == 2
    assert "something else has the name of a new file, or of its folder\n    rename it" in capsys.readouterr().err
    assert found(inside) == before


@pytest.mark.parametrize("spoilt", ["", "{", "[]", '{"version": "2.0"}', None])
def test_a_list_of_changes_that_was_spoilt_keeps_no_upgrade_from_being_made(inside: Path, capsys, spoilt: str | None):
    copied(inside)
    beside = inside / ".deploytasks-upgrade"
    if spoilt is None:
        beside.write_text("no folder")
    else:
        write(beside, {"changes.json": spoilt.encode()})
    assert main(["upgrade", "--wheel", str(wheel(inside.parent, NEW))]) == 0
    assert (stamp.read(inside / "deploytasks"), beside.exists()) == (NEW.stamp, False)


def test_two_runs_at_once_are_one_and_a_refusal(inside: Path, capsys):
    copied(inside)
    file, before = wheel(inside, NEW), found(inside / "deploytasks")
    with alone(inside):
        assert main(["upgrade", "--wheel", str(file)]) == main(["init", "--yes"]) == 2
    assert capsys.readouterr().err.count(f"{inside}: another init or upgrade is at work here\n") == 2
    assert found(inside / "deploytasks") == before
    assert main(["upgrade", "--wheel", str(file)]) == 0


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.9", "0.10"),
        ("1.0rc1", "1.0"),
        ("1.0.dev3", "1.0a1"),
        ("1.0a2", "1.0b1"),
        ("1.0", "1.0.post1"),
        ("1.0", "1.0.1"),
    ],
)
def test_of_two_versions_one_is_newer(older: str, newer: str):
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1"), ("1.0+local", "1.0"), ("nightly", "1.0"), ("1.0", "nightly")])
def test_of_equal_and_unknown_versions_none_is_newer(one: str, other: str):
    assert not is_newer(one, other)
    assert not is_newer(other, one)
