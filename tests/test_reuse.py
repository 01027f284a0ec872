"""An image with `paths`: a commit that changes nothing it contains reuses the image of an earlier one."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploytasks.source.paths import Step, before_a_change
from tests.cloud.accounts import Call
from tests.cloud.ecr import Repository
from tests.commands import REGISTRY, Shop
from tests.repositories import commit, run, write


def steps(*changed: Mapping[str, str]) -> list[Step]:
    return [Step(str(number), paths) for number, paths in enumerate(changed)]


SETTINGS = "envs/project.toml"


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ([{}, {}, {}], "12"),
        ([{"src/a": "x"}, {}], ""),
        ([{}, {"src/a": "x"}, {}], "1"),
        ([{SETTINGS: "same"}, {}, {}], "12"),
        ([{SETTINGS: "other"}, {}], ""),
        ([{SETTINGS: "same", "src/a": "x"}, {}], ""),
        ([{}], ""),
        ([], ""),
    ],
)
def test_the_commits_up_to_the_first_change_make_the_same_image(changed: list[dict[str, str]], found: str):
    assert "".join(before_a_change(steps(*changed), SETTINGS, lambda blob: blob == "same")) == found


def test_a_settings_file_that_paths_name_counts_as_any_other():
    assert before_a_change(steps({SETTINGS: "same"}, {}), "", lambda blob: True) == ()


@pytest.fixture
def repository(shop: Shop) -> Repository:
    """The shop's image has `paths`, ECR has it for HEAD, and the tier dev has been released."""
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\npaths = ["src/**", "poetry.lock"]')
    write(shop, "src/app/main.py", "one")
    write(shop, "poetry.lock", "one")
    write(shop, "docs/index.md", "one")
    found: Repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    found.push(commit(shop))
    assert shop.inv("release.dev").code == 0
    shop.endpoint.calls.clear()
    return found


def docs(shop: Shop, text: str = "two") -> str:
    write(shop, "docs/index.md", text)
    return commit(shop)


def said(text: str) -> str:
    return " ".join(text.split())


def test_a_release_of_what_changes_nothing_builds_nothing_and_rolls_nothing(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    head = docs(shop)
    ran = shop.inv("release.dev")
    assert (ran.code, ran.stderr) == (0, "")
    assert f"build api: reused, nothing that it contains changed since {before[:7]}" in said(ran.stdout)
    assert f"{head[:7]} has the image of {before[:7]}" in said(ran.stdout)
    assert "2 unchanged" in ran.stdout
    assert repository.tags[head] == repository.tags[before]
    assert shop.writes() == {"PutImage": 1}
    assert "is already in ECR" in shop.inv("build").stdout


def test_a_plan_says_so_to_people_programs_and_ci_and_a_dry_run_puts_nothing(
    shop: Shop, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = run(shop.root, "rev-parse", "HEAD")
    head = docs(shop)
    tags = dict(repository.tags)
    row = {"image": "api", "repository": "api", "tag": head, "since": before, "digest": tags[before]}
    for task in ("build", "tag.dev", "release.dev"):
        assert shop.inv(task, "--dry-run", "--json").summary["reused"] == [row]
    assert (repository.tags, shop.writes()) == (tags, {})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert shop.inv("release.dev").code == 0
    assert f"api: reused, nothing that it contains changed since {before[:7]}" in (tmp_path / "summary.md").read_text()


def test_a_build_alone_and_a_tag_alone_put_the_commits_tag(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    head = docs(shop)
    ran = shop.inv("build")
    assert (ran.code, shop.writes(), repository.tags[head]) == (0, {"PutImage": 1}, repository.tags[before])
    assert "1 image reused" in ran.stdout
    again = docs(shop, "three")
    ran = shop.inv("tag.dev", "--commit", again)
    assert (ran.code, shop.writes(), repository.tags[again]) == (0, {"PutImage": 2}, repository.tags[before])
    assert f"tag api: dev is {before[:7]} already" in said(ran.stdout)


def builds(shop: Shop, *flags: str) -> bool:
    """Whether HEAD is built; else its image is an earlier one's."""
    ran = shop.inv("build", "--dry-run", *flags)
    assert (ran.code, ran.stderr) == (0, "")
    (built, reused) = ("for linux/amd64" in ran.stdout, "reused, nothing that it contains changed" in ran.stdout)
    assert built != reused
    return built


def test_what_the_image_contains_is_built(shop: Shop, repository: Repository):
    for change in (
        ("src/app/main.py", "two"),
        ("poetry.lock", "two"),
        ("Dockerfile", "FROM scratch\nLABEL release=three\n"),
        (".dockerignore", "docs\n"),
        ("Dockerfile.dockerignore", "docs\n"),
    ):
        docs(shop, change[0])
        assert not builds(shop)
        write(shop, *change)
        assert builds_then(shop), change[0]
        repository.push(run(shop.root, "rev-parse", "HEAD"))


def builds_then(shop: Shop) -> bool:
    commit(shop)
    return builds(shop)


def test_a_file_that_moves_is_a_change_and_one_that_moves_elsewhere_is_none(shop: Shop, repository: Repository):
    run(shop.root, "mv", "docs/index.md", "docs/start.md")
    assert not builds_then(shop)
    run(shop.root, "mv", "src/app/main.py", "src/app/start.py")
    assert builds_then(shop)


def test_a_change_that_is_taken_back_counts_as_one(shop: Shop, repository: Repository):
    write(shop, "src/app/main.py", "two")
    commit(shop)
    write(shop, "src/app/main.py", "one")
    assert builds_then(shop)


def test_of_a_merge_counts_what_it_brings_to_its_first_parent(shop: Shop, repository: Repository):
    for name, value in (("log.diffMerges", "combined"), ("diff.renames", "copies"), ("log.follow", "true")):
        run(shop.root, "config", name, value)
    run(shop.root, "checkout", "-qb", "side")
    write(shop, "docs/side.md", "one")
    commit(shop)
    run(shop.root, "checkout", "-q", "main")
    run(shop.root, "merge", "-q", "--no-ff", "-m", "Docs", "side")
    assert not builds(shop)
    run(shop.root, "checkout", "-q", "side")
    write(shop, "src/app/more.py", "one")
    commit(shop)
    run(shop.root, "revert", "-n", "HEAD")
    commit(shop)
    run(shop.root, "checkout", "-q", "main")
    run(shop.root, "merge", "-q", "--no-ff", "-m", "Neither", "side")
    assert not builds(shop), "what was taken back before the merge changes nothing"
    run(shop.root, "checkout", "-q", "side")
    write(shop, "src/app/more.py", "two")
    repository.push(commit(shop))  # the nearest in ECR, but no first parent
    run(shop.root, "checkout", "-q", "main")
    run(shop.root, "merge", "-q", "--no-ff", "-m", "Source", "side")
    assert builds(shop)


def test_the_images_table_counts_by_what_it_says_and_the_rest_of_envs_does_not(shop: Shop, repository: Repository):
    shop.edit("envs/project.toml", 'context = "."', 'context = "." # the default\nplatforms = ["linux/amd64"]')
    shop.edit("envs/project.toml", 'LOG_LEVEL = "info"', 'LOG_LEVEL = "warning"')
    shop.edit("envs/t1.toml", 'FEATURE_INVOICES = "off"', 'FEATURE_INVOICES = "on"')
    assert not builds_then(shop)
    shop.edit("envs/project.toml", 'platforms = ["linux/amd64"]', 'platforms = ["linux/arm64"]')
    commit(shop)
    assert "for linux/arm64" in shop.inv("build", "--dry-run").stdout
    repository.push(run(shop.root, "rev-parse", "HEAD"), "linux/arm64")
    docs(shop)
    assert "reused" in shop.inv("build", "--dry-run").stdout


def test_an_envs_file_that_paths_name_counts_as_any_other(shop: Shop, repository: Repository):
    shop.edit("envs/project.toml", '"poetry.lock"', '"envs/*.toml"')
    repository.push(commit(shop))
    docs(shop)
    assert not builds(shop)
    shop.edit("envs/project.toml", 'LOG_LEVEL = "info"', 'LOG_LEVEL = "warning"')
    assert builds_then(shop)


@pytest.mark.parametrize("is_link", [True, False])
def test_an_image_whose_envs_are_not_the_commits_is_built(
    shop: Shop, repository: Repository, tmp_path: Path, is_link: bool
):
    (shop.root / "envs").rename(tmp_path / "envs")
    if is_link:
        (shop.root / "envs").symlink_to(tmp_path / "envs")
    else:
        write(shop, ".gitignore", "envs\n")
    shop.commits_config = False
    commit(shop)
    repository.push(docs(shop))
    docs(shop, "three")
    if not is_link:
        (tmp_path / "envs").rename(shop.root / "envs")
    assert builds(shop)


def test_a_commit_is_built_if_its_table_is_not_the_one_that_counts_now(shop: Shop, repository: Repository):
    head = docs(shop)
    shop.commits_config = False
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\ndockerfile = "./Dockerfile"')
    assert "for linux/amd64" in shop.inv("build", "--dry-run", "--commit", head).stdout


@pytest.mark.parametrize(("between", "is_built"), [(99, False), (100, True)])
def test_a_hundred_earlier_commits_are_looked_at(shop: Shop, repository: Repository, between: int, is_built: bool):
    tree, head = run(shop.root, "rev-parse", "HEAD^{tree}"), run(shop.root, "rev-parse", "HEAD")
    for _ in range(between + 1):
        head = run(shop.root, "commit-tree", "-m", "Nothing", "-p", head, tree)
    run(shop.root, "reset", "-q", "--hard", head)
    assert builds(shop) == is_built
    asked = shop.endpoint.operations()
    assert (asked["BatchGetImage"], asked["DescribeImages"]) == (2, 0 if is_built else 1)


def test_a_shallow_clone_builds_where_what_it_knows_shows_no_image(shop: Shop, repository: Repository, tmp_path: Path):
    docs(shop)
    for depth, is_built in ((1, True), (2, False)):
        clone = tmp_path / f"clone{depth}"
        subprocess.run(["git", "clone", "-q", f"--depth={depth}", f"file://{shop.root}", clone], check=True)
        there = Shop(clone, shop.endpoint, shop.commits, shop.capture, commits_config=False)
        ran = there.inv("build", "--dry-run")
        assert ("for linux/amd64" in ran.stdout, "a shallow clone shows no earlier image" in ran.stdout) == (
            is_built,
            is_built,
        )


def test_a_pattern_that_matches_nothing_is_refused_by_the_check_and_by_a_build(shop: Shop, repository: Repository):
    shop.edit("envs/project.toml", '"poetry.lock"', '"poetry.lok", "../lib/**"')
    ran = shop.inv("envs.check")
    assert ran.code == 2
    assert "images.api.paths: 'poetry.lok' matches no file of the repository" in ran.stderr
    assert "images.api.paths: '../lib/**' leads out of the repository" in ran.stderr
    shop.edit("envs/project.toml", ', "../lib/**"', "")
    ran = shop.inv("build")
    assert ran.code == 2
    assert f"'poetry.lok' matches no file of commit {run(shop.root, 'rev-parse', 'HEAD')[:12]}" in ran.stderr
    repository.push(run(shop.root, "rev-parse", "HEAD"))  # by another tool
    docs(shop)
    assert shop.inv("build").code == 2
    write(shop, "poetry.lok", "new")
    assert shop.inv("envs.check").code == 0, "it may be about to be committed"


def test_changed_files_that_paths_do_not_name_concern_no_image(shop: Shop, repository: Repository):
    docs(shop)
    write(shop, "docs/index.md", "edited")
    write(shop, "docs/new.md", "untracked")
    assert not builds(shop)
    assert not builds(shop, "--allow-dirty")
    write(shop, "src/app/main.py", "edited")
    ran = shop.inv("build")
    assert ran.code == 2
    assert "uncommitted changes of what an image contains: src/app/main.py\n" in ran.stderr
    assert builds(shop, "--allow-dirty")


def first_by_name(shop: Shop) -> str:
    """Commit docs until the commit's tag sorts before its parent's: the tags' order must not choose what is shown."""
    before = run(shop.root, "rev-parse", "HEAD")
    head, number = docs(shop), 0
    while head > before:
        number += 1
        run(shop.root, "commit", "-q", "--amend", "--message", str(number))
        head = run(shop.root, "rev-parse", "HEAD")
    return head


def test_a_definition_that_names_the_commit_stays_as_it_is(shop: Shop, repository: Repository):
    labels = '"dockerLabels": {"commit": "{{ commit }}"}, "essential": true'
    shop.edit("templates/api.json.j2", '"essential": true', labels)
    commit(shop)
    assert shop.inv("release.dev").code == 0
    first_by_name(shop)
    shop.endpoint.calls.clear()
    assert "2 unchanged" in shop.inv("release.dev").stdout
    assert "2 unchanged" in shop.inv("deploy.dev").stdout
    assert shop.writes() == {"PutImage": 1}


def test_an_image_of_several_commits_is_shown_as_the_ancestor_of_them_all(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    head = first_by_name(shop)
    assert shop.inv("build").code == 0
    (listed,) = (
        each for each in json.loads(shop.inv("tag.list", "--json").stdout)[0]["images"] if head in each["commits"]
    )
    assert listed["commits"] == [before, head]
    ran = shop.inv("release.staging", "--dry-run")
    assert f"staging → {before[:7]} (was {shop.commits['newer'][:7]})" in said(ran.stdout)
    for asked in ([], ["--commit", head]):
        assert shop.inv("tag.staging", *asked).code == 0
    (released, *_) = json.loads(shop.inv("release.history", "staging", "--json").stdout)["releases"]
    assert released["commit"] == before, "nothing recorded the release: no target was rolled out"
    board = json.loads(shop.inv("status", "--json").stdout)
    assert {cell["wanted"] for cell in board["cells"] if cell["tier"] == "staging"} == {before}
    run(shop.root, "checkout", "-q", head)
    docs(shop, "more")
    assert "dev is " + before[:7] + " already" in said(shop.inv("release.dev", "--dry-run").stdout)


def test_the_same_image_is_never_backwards_and_another_one_is_compared_by_the_commit_asked_for(
    shop: Shop, repository: Repository
):
    before = run(shop.root, "rev-parse", "HEAD")
    head = docs(shop)
    assert shop.inv("release.dev").code == 0
    assert shop.inv("release.dev", "--commit", before).code == 0
    write(shop, "src/app/main.py", "two")
    newer = commit(shop)
    repository.push(newer)
    assert shop.inv("release.dev").code == 0
    ran = shop.inv("release.dev", "--commit", head)
    assert ran.code == 2
    assert f"{head[:7]} is older than dev's present {newer[:7]}" in ran.stderr
    run(shop.root, "checkout", "-q", head)
    run(shop.root, "merge", "-q", "-s", "ours", "-m", "Without the change", newer)
    assert shop.inv("release.dev").code == 0
    assert repository.tags["dev"] == repository.tags[before]


def test_what_a_tier_was_before_is_the_ancestor_too(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    first_by_name(shop)
    assert shop.inv("release.dev").code == 0
    write(shop, "src/app/main.py", "two")
    newer = commit(shop)
    repository.push(newer)
    assert f"dev → {newer[:7]} (was {before[:7]})" in said(shop.inv("tag.dev", "--dry-run").stdout)


def test_a_tag_that_can_not_be_put_leaves_the_tier_as_it_is(shop: Shop, repository: Repository):
    docs(shop)
    tags = dict(repository.tags)
    shop.refuse("PutImage", "AccessDeniedException")
    for task in ("build", "tag.dev", "release.dev"):
        ran = shop.inv(task)
        assert (ran.code, shop.writes()) == (1, {"PutImage": 1})
        assert f"to go on: inv {task}" in said(ran.stderr)
        shop.endpoint.calls.clear()
    assert repository.tags == tags


def test_another_build_of_the_commit_that_is_there_first_is_adopted(shop: Shop, repository: Repository):
    head, winner = docs(shop), repository.tags[shop.commits["newer"]]

    def race(call: Call) -> None:
        if call.operation == "PutImage":
            repository.tags.setdefault(head, winner)

    shop.endpoint.fault = race
    ran = shop.inv("build")
    assert (ran.code, repository.tags[head]) == (0, winner)
    assert f"another build pushed {head[:7]} first; its image is used: {winner}" in said(ran.stdout)


@pytest.mark.parametrize(("more", "is_built"), [(895, False), (900, True)])
def test_an_image_with_nearly_all_the_tags_that_ecr_allows_is_built_anew(
    shop: Shop, repository: Repository, more: int, is_built: bool
):
    digest = repository.tags[docs_before(shop)]
    repository.tags |= {f"more-{number}": digest for number in range(more)}
    assert builds(shop) == is_built


def docs_before(shop: Shop) -> str:
    before = run(shop.root, "rev-parse", "HEAD")
    docs(shop)
    return before


def test_a_path_may_lead_to_another_folder_of_a_larger_repository(shop: Shop, repository: Repository, tmp_path: Path):
    top = tmp_path / "larger"
    top.mkdir()
    run(top, "init", "-q", "-b", "main")
    (shop.root / ".git").rename(tmp_path / "old.git")
    shop.root.rename(top / "shop[1]")
    there = Shop(top / "shop[1]", shop.endpoint, shop.commits, shop.capture, commits_config=False)
    there.edit("envs/project.toml", '"poetry.lock"', '"../lib/**"')
    write(there, "../lib/a.py", "one")
    repository.push(commit(there))
    docs(there)
    assert not builds(there)
    write(there, "../lib/a.py", "two")
    assert builds_then(there)


def test_a_submodule_below_a_pattern_counts_by_its_commit(shop: Shop, repository: Repository, tmp_path: Path):
    sub = tmp_path / "sub"
    sub.mkdir()
    run(sub, "init", "-q", "-b", "main")
    (sub / "a.py").write_text("one")
    run(sub, "add", "-A")
    run(sub, "commit", "-qm", "One")
    run(shop.root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sub), "vendor/sub")
    shop.edit("envs/project.toml", '"poetry.lock"', '"vendor/sub/*.py"')
    repository.push(commit(shop))
    docs(shop)
    assert not builds(shop)
    write(shop, "vendor/sub/a.py", "two")
    run(shop.root / "vendor/sub", "commit", "-qam", "Two")
    commit(shop)
    run(shop.root, "config", "diff.ignoreSubmodules", "all")
    assert builds(shop)


def test_outside_of_a_repository_a_full_commit_is_still_found(shop: Shop, repository: Repository, tmp_path: Path):
    before = run(shop.root, "rev-parse", "HEAD")
    (shop.root / ".git").rename(tmp_path / "old.git")
    shop.commits_config = False
    ran = shop.inv("tag.dev", "--commit", "f" * 40)
    assert ran.code == 2
    assert "commit fffffff is not in ECR" in ran.stderr
    assert before in repository.tags


def test_the_gate_names_the_ancestor_of_an_images_commits(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    first_by_name(shop)
    assert shop.inv("release.dev").code == 0
    write(shop, "src/app/main.py", "two")
    newer = commit(shop)
    repository.push(newer)
    ran = shop.inv("release.staging", "--commit", newer)
    assert ran.code == 2
    assert f"it runs {before[:7]}, so {newer[:7]} may not go to staging" in ran.stderr


def test_a_rollback_from_an_image_of_several_commits_names_their_ancestor(shop: Shop, repository: Repository):
    before = run(shop.root, "rev-parse", "HEAD")
    first_by_name(shop)
    assert shop.inv("release.dev").code == 0
    assert shop.inv("release.rollback", "dev").code == 0
    assert f"rolled back from {before[:7]} to {shop.commits['newer'][:7]}" in said(shop.inv("lock.status").stdout)
    ran = shop.inv("release.rollback", "dev", "--to", run(shop.root, "rev-parse", "HEAD"), "--dry-run")
    assert before[:7] in ran.stdout
