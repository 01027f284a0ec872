"""A build context is its commit's: git's files, submodules and LFS content, and nothing else of this machine."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from deploytasks import git, source
from deploytasks.errors import BuildFailed, Invalid
from deploytasks.model import Image
from tests.test_git import _plain_git, commit, everything, run  # noqa: F401  no machine's git settings

API = Image("api", "api")
LFS = "*.bin filter=lfs diff=lfs merge=lfs -text\n"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")  # submodules from this machine, as git wants to be told since 2.38
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    return made(tmp_path / "repo")


def made(root: Path, **files: str) -> Path:
    root.mkdir(parents=True)
    run(root, "init", "-q", "-b", "main")
    commit(root, "Dockerfile", "FROM scratch\nCOPY . /\n")
    for name, text in files.items():
        commit(root, name, text)
    return root


def files(root: Path, out: Path, service: Image = API, rev: str = "HEAD") -> dict[str, str]:
    """Path below the context → content (or `-> target`) of what is laid out, Dockerfile and directories left out."""
    found = source.find(root, service, source.of_commit(root, git.resolve(root, rev)))
    source.write(found, out, at=0)
    top = out / found.place.directory
    paths = [path for path in top.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        path.relative_to(top).as_posix(): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in paths
        if path.name not in ("Dockerfile", ".gitmodules")
    }


def complaints(root: Path, service: Image = API, rev: str = "HEAD") -> str:
    with pytest.raises(Invalid) as caught:
        source.find(root, service, source.of_commit(root, git.resolve(root, rev)))
    assert caught.value.code == 2
    return str(caught.value)


def pointer(content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {len(content)}\n"


def keep(git_dir: Path, content: bytes) -> Path:
    """The content lies where git-lfs keeps it."""
    name = hashlib.sha256(content).hexdigest()
    place = git_dir / "lfs" / "objects" / name[:2] / name[2:4] / name
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    return place


def with_submodule(repo: Path, tmp_path: Path, path: str = "vendor") -> Path:
    """The repository with a submodule, and where that comes from."""
    theirs = made(tmp_path / "theirs", **{"lib.py": "theirs"})
    run(repo, "submodule", "add", "-q", str(theirs), path)
    run(repo, "commit", "-q", "-m", "submodule")
    return theirs


def cloned(repo: Path, into: Path, *options: str) -> Path:
    subprocess.run(["git", "clone", "-q", *options, repo.as_uri(), str(into)], check=True)
    return into


def test_untracked_ignored_and_uncommitted_files_are_not_in_it(repo, tmp_path):
    commit(repo, ".gitignore", "local.env\n")
    commit(repo, "a", "committed")
    (repo / "a").write_text("edited")
    (repo / "local.env").write_text("SECRET=x")
    (repo / "new").write_text("new")
    before = everything(repo)
    assert files(repo, tmp_path / "out") == {".gitignore": "local.env\n", "a": "committed"}
    assert everything(repo) == before


def test_head_and_a_named_commit_give_the_same(repo, tmp_path):
    first = commit(repo, "a", "one")
    at_head = files(repo, tmp_path / "one")
    commit(repo, "a", "two")
    assert files(repo, tmp_path / "two", rev=first) == at_head == {"a": "one"}


def test_no_export_ignore_and_no_setting_of_this_machine_changes_it(repo, tmp_path):
    commit(repo, ".gitattributes", "secret export-ignore\n*.txt text\n")
    commit(repo, "secret")
    commit(repo, "x.txt", "a\nb\n")
    plain = files(repo, tmp_path / "plain")
    run(repo, "config", "core.autocrlf", "true")
    run(repo, "config", "core.symlinks", "false")
    umask = os.umask(0o077)
    try:
        assert files(repo, tmp_path / "out") == plain
    finally:
        os.umask(umask)
    assert (tmp_path / "out/x.txt").read_bytes() == b"a\nb\n"
    assert (tmp_path / "out/x.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "out/x.txt").stat().st_mtime == 0
    assert "secret" in plain


def test_links_and_executables_stay_what_they_are(repo, tmp_path):
    (repo / "link").symlink_to("/etc/passwd")
    (repo / "run.sh").touch(mode=0o755)
    commit(repo, "a")
    assert files(repo, tmp_path / "out")["link"] == "-> /etc/passwd"
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o755


def test_a_submodule_s_files_are_in_it(repo, tmp_path):
    with_submodule(repo, tmp_path)
    assert files(repo, tmp_path / "out") == {"vendor/lib.py": "theirs"}


def test_a_submodule_is_read_at_the_commit_that_ours_names(repo, tmp_path):
    theirs = with_submodule(repo, tmp_path)
    commit(theirs, "lib.py", "newer")
    run(repo / "vendor", "pull", "-q", "origin", "main")
    (repo / "vendor/lib.py").write_text("edited")
    assert files(repo, tmp_path / "out") == {"vendor/lib.py": "theirs"}


def test_a_submodule_of_a_submodule_is_in_it(repo, tmp_path):
    theirs = with_submodule(repo, tmp_path, "libs/vendor")
    inner = made(tmp_path / "inner", **{"deep.py": "deep"})
    run(theirs, "submodule", "add", "-q", str(inner), "inner")
    run(theirs, "commit", "-q", "-m", "inner")
    run(repo / "libs/vendor", "pull", "-q", "origin", "main")
    run(repo, "commit", "-qam", "newer")
    assert complaints(repo) == (
        f"libs/vendor/inner: the submodule's commit {run(inner, 'rev-parse', 'HEAD')[:12]} is not on this machine\n"
        "    git submodule update --init --recursive -- libs/vendor"
    )
    run(repo, "submodule", "update", "-q", "--init", "--recursive")
    assert files(repo, tmp_path / "out") == {"libs/vendor/lib.py": "theirs", "libs/vendor/inner/deep.py": "deep"}


def test_a_submodule_that_was_not_initialised_is_refused_with_the_command(repo, tmp_path):
    theirs = with_submodule(repo, tmp_path)
    clone = cloned(repo, tmp_path / "clone")
    assert complaints(clone) == (
        f"vendor: the submodule's commit {run(theirs, 'rev-parse', 'HEAD')[:12]} is not on this machine\n"
        "    git submodule update --init --recursive -- vendor"
    )
    run(clone, "submodule", "update", "-q", "--init", "--recursive", "--", "vendor")
    assert files(clone, tmp_path / "out") == {"vendor/lib.py": "theirs"}
    run(clone, "submodule", "deinit", "-q", "-f", "vendor")
    assert files(clone, tmp_path / "again") == {"vendor/lib.py": "theirs"}  # git keeps what it has fetched


def test_a_submodule_commit_that_was_not_fetched_is_refused_with_the_command(repo, tmp_path):
    theirs = with_submodule(repo, tmp_path)
    clone = cloned(repo, tmp_path / "clone", "--recurse-submodules")
    newer = commit(theirs, "lib.py", "newer")
    run(repo / "vendor", "pull", "-q", "origin", "main")
    run(repo, "commit", "-qam", "newer")
    run(clone, "pull", "-q", "--no-recurse-submodules")
    assert f"git -C vendor fetch origin {newer}" in complaints(clone)
    run(clone / "vendor", "fetch", "-q", "origin", newer)
    assert files(clone, tmp_path / "out") == {"vendor/lib.py": "newer"}


def test_a_submodule_that_no_image_may_see_is_not_missed(repo, tmp_path):
    with_submodule(repo, tmp_path)
    commit(repo, ".dockerignore", "*\n!Dockerfile\n!src/*.py\n")
    commit(repo, "src/a.py", "a")
    clone = cloned(repo, tmp_path / "clone")
    assert files(clone, tmp_path / "out") == {".dockerignore": "*\n!Dockerfile\n!src/*.py\n", "src/a.py": "a"}


def test_a_submodule_in_a_worktree_and_one_of_the_old_kind_are_found(repo, tmp_path):
    with_submodule(repo, tmp_path)
    run(repo, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert files(tmp_path / "tree", tmp_path / "one") == {"vendor/lib.py": "theirs"}
    (repo / "vendor/.git").unlink()
    (repo / ".git/modules/vendor").rename(repo / "vendor/.git")
    run(repo, "config", "--file", "vendor/.git/config", "--unset", "core.worktree")
    assert files(repo, tmp_path / "two") == {"vendor/lib.py": "theirs"}


def test_a_context_in_a_submodule_is_found(repo, tmp_path):
    with_submodule(repo, tmp_path)
    service = Image("api", "api", context="vendor")
    assert files(repo, tmp_path / "out", service) == {"lib.py": "theirs"}
    assert "git submodule update --init" in complaints(cloned(repo, tmp_path / "clone"), service)


def test_lfs_content_takes_its_pointer_s_place(repo, tmp_path):
    commit(repo, ".gitattributes", LFS)
    commit(repo, "model.bin", pointer(b"weights"))
    keep(repo / ".git", b"weights")
    assert files(repo, tmp_path / "out")["model.bin"] == "weights"
    run(repo, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert files(tmp_path / "tree", tmp_path / "two")["model.bin"] == "weights"


def test_lfs_content_that_is_not_here_is_refused_with_the_command(repo, tmp_path):
    commit(repo, ".gitattributes", LFS)
    for number in range(6):
        made_by = commit(repo, f"{number}.bin", pointer(b"%d" % number))
    assert complaints(repo) == (
        "git lfs: only LFS pointers are on this machine, not the content: 0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 1 more"
        "\n"
        f"    git lfs fetch origin {made_by}\n"
        "    or, of what is checked out: git lfs pull"
    )


def test_lfs_content_of_a_submodule_is_its_own(repo, tmp_path):
    theirs = made(tmp_path / "theirs", **{".gitattributes": LFS})
    at = commit(theirs, "m.bin", pointer(b"theirs"))
    run(repo, "-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "submodule", "add", "-q", str(theirs), "vendor")
    run(repo, "commit", "-q", "-m", "submodule")
    assert f"git -C vendor lfs fetch origin {at}" in complaints(repo)
    keep(repo / ".git/modules/vendor", b"theirs")
    assert files(repo, tmp_path / "out")["vendor/m.bin"] == "theirs"


def test_only_what_the_attributes_give_to_lfs_is_a_pointer(repo, tmp_path):
    commit(repo, "doc.txt", pointer(b"an example"))
    assert files(repo, tmp_path / "out") == {"doc.txt": pointer(b"an example")}


def test_lfs_content_that_no_image_may_see_is_not_missed(repo, tmp_path):
    commit(repo, ".gitattributes", LFS)
    commit(repo, ".dockerignore", "**/*.bin\n.gitattributes\n.dockerignore\n")
    commit(repo, "data/m.bin", pointer(b"x"))
    files(repo, tmp_path / "out")


def test_damaged_lfs_content_gets_into_no_image(repo, tmp_path):
    commit(repo, ".gitattributes", LFS)
    commit(repo, "m.bin", pointer(b"weights"))
    keep(repo / ".git", b"weights").write_bytes(b"w3ights")
    with pytest.raises(BuildFailed, match="is damaged"):
        files(repo, tmp_path / "out")


def test_encrypted_files_of_a_clone_that_is_not_unlocked_are_refused(repo, tmp_path):
    commit(repo, ".gitattributes", "*.key filter=git-crypt diff=git-crypt\n")
    commit(repo, "x.key", "cipher")
    assert complaints(repo) == (
        "git-crypt: files are encrypted and this clone is not unlocked: x.key\n    git-crypt unlock"
    )
    run(repo, "config", "filter.git-crypt.smudge", "sed s/cipher/plain/")
    assert files(repo, tmp_path / "out")["x.key"] == "plain"


def test_a_sparse_checkout_lacks_nothing(repo, tmp_path):
    commit(repo, "src/a", "a")
    commit(repo, "docs/b", "b")
    run(repo, "sparse-checkout", "set", "--cone", "src")
    assert not (repo / "docs").exists()
    assert files(repo, tmp_path / "out") == {"src/a": "a", "docs/b": "b"}


def test_a_partial_clone_that_lacks_files_is_refused_with_the_command(repo, tmp_path):
    old = commit(repo, "a", "one")
    commit(repo, "a", "two")
    run(repo, "config", "uploadpack.allowFilter", "true")
    clone = cloned(repo, tmp_path / "clone", "--filter=blob:none")
    assert files(clone, tmp_path / "head") == {"a": "two"}
    assert complaints(clone, rev=old) == (
        f"git: this partial clone lacks files of commit {old[:12]}: a\n    git fetch --refetch --no-filter origin"
    )
    run(clone, "fetch", "-q", "--refetch", "--no-filter", "origin")
    assert files(clone, tmp_path / "old", rev=old) == {"a": "one"}


def test_a_context_above_the_root_is_the_repository_s(repo, tmp_path):
    commit(repo, "apps/shop/tasks.py", "tasks")
    old = commit(repo, "lib/a", "one")
    commit(repo, "lib/a", "two")
    service = Image("api", "api", context="../..", dockerfile="Dockerfile")
    assert files(repo / "apps/shop", tmp_path / "out", service, old) == {"apps/shop/tasks.py": "tasks", "lib/a": "one"}


@pytest.mark.parametrize("context", ["../../..", "/etc", "../../../repo/../x", "out", "nested/../../../.."])
def test_a_context_that_leaves_the_repository_is_refused(repo, context):
    (repo / "apps/shop").mkdir(parents=True)
    (repo / "apps/shop/out").symlink_to("../../../..")
    commit(repo, "apps/shop/tasks.py")
    said = complaints(repo / "apps/shop", Image("api", "api", context=context))
    assert said.startswith(f"images.api.context: {context!r} leads out of the repository")


@pytest.mark.parametrize("dockerfile", ["../../Dockerfile", "/etc/passwd", "link"])
def test_a_dockerfile_outside_the_repository_is_refused(repo, dockerfile):
    (repo / "app/link").parent.mkdir()
    (repo / "app/link").symlink_to("/etc/passwd")
    commit(repo, "app/a")
    said = complaints(repo, Image("api", "api", context="app", dockerfile=dockerfile))
    assert said.startswith(f"images.api.dockerfile: {dockerfile!r} leads out of the repository")


def test_a_wrong_context_or_dockerfile_names_the_nearest_right_one(repo):
    at = commit(repo, "cron/job.py")[:12]
    assert complaints(repo, Image("api", "api", context="crom")) == (
        f"images.api.context: there is no directory crom in commit {at}\n    did you mean cron?"
    )
    assert complaints(repo, Image("api", "api", dockerfile="Dokerfile")) == (
        f"images.api.dockerfile: there is no file Dokerfile in commit {at}\n    did you mean Dockerfile?"
    )
    assert "there is no directory Dockerfile in" in complaints(repo, Image("api", "api", context="Dockerfile"))
    assert "there is no file cron in" in complaints(repo, Image("api", "api", dockerfile="cron"))


def test_what_is_only_in_the_working_tree_is_not_there(repo):
    commit(repo, ".gitignore", "build\n")
    (repo / "build").mkdir()
    assert "there is no directory build in commit" in complaints(repo, Image("api", "api", context="build"))


def test_a_dockerfile_beside_the_context_comes_with_its_own_ignore_file(repo, tmp_path):
    commit(repo, "docker/api.Dockerfile", "FROM scratch\n")
    commit(repo, "docker/api.Dockerfile.dockerignore", "secret\n")
    commit(repo, "app/secret")
    commit(repo, "app/a", "a")
    service = Image("api", "api", context="app", dockerfile="../docker/api.Dockerfile")
    assert files(repo, tmp_path / "out", service) == {"a": "a"}
    assert (tmp_path / "out/docker/api.Dockerfile").read_text() == "FROM scratch\n"


def test_a_linked_dockerfile_and_a_linked_context_are_followed(repo, tmp_path):
    (repo / "app").symlink_to("services/app")
    (repo / "services/app").mkdir(parents=True)
    (repo / "services/app/Dockerfile").symlink_to("../../Dockerfile")
    commit(repo, "services/app/a", "a")
    assert files(repo, tmp_path / "out", Image("api", "api", context="app")) == {"a": "a"}
    assert (tmp_path / "out/services/app/Dockerfile").read_text() == "FROM scratch\nCOPY . /\n"


def test_a_malformed_dockerignore_is_refused_by_line(repo):
    commit(repo, ".dockerignore", "x\n[\n")
    assert complaints(repo).startswith(".dockerignore:2: '['")


def test_strange_names_are_files_like_any_other(repo, tmp_path):
    names = [
        "a b",
        "é",
        "tab\there",
        "new\nline",
        "quote\"s'",
        "-dash",
        ":colon",
        "cr\rhere",
        "\udcff".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"),
    ]
    for name in names:
        (repo / name).write_text(name.encode("utf-8", "replace").decode())
    run(repo, "add", "-A")
    run(repo, "commit", "-qm", "names")
    assert set(files(repo, tmp_path / "out")) == set(names)


def test_the_working_tree_as_git_would_commit_it_is_read_like_a_commit(repo, tmp_path):
    commit(repo, ".gitignore", "*.env\n")
    commit(repo, "a", "one")
    commit(repo, "gone")
    (repo / "gone").unlink()
    (repo / "a").write_text("edited")
    (repo / "new").write_text("new")
    (repo / "x.env").write_text("SECRET")
    with git.snapshot(repo) as (tree, reading):
        found = source.find(repo, API, source.of_commit(repo, tree, reading))
        source.write(found, tmp_path / "out", at=0)
    names = {path.name: path.read_text() for path in (tmp_path / "out").iterdir() if path.name != "Dockerfile"}
    assert names == {".gitignore": "*.env\n", "a": "edited", "new": "new"}
