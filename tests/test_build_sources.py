"""What `build`, `tag` and `release` say of a commit's files, and of a working tree that differs from them."""

import pytest

from deploytasks import git, tags
from tests.cloud.ecr import Repository
from tests.commands import REGISTRY, Shop
from tests.repositories import commit, run, write


@pytest.fixture
def api(shop: Shop) -> Shop:
    """The shop, its image made from `api/`, at a commit that is not in ECR."""
    shop.edit("envs/project.toml", 'context = "."', 'context = "api"')
    write(shop, "api/Dockerfile", "FROM scratch\nCOPY . /\n")
    write(shop, "api/.dockerignore", "*.md\n")
    write(shop, "api/app.py", "one")
    write(shop, "api/notes.md", "one")
    write(shop, "docs/guide.txt", "one")
    write(shop, ".gitignore", "*.env\n")
    commit(shop)
    return shop


@pytest.mark.parametrize("task", ["build", "release.dev"])
@pytest.mark.parametrize("name", ["docs/guide.txt", "api/notes.md", "board.html", "api/local.env", "api/new.py"])
def test_what_no_image_contains_refuses_nothing(api: Shop, task: str, name: str):
    write(api, name, "changed")
    ran = api.inv(task, "--dry-run")
    assert (ran.code, ran.stderr) == (0, "")
    told = "not in the image, since git does not know them: api/new.py"
    assert (told in ran.stdout) == (name == "api/new.py")


@pytest.mark.parametrize("name", ["api/app.py", "api/Dockerfile", "api/.dockerignore"])
def test_a_changed_file_of_an_image_is_refused(api: Shop, name: str):
    write(api, name, "changed\n")
    for task in ("build", "release.dev"):
        ran = api.inv(task)
        assert ran.code == 2
        assert (
            f"git: uncommitted changes of what an image contains: {name}\n    commit them, or --allow-dirty"
            in ran.stderr
        )
    assert api.writes() == {}


def test_the_image_of_head_is_not_tagged_while_a_file_of_it_is_changed(shop: Shop):
    shop.commits_config = False
    known = shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    known[run(shop.root, "rev-parse", "HEAD")] = known[shop.commits["newer"]]
    shop.edit("envs/project.toml", 'LOG_LEVEL = "info"', 'LOG_LEVEL = "debug"')
    ran = shop.inv("tag.dev")
    assert ran.code == 2
    assert "git: uncommitted changes of what an image contains: envs/project.toml" in ran.stderr
    assert shop.writes() == {}


def test_a_deleted_and_a_staged_file_of_an_image_are_changes_of_it(api: Shop):
    api.commits_config = False  # a commit would take along what is staged
    (api.root / "api/app.py").unlink()
    write(api, "api/staged.py", "new")
    run(api.root, "add", "api/staged.py")
    assert "contains: api/app.py, api/staged.py" in api.inv("build").stderr


def test_only_what_the_selected_images_contain_makes_a_build_dirty(api: Shop):
    head = run(api.root, "rev-parse", "HEAD")
    write(api, "docs/guide.txt", "changed")
    assert f"{head[:7]}-dirty" not in api.inv("build", "--allow-dirty", "--dry-run").stdout
    write(api, "api/app.py", "changed")
    assert f"{head[:7]}-dirty" in api.inv("build", "--allow-dirty", "--dry-run").stdout


def test_a_named_commit_does_not_care_for_the_tree(api: Shop):
    write(api, "api/app.py", "changed")
    assert api.inv("build", "--commit", "HEAD", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("context", "apo", "images.api.context: there is no directory apo in commit"),
        ("context", "../..", "images.api.context: '../..' leads out of the repository"),
        ("dockerfile", "Dokerfile", "images.api.dockerfile: there is no file api/Dokerfile in commit"),
        ("dockerfile", "../../x", "images.api.dockerfile: '../../x' leads out of the repository"),
    ],
)
def test_a_wrong_context_or_dockerfile_is_refused_before_anything_is_built(api: Shop, key: str, value: str, said: str):
    old = 'context = "api"'
    api.edit("envs/project.toml", old, f'{key} = "{value}"' + ("" if key == "context" else f"\n{old}"))
    right = run(api.root, "rev-parse", "HEAD")
    commit(api)
    for words in (["build"], ["release.dev"], ["build", "--commit", right, "--dry-run"]):
        ran = api.inv(*words)
        assert ran.code == 2
        assert said in ran.stderr
    assert api.writes() == {}


def test_all_that_is_wrong_with_all_images_is_told_at_once(api: Shop):
    api.add_service("web")
    write(api, "envs/project.toml", (api.root / "envs/project.toml").read_text() + 'context = "wbe"\n')
    account = api.endpoint.cloud.account(REGISTRY)
    account.repositories["shop/web"] = Repository("shop/web", account)
    write(api, "api/app.py", "changed")
    run(api.root, "add", "envs", "templates")
    run(api.root, "commit", "-qm", "Web")
    ran = api.inv("build")
    assert "uncommitted changes of what an image contains: api/app.py" in ran.stderr
    assert "images.web.context: there is no directory wbe" in ran.stderr


def test_what_no_builder_here_can_build_is_told_of_all_images_before_anything_is_built(api: Shop, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    api.edit("envs/project.toml", 'context = "api"', 'context = "api"\nbuilder = "append"')
    api.add_service("web")
    file = "envs/project.toml"
    write(api, file, (api.root / file).read_text() + 'context = "web"\nbuilder = "docker"\n')
    account = api.endpoint.cloud.account(REGISTRY)
    account.repositories["shop/web"] = Repository("shop/web", account)
    write(api, "api/Dockerfile", "FROM scratch\nRUN make\nONBUILD USER x\n")
    write(api, "web/Dockerfile", "FROM scratch\nCOPY . /\n")
    commit(api)
    ran = api.inv("build", "--dry-run")
    assert ran.code == 2
    assert "api/Dockerfile:2: RUN needs a Docker engine" in ran.stderr
    assert "api/Dockerfile:3: ONBUILD needs a Docker engine" in ran.stderr
    assert "docker: no Docker engine answers at unix:///nowhere.sock" in ran.stderr


def test_a_dirty_tag_follows_the_tree(api: Shop):
    write(api, "api/new.py", "new")
    ran = api.inv("build", "--allow-dirty", "--dry-run", "--json")
    with git.snapshot(api.root) as (tree, _):
        assert tags.dirty_tag(run(api.root, "rev-parse", "HEAD"), tree) in ran.stdout


def test_several_platforms_are_refused_by_a_dry_run_too(api: Shop):
    api.edit("envs/project.toml", 'context = "api"', 'context = "api"\nplatforms = ["linux/amd64", "linux/arm64"]')
    commit(api)
    ran = api.inv("release.dev", "--dry-run")
    assert ran.code == 2
    assert "images.api.platforms: 2 platforms (linux/amd64, linux/arm64), and one can be built" in ran.stderr


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('context = "apo"', "images.api.context: there is no directory apo in commit"),
        ('context = "../.."', "images.api.context: '../..' leads out of the repository"),
        ('context = "/etc"', "images.api.context: '/etc' leads out of the repository"),
        ('context = "api/app.py"', "images.api.context: there is no directory api/app.py in commit"),
        (
            'context = "api"\ndockerfile = "Dokerfile"',
            "images.api.dockerfile: there is no file api/Dokerfile in commit",
        ),
        ('context = "api"\ndockerfile = "../../x"', "images.api.dockerfile: '../../x' leads out of the repository"),
        (
            'context = "api"\nplatforms = ["linux/amd64", "linux/arm64"]',
            "images.api.platforms: 2 platforms (linux/amd64, linux/arm64), and one can be built",
        ),
        ('context = "docs"', "images.api.dockerfile: there is no file docs/Dockerfile in commit"),
    ],
)
def test_envs_check_finds_a_wrong_context_or_dockerfile_offline(api: Shop, keys: str, said: str):
    assert api.inv("envs.check").code == 0
    api.edit("envs/project.toml", 'context = "api"', keys)
    ran = api.inv("envs.check")
    assert ran.code == 2
    assert said in ran.stderr
    assert api.endpoint.operations().total() == 0


def test_envs_check_takes_what_is_not_committed_yet_and_what_a_sparse_checkout_left_out(api: Shop):
    run(api.root, "sparse-checkout", "set", "--cone", "envs", "templates")
    assert not (api.root / "api").exists()
    assert api.inv("envs.check").code == 0
    run(api.root, "sparse-checkout", "disable")
    write(api, "new/Dockerfile", "FROM scratch\n")
    api.edit("envs/project.toml", 'context = "api"', 'context = "new"')
    assert api.inv("envs.check").code == 0


def test_envs_check_names_a_malformed_dockerignore(api: Shop):
    write(api, "api/.dockerignore", "[\n")
    commit(api)
    write(api, "api/.dockerignore", "[\nx\n")
    ran = api.inv("envs.check")
    assert "api/.dockerignore:1: '['" in ran.stderr
