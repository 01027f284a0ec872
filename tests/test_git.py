"""Git, asked about real repositories."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploytasks import git
from deploytasks.errors import Invalid
from tests.repositories import run


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
        monkeypatch.setenv(f"GIT_{role}_DATE", "2020-11-12T10:30:00Z")


def commit(root: Path, name: str, text: str = "one") -> str:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    run(root, "add", "-A")
    run(root, "commit", "-qm", f"Change {name}")
    return run(root, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    return root


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_head_is_the_full_commit(repo):
    made = commit(repo, "a")
    assert git.head_commit(repo) == made
    assert git.resolve(repo, made[:8]) == made
    assert git.resolve(repo, "main") == made


def test_an_annotated_tag_resolves_to_its_commit(repo):
    made = commit(repo, "a")
    run(repo, "tag", "-a", "-m", "one", "v1")
    assert git.resolve(repo, "v1") == made


@pytest.mark.parametrize("rev", ["", " ", "-h", "--all", "--output=x"])
def test_a_revision_that_git_would_take_for_an_option_is_refused(repo, rev):
    commit(repo, "a")
    with pytest.raises(Invalid, match="is not a commit"):
        git.resolve(repo, rev)


def test_an_unknown_revision_is_refused_by_name(repo):
    commit(repo, "a")
    for rev in ("nowhere", "f" * 40):
        with pytest.raises(Invalid, match=rev) as caught:
            git.resolve(repo, rev)
        assert "git fetch" in str(caught.value)


def test_an_unknown_revision_in_a_shallow_clone_says_how_to_get_the_history(repo, tmp_path):
    first = commit(repo, "a")
    commit(repo, "b")
    run(tmp_path, "clone", "-q", "--depth=1", repo.as_uri(), "shallow")
    with pytest.raises(Invalid, match="fetch-depth: 0"):
        git.resolve(tmp_path / "shallow", first)


def test_a_repository_without_a_commit_is_refused(repo):
    with pytest.raises(Invalid, match="no commit yet"):
        git.head_commit(repo)


def test_no_repository_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(Invalid) as caught:
        git.head_commit(tmp_path)
    assert str(caught.value).startswith(f"git: {tmp_path} is not in a git repository\n    run inside a clone")


def test_a_submodule_whose_repository_is_gone_is_told_from_no_repository(repo):
    made = commit(repo, "a")
    (repo / "v").mkdir()
    (repo / "v/.git").write_text("gitdir: ../.git/modules/v\n")
    run(repo, "update-index", "--add", "--cacheinfo", f"160000,{made},v")
    with pytest.raises(Invalid, match="a submodule points to a repository that is gone") as caught:
        git.changes(repo)
    assert "git submodule update --init" in str(caught.value)


def test_git_not_installed_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Invalid, match="git is not installed"):
        git.head_commit(tmp_path)


def test_a_hook_s_variables_do_not_point_git_elsewhere(repo, tmp_path, monkeypatch):
    made = commit(repo, "a")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git.head_commit(repo) == made


def test_changes_tell_tracked_files_from_untracked_ones_and_leave_ignored_ones_out(repo):
    commit(repo, ".gitignore", "*.pyc")
    for name in ("a", "gone", "d/e f"):
        commit(repo, name)
    assert git.changes(repo) == git.Changes()
    (repo / "a").write_text("two")
    (repo / "gone").unlink()
    (repo / "d/e f").chmod(0o755)
    (repo / "b c").write_text("new")
    (repo / "dir").mkdir()
    (repo / "dir/new").touch()
    (repo / "staged").write_text("new")
    (repo / "x.pyc").write_text("cache")
    run(repo, "add", "staged")
    assert git.changes(repo) == git.Changes(("a", "d/e f", "gone", "staged"), ("b c", "dir/"))


def test_changes_in_a_submodule_are_told(repo, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    run(theirs, "init", "-q", "-b", "main")
    commit(theirs, "lib")
    run(repo, "submodule", "add", "-q", str(theirs), "vendor")
    commit(repo, "a")
    (repo / "vendor/new").touch()
    assert git.changes(repo) == git.Changes((), ("vendor",))
    (repo / "vendor/lib").write_text("two")
    assert git.changes(repo) == git.Changes(("vendor",), (), ("vendor",))
    run(repo / "vendor", "commit", "-qam", "two")
    (repo / "vendor/new").unlink()
    assert git.changes(repo) == git.Changes(("vendor",))


def test_files_in_conflict_are_changes(repo):
    commit(repo, "a b")
    run(repo, "checkout", "-q", "-b", "side")
    commit(repo, "a b", "side")
    run(repo, "checkout", "-q", "main")
    commit(repo, "a b", "main")
    subprocess.run(["git", "-C", str(repo), "merge", "-q", "side"], capture_output=True)
    assert git.changes(repo) == git.Changes(("a b",))


def tree_of(root: Path) -> str:
    with git.snapshot(root) as (tree, _):
        return tree


def test_hashing_the_tree_writes_nothing_into_the_repository(repo):
    commit(repo, "a")
    (repo / "a").write_text("two")
    (repo / "deep").mkdir()
    (repo / "deep" / "b").write_text("new")
    before = everything(repo)
    tree = tree_of(repo)
    assert git.changes(repo) == git.Changes(("a",), ("deep/",))
    assert everything(repo) == before
    assert subprocess.run(["git", "-C", str(repo), "cat-file", "-e", tree], capture_output=True).returncode != 0


def test_the_tree_s_hash_follows_the_content_even_within_the_index_s_own_second(repo):
    commit(repo, "a", "one")
    seen = set()
    for text in ("one", "two", "six", "ten"):
        (repo / "a").write_text(text)
        seen.add(tree_of(repo))
    assert len(seen) == 4


def test_the_tree_is_hashed_below_a_path_with_a_colon_too(tmp_path):
    root = tmp_path / 'a:b "c"'
    root.mkdir()
    run(root, "init", "-q")
    commit(root, "a")
    assert tree_of(root) == run(root, "rev-parse", "HEAD^{tree}")


def test_relation_tells_newer_older_same_and_diverged(repo):
    first = commit(repo, "a")
    second = commit(repo, "b")
    run(repo, "checkout", "-q", "-b", "side", first)
    side = commit(repo, "c")
    assert git.relation(repo, second, first) == "newer"
    assert git.relation(repo, first, second) == "older"
    assert git.relation(repo, second, second) == "same"
    assert git.relation(repo, side, second) == "diverged"


def test_relation_looks_through_dirty_suffixes(repo):
    first = commit(repo, "a")
    second = commit(repo, "b")
    assert git.relation(repo, f"{second}-dirty-0123abcd", first) == "newer"
    assert git.relation(repo, f"{second}-dirty-0123abcd", second) == "same"


@pytest.mark.parametrize("present", ["f" * 40, "", "not-a-commit", "main"])
def test_relation_to_what_this_clone_does_not_have_is_unknown(repo, present):
    made = commit(repo, "a")
    assert git.relation(repo, made, present) == "unknown"


def test_relation_in_a_shallow_clone_is_unknown_unless_an_ancestor_is_found(repo, tmp_path):
    commit(repo, "a")
    second = commit(repo, "b")
    third = commit(repo, "c")
    run(repo, "checkout", "-q", "-b", "side", "main~2")
    side = commit(repo, "d")
    run(tmp_path, "clone", "-q", "--depth=2", "--no-single-branch", repo.as_uri(), "shallow")
    shallow = tmp_path / "shallow"
    assert git.relation(shallow, third, second) == "newer"
    assert git.relation(shallow, second, third) == "older"
    run(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", repo.as_uri(), "shallower")
    assert git.relation(tmp_path / "shallower", side, third) == "unknown"


def test_the_oldest_of_commits_is_the_ancestor_of_all_others(repo, tmp_path):
    first, second = commit(repo, "a"), commit(repo, "b")
    run(repo, "checkout", "-q", "-b", "side", first)
    side = commit(repo, "side")
    gone = "f" * 40
    for commits, oldest in {
        (second, first): first,
        (second, side, first): first,
        (second, side): "",
        (second, gone, first): first,
        (second, gone): second,
        (gone, "e" * 40): "",
        (second, f"{first}-dirty-0123abcd"): f"{first}-dirty-0123abcd",
    }.items():
        assert git.oldest(repo, commits) == oldest
    run(tmp_path, "clone", "-q", "--depth=1", "--branch=main", repo.as_uri(), "shallow")
    assert git.oldest(tmp_path / "shallow", (second, first)) == "", "what a shallow clone lacks may be older"
    assert git.oldest(tmp_path, (second, first)) == ""


def test_a_commit_s_time_has_its_zone(repo):
    made = commit(repo, "a")
    assert git.committed_at(repo, made) == datetime(2020, 11, 12, 10, 30, tzinfo=UTC)


def test_subjects_are_asked_in_one_go_and_what_is_not_here_is_left_out(repo, monkeypatch):
    first, second = commit(repo, "a"), commit(repo, "b")
    dirty = f"{second}-dirty-0123abcd"
    asked = []
    monkeypatch.setattr(git, "run", lambda *words, real=git.run, **more: asked.append(words) or real(*words, **more))
    found = git.subjects(repo, [first, dirty, "f" * 40, "", "main", "-x"])
    assert found == {first: "Change a", dirty: "Change b"}
    assert len(asked) == 1


def test_subjects_of_a_shallow_clone_are_those_it_has(repo, tmp_path):
    first, second = commit(repo, "a"), commit(repo, "b")
    run(tmp_path, "clone", "-q", "--depth=1", repo.as_uri(), "shallow")
    assert git.subjects(tmp_path / "shallow", [first, second]) == {second: "Change b"}


def test_of_none_but_unknown_commits_there_are_no_subjects(repo):
    commit(repo, "a")
    assert git.subjects(repo, ["f" * 40]) == {}


def test_without_git_or_a_repository_there_are_no_subjects(repo, tmp_path, monkeypatch):
    made = commit(repo, "a")
    assert git.subjects(tmp_path, [made]) == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.subjects(repo, [made]) == {}


def test_a_subject_keeps_its_odd_characters(repo):
    commit(repo, "a")
    run(repo, "commit", "-q", "--amend", "-m", "Zoë's \x1b[31m <b>  two\nlines\n\nand more")
    head = git.head_commit(repo)
    assert git.subjects(repo, [head]) == {head: "Zoë's \x1b[31m <b>  two lines"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/acme/shop.git", "https://github.com/acme/shop.git"),
        ("https://ada:s3cret@github.com/acme/shop.git", "https://github.com/acme/shop.git"),
        ("https://ghp_token@github.com/acme/shop.git", "https://github.com/acme/shop.git"),
        ("https://git.example.com:8443/shop?private_token=x", "https://git.example.com:8443/shop"),
        ("ssh://git:pw@example.com:22/shop.git", "ssh://git@example.com:22/shop.git"),
        ("git@github.com:acme/shop.git", "git@github.com:acme/shop.git"),
        ("/srv/shop.git", "/srv/shop.git"),
    ],
)
def test_origin_shows_no_credentials(repo, url, shown):
    run(repo, "remote", "add", "origin", url)
    assert git.origin_url(repo) == shown


def test_without_an_origin_there_is_no_url(repo):
    assert git.origin_url(repo) == ""
