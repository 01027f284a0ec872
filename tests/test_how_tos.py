"""docs/how-to/*.md: each page's commands are typed and its files written, in one repository that `init` made."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from shutil import copytree

import hcl2
import pytest
from invoke.program import Program

from deploytasks import __main__, namespace
from tests import pages
from tests.cloud.accounts import REGION, Account, Cloud, key_for
from tests.cloud.ecr import Repository
from tests.cloud.ecs import add_cluster
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import TIERS, World, run_service
from tests.commands import REGISTRY
from tests.repositories import run as git

pytestmark = pytest.mark.waits
TENANTS = {"main": "111111111111", "mb": "222222222222", "acme": "333333333333"}
INIT = (
    f"python -m deploytasks init --yes --registry-account {REGISTRY} --tenants main=111111111111,mb=222222222222"
    " --services web=app --create-services"
)
READY = ("inv envs.bootstrap", "inv release.dev", "inv release.staging", "inv release.prod")
FEATURE = "git commit -q --allow-empty -m 'Half of a feature'"
HOST = f"{REGISTRY}.dkr.ecr.{REGION}.amazonaws.com"
SHELL = ("git ", "echo ", "mkdir ", "rm ", "cp ", "grep ")


class Reader:
    """Somebody who types a page's commands, in a repository whose tenants' accounts have clusters and roles."""

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self.folder, self.cloud = folder, endpoint.cloud

    def type(self, line: str) -> tuple[int, str]:
        """Return a command's exit code, and what it wrote to stdout and then to stderr."""
        line, _, file = line.partition(" > ") if line.startswith("inv ") else (line, "", "")
        code, out, err = self._run(line)
        if file:
            (self.folder / file).write_text(out)
        return code, err if file else out + err

    def _run(self, line: str) -> tuple[int, str, str]:
        words = pages.words(line)
        if words[0] == "inv":
            self._push()
            return _called(self.folder, lambda: Program(namespace=namespace(self.folder)).run(words))
        if words[:3] == ["python", "-m", "deploytasks"]:
            return _called(self.folder, lambda: sys.exit(__main__.main(words[3:])))
        assert line.startswith(SHELL), f"only {SHELL} are typed in a how-to: {line}"
        ran = subprocess.run(line, shell=True, cwd=self.folder, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout, ran.stderr

    def _push(self) -> None:
        """ECR has an image of HEAD, as if CI had built it."""
        commit = git(self.folder, "rev-parse", "HEAD")
        for repository in self.cloud.account(REGISTRY).repositories.values():
            if commit not in repository.tags:
                repository.push(commit)


def _called(root: Path, program: Callable[[], None]) -> tuple[int, str, str]:
    out, err, code = StringIO(), StringIO(), 0
    with chdir(root), redirect_stdout(out), redirect_stderr(err):
        try:
            program()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Cloud]:
    """The repository that every page begins with, and its AWS, once the first page has made them."""
    return {}


@pytest.fixture
def reader(
    kept: dict[Path, Cloud],
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    looks_soon: None,
) -> Iterator[Reader]:
    with Endpoint(World(tenants=0), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_for(REGISTRY))
        if not kept:
            root = tmp_path_factory.mktemp("made") / "shop"
            kept[root] = _make(root, endpoint)
        ((root, cloud),) = kept.items()
        copytree(root, tmp_path / "shop")
        endpoint.cloud = deepcopy(cloud)
        endpoint.cloud.address = endpoint.url
        yield Reader(tmp_path / "shop", endpoint)


def _make(root: Path, endpoint: Endpoint) -> Cloud:
    """Make a repository by `init`, whose two tenants run its one commit in three tiers."""
    endpoint.cloud.accounts.clear()
    for tenant, account in TENANTS.items():
        _furnish(endpoint.cloud.account(account), tenant)
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "Dockerfile").write_text("FROM scratch\nCOPY index.html /\nEXPOSE 8080\n")
    (root / "index.html").write_text("<h1>Shop</h1>\n")
    reader = Reader(root, endpoint)
    reader.type(INIT)
    project = root / "envs/project.toml"
    project.write_text(project.read_text().replace("\ntag = ", '\nsoak = "0s"\ntag = '))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Sell things")
    pages.follow([pages.Commands(READY)], reader)
    return endpoint.cloud


def _furnish(account: Account, tenant: str) -> None:
    """The account has what Terraform makes: a cluster a tier. Roles are there unless told."""
    for tier in TIERS:
        add_cluster(account, f"{tenant}-{tier}")


GIVEN: Mapping[str, tuple[str, ...]] = {
    "hotfix": (FEATURE, "inv release.dev"),
    "roll-back": (FEATURE, "inv release.dev", "inv release.staging", "inv release.prod"),
}
"""What was typed before the page begins."""


def scripted(cloud: Cloud, commit: str) -> None:
    """ECR has an image that no deploytasks made, under the tags of the tiers, and every cluster has a service of it."""
    registry = cloud.account(REGISTRY)
    registry.repositories["shop"] = repository = Repository("shop", registry, "MUTABLE")
    repository.tags |= dict.fromkeys(TIERS, repository.push(commit).digest)
    for tenant in ("main", "mb"):
        for tier in TIERS:
            run_service(cloud.account(TENANTS[tenant]), f"{tenant}-{tier}", "shop-web", f"{HOST}/shop:{tier}")


@pytest.mark.parametrize("page", pages.HOW_TOS, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, reader: Reader):
    if page.stem == "from-scripts":
        scripted(reader.cloud, git(reader.folder, "rev-parse", "HEAD"))
    given = pages.Commands(GIVEN.get(page.stem, ()))
    pages.follow([given, *pages.steps(page), pages.Commands(("inv envs.check",))], reader)


@pytest.mark.quick
@pytest.mark.parametrize("page", pages.DOCUMENTS, ids=lambda page: page.stem)
def test_each_command_that_a_document_mentions_is_a_task_with_these_flags(page: Path):
    tasks = namespace(pages.ROOT)
    for words in pages.mentioned(page):
        name, *rest = itertools.takewhile(lambda word: word not in ("--", ">"), words[1:])
        typed = {
            word.partition("=")[0].removeprefix("--").removeprefix("no-") for word in rest if word.startswith("--")
        }
        known = {name for argument in tasks[name].get_arguments() for name in argument.names}
        assert typed <= known | {name.removeprefix("no-") for name in known}, words


@pytest.mark.quick
@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_the_terraform_and_python_of_a_page_can_be_read(page: Path):
    for file in pages.files(page, ".tf"):
        assert hcl2.loads(file.text)
    for file in pages.files(page, ".py"):
        compile(file.text, file.path, "exec")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("printed", "is_shown"),
    [
        ("dev/web  deployed  0123abc  in 12s\nmore\n1 deployed by eve@vm", True),
        ("dev/web  failed  0123abc  in 12s\n1 deployed by eve@vm", False),
        ("dev/web  deployed  0123abc  in 12s\n2 deployed by eve@vm", False),
        ("1 deployed by eve@vm", False),
    ],
)
def test_what_is_printed_may_differ_from_the_page_in_times_hashes_and_names_alone(printed: str, is_shown: bool):
    assert pages.fits("dev/web   deployed  6b8c87e  in 1s\n…\n1 deployed by ann@desk\n", printed) is is_shown
