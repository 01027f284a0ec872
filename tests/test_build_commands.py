"""`inv build`, from git's objects to a registry, without a Docker engine: what is pushed is the commit's."""

import gzip
import io
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from tests.cloud.accounts import Call
from tests.commands import REGISTRY, Shop
from tests.registry import Registry, serving
from tests.repositories import commit, run, write


@pytest.fixture
def registry(shop: Shop) -> Iterator[Registry]:
    """A registry whose images ECR knows, and a commit of the shop that can be built there."""
    with serving(password=("AWS", "password")) as running:
        shop.edit("envs/project.toml", "[registry]", f'[registry]\nhost = "{running.host}"')
        shop.edit("envs/project.toml", 'context = "."', 'context = "api"\nbuilder = "append"')
        write(shop, "api/Dockerfile", "FROM scratch\nCOPY . /\n")
        write(shop, "api/app.py", "one")
        write(shop, ".gitignore", "*.env\nbuild/\n")
        commit(shop)
        repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]

        def sync(call: Call) -> None:
            for tag, digest in dict(running.tags.get("api", {})).items():
                media_type, content = running.manifests["api"][digest]
                repository.tags.setdefault(tag, repository.store(content.decode(), media_type).digest)

        shop.endpoint.fault = sync
        yield running


def contents(registry: Registry, tag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in registry.manifest("api", tag)["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(registry.blobs["api"][layer["digest"]]))) as tar:
            found |= {each.name: tar.extractfile(each).read().decode() for each in tar if each.isfile()}  # type: ignore[union-attr]
    return found


@pytest.mark.quick
def test_head_and_a_named_commit_make_the_same_image_without_ignored_files(shop: Shop, registry: Registry):
    write(shop, "api/local.env", "SECRET=x")
    write(shop, "api/new.py", "untracked")
    head = run(shop.root, "rev-parse", "HEAD")
    ran = shop.inv("build")
    assert (ran.code, ran.stderr) == (0, "")
    assert "not in the image, since git does not know them: api/new.py" in ran.stdout
    assert contents(registry, head) == {"Dockerfile": "FROM scratch\nCOPY . /\n", "app.py": "one"}
    digest = registry.tags["api"].pop(head)
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags.pop(head)
    assert shop.inv("build", "--commit", "HEAD").code == 0
    assert registry.tags["api"][head] == digest


def test_a_file_edited_while_the_build_runs_never_gets_in(shop: Shop, registry: Registry):
    def edit(method: str, path: str) -> None:
        write(shop, "api/app.py", "edited")
        write(shop, "api/more.py", "new")

    registry.fault = edit
    assert shop.inv("build").code == 0
    assert contents(registry, run(shop.root, "rev-parse", "HEAD"))["app.py"] == "one"


def test_a_dirty_image_is_the_tree_that_its_tag_names(shop: Shop, registry: Registry):
    write(shop, "api/app.py", "edited")
    write(shop, "api/new.py", "new")
    write(shop, "api/local.env", "SECRET=x")
    ran = shop.inv("build", "--allow-dirty")
    assert (ran.code, ran.stderr) == (0, "")
    (tag,) = registry.tags["api"]
    assert "-dirty-" in tag
    assert contents(registry, tag) == {"Dockerfile": "FROM scratch\nCOPY . /\n", "app.py": "edited", "new.py": "new"}


def test_a_tree_that_changes_under_a_dirty_build_ends_it(shop: Shop, registry: Registry):
    write(shop, "api/app.py", "edited")
    before, calls = shop.endpoint.fault, 0

    def edit(call: Call) -> None:
        nonlocal calls
        calls += call.operation == "GetAuthorizationToken"
        if calls:
            write(shop, "api/app.py", "edited again")
        return before(call)

    shop.endpoint.fault = edit
    ran = shop.inv("build", "--allow-dirty")
    assert ran.code == 1
    assert "git: the working tree changed since this command began\n    run it again" in ran.stderr
    assert registry.tags == {}


def test_the_winner_of_a_push_race_is_told_with_both_digests(shop: Shop, registry: Registry):
    head = run(shop.root, "rev-parse", "HEAD")
    repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    winner = repository.tags[shop.commits["newer"]]

    def race(method: str, path: str) -> None:
        repository.tags[head] = winner

    registry.fault = race
    ran = shop.inv("build")
    assert ran.code == 0
    ours = registry.tags["api"][head]
    told = f"another build pushed {head[:7]} first; its image is used: {winner}, and not {ours}, which was built here"
    assert told in " ".join(ran.stdout.split())


@pytest.fixture
def jar(shop: Shop, registry: Registry) -> Shop:
    """The shop's image takes what a build step makes."""
    shop.edit("envs/project.toml", 'context = "api"', 'context = "api"\nartifacts = ["build/libs/*.jar"]')
    commit(shop)
    write(shop, "api/build/libs/app.jar", "jar")
    write(shop, "api/build/libs/app.log", "log")
    return shop


def test_artifacts_are_in_the_image_and_no_other_ignored_file_is(jar: Shop, registry: Registry):
    assert jar.inv("build").code == 0
    head = run(jar.root, "rev-parse", "HEAD")
    assert set(contents(registry, head)) == {"Dockerfile", "app.py", "build/libs/app.jar"}
    assert len(registry.config("api", head)["config"]["Labels"]["deploytasks.artifacts"]) == 64


def test_a_commit_that_is_in_ecr_with_other_artifacts_is_refused_and_not_replaced(jar: Shop, registry: Registry):
    head = run(jar.root, "rev-parse", "HEAD")
    assert jar.inv("build").code == 0
    again = jar.inv("build")
    assert (again.code, again.stderr) == (0, "")
    before = dict(registry.tags["api"])
    write(jar, "api/build/libs/app.jar", "another")
    ran = jar.inv("build")
    assert ran.code == 2
    assert f"images.api.artifacts: {head[:7]} is in ECR with other artifacts (" in ran.stderr
    assert jar.inv("build", "--commit", head).code == 0
    (jar.root / "api/build/libs/app.jar").unlink()
    assert jar.inv("build").code == 0
    assert registry.tags["api"] == before


def test_an_image_with_paths_is_reused_only_with_the_artifacts_that_are_here(jar: Shop, registry: Registry):
    jar.edit("envs/project.toml", 'context = "api"', 'context = "api"\npaths = ["api/**"]')
    first = commit(jar)
    assert jar.inv("build").code == 0
    write(jar, "docs.md", "one")
    second = commit(jar)
    assert "1 image reused" in jar.inv("build").stdout
    write(jar, "docs.md", "two")
    third = commit(jar)
    write(jar, "api/build/libs/app.jar", "another")
    assert "1 image built" in jar.inv("build").stdout
    repository = jar.endpoint.cloud.account(REGISTRY).repositories["api"]
    assert repository.tags[first] == repository.tags[second] != repository.tags[third]
    write(jar, "docs.md", "three")
    fourth = commit(jar)
    write(jar, "docs.md", "four")
    commit(jar)
    ran = jar.inv("build", "--commit", fourth)
    assert (ran.code, "is not checked out" in ran.stderr) == (2, True)


@pytest.mark.parametrize("gone", ["api/build/libs/app.jar", "api/build"])
def test_artifacts_that_are_not_there_are_refused(jar: Shop, registry: Registry, gone: str):
    subprocess.run(["rm", "-r", str(jar.root / gone)], check=True)
    ran = jar.inv("build")
    assert ran.code == 2
    assert "images.api.artifacts: 'build/libs/*.jar' matches no git-ignored file of the context" in ran.stderr
    assert registry.tags == {}


def test_artifacts_that_dockerignore_names_are_refused(jar: Shop, registry: Registry):
    write(jar, "api/.dockerignore", "build\n")
    commit(jar)
    assert "matches only files that .dockerignore leaves out: api/build/libs/" in jar.inv("build").stderr


def test_a_commit_that_is_not_checked_out_gets_no_artifacts(jar: Shop, registry: Registry):
    old = run(jar.root, "rev-parse", "HEAD")
    write(jar, "api/app.py", "two")
    commit(jar)
    ran = jar.inv("build", "--commit", old)
    assert ran.code == 2
    assert f"they are taken from the working tree, and {old[:7]} is not checked out" in ran.stderr


def test_a_link_among_the_artifacts_is_not_followed(jar: Shop, registry: Registry):
    (jar.root / "api/build/libs/link.jar").symlink_to("/etc/passwd")
    assert jar.inv("build").code == 0
    assert set(contents(registry, run(jar.root, "rev-parse", "HEAD"))) == {"Dockerfile", "app.py", "build/libs/app.jar"}
