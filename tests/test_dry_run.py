"""No task writes anything in a dry run: each task of the namespace is tried, also one that was added yesterday."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from deploytasks import namespace
from deploytasks.aws.operations import OPERATIONS
from tests.commands import Ran, Shop

READS = {row.name for row in OPERATIONS.values() if not row.writes} | {"GetObject"}
"""The operations that change nothing; every other one may, also one that is not listed. GetObject reads a blob."""

POSITIONAL = {"tier": "prod", "env": "t1-prod", "tenant": "acme"}
NEEDED = {
    "deploy.run": ["--tenant", "t1", "--service", "api"],
    "release.matrix": ["--shards", "2"],
    "envs.new": ["--account", "999999999999"],
    "envs.rights": ["--repository", "github.com/acme/shop"],
}
"""What a task can't do without: say it here when you add one that has more than positional arguments."""

AFTER_DASHES = {"deploy.run": ["--", "true"]}
WELL = (0, 3)
ROOT = Path(__file__).parent.parent


def tasks_of(root: Path) -> dict[str, list[Any]]:
    """Every task of the namespace with its arguments."""
    tasks = namespace(root)
    return {name: tasks[name].get_arguments() for name in tasks.task_names}


SHOPS_TASKS = [name.replace("build.app", "build.api") for name in tasks_of(ROOT)]
"""The tasks of the tests' repository: those of this one, with its own image."""


def words_for(name: str, arguments: list[Any], page: Path, commit: str) -> list[str]:
    """A command line of the task that does all that it can: with every file that it could write."""
    flags = {each.names[0] for each in arguments}
    takes = flags & ({"commit", "to"} if positional_of(arguments) else {"commit"}) if "build" not in name else set()
    written = [f"--{each.names[0]}={page}" for each in arguments if (each.help or "").startswith("write ")]
    return [name, *positional_of(arguments), *NEEDED.get(name, []), *written, *(f"--{flag}={commit}" for flag in takes)]


def positional_of(arguments: list[Any]) -> list[str]:
    return [POSITIONAL[each.name] for each in arguments if each.positional]


@pytest.fixture
def dry(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose prod is locked by hand, in a CI run that wants a summary; temporary files are watched too."""
    assert shop.inv("lock.acquire", "prod").code == 0
    scratch, summary = tmp_path / "scratch", tmp_path / "summary.md"
    scratch.mkdir()
    summary.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_STEP_SUMMARY": str(summary)}.items():
        monkeypatch.setenv(name, value)
    return shop


def files_under(folder: Path) -> dict[str, str]:
    """Every file's content, git's own index left out: git refreshes it whenever it looks."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "index")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in paths}


def mutations(shop: Shop) -> set[str]:
    return {operation for operation in shop.endpoint.operations() if operation not in READS}


def tried(shop: Shop, words: list[str]) -> Ran:
    """The command, after which neither AWS nor any file has changed; a real run may add to the step's summary."""
    watched = shop.root.parent if {"--dry", "-R", "--dry-run"} & set(words) else shop.root
    before = files_under(watched)
    shop.endpoint.calls.clear()
    ran = shop.inv(*words)
    assert mutations(shop) == set(), words
    assert files_under(watched) == before, words
    return ran


def dry_lines(shop: Shop, name: str, arguments: list[Any]) -> list[list[str]]:
    """The task's dry runs; a task without the flag changes nothing anyhow."""
    words = words_for(name, arguments, shop.root.parent / "board.html", shop.commits["newer"])
    rest, flags = AFTER_DASHES.get(name, []), {each.names[0] for each in arguments}
    lines = [["--dry", *words, *rest], ["-R", *words, *rest]]
    if "json" in flags:
        lines.append(["--dry", *words, "--json", *rest])
    return [*lines, [*words, "--dry-run", *rest] if "dry-run" in flags else [*words, *rest]]


@pytest.mark.parametrize("name", SHOPS_TASKS)
def test_no_task_changes_anything_in_a_dry_run(dry: Shop, name: str):
    arguments = tasks_of(dry.root)[name]
    said = [tried(dry, words) for words in dry_lines(dry, name, arguments)]
    assert not [ran for ran in said if "Traceback" in ran.stderr]
    if any("dry-run" in each.names for each in arguments):
        assert [ran for ran in said if ran.code not in WELL or not says_so(ran)] == []


def says_so(ran: Ran) -> bool:
    return "dry run: nothing was" in ran.stdout + ran.stderr or '"dry_run": true' in ran.stdout


def test_a_dry_bootstrap_names_what_it_would_make_and_says_that_it_did_not(dry: Shop):
    dry.add_service("worker")
    dry.commits_config = False  # the helper's commit is none of the task's
    for words in (["envs.bootstrap", "--dry-run"], ["--dry", "envs.bootstrap"]):
        ran = tried(dry, words)
        assert "worker" in ran.stdout and ran.stdout.endswith("dry run: nothing was changed\n")


def test_a_dry_lock_says_what_it_would_do(dry: Shop):
    assert (
        tried(dry, ["lock.acquire", "dev", "--dry-run"]).stdout
        == "dev: would be locked; dry run: nothing was changed\n"
    )
    held = tried(dry, ["--dry", "lock.acquire", "prod"]).stdout
    assert held.startswith("prod: is held by ") and "so this would wait or be refused" in held
    assert dry.inv("lock.status").stdout.startswith("dev: free\nstaging: free\nprod: held\n")


def test_a_dry_release_of_a_lock_leaves_it_and_asks_nobody(dry: Shop):
    assert "prod: would end the lock of " in tried(dry, ["lock.release", "prod", "--yes", "--dry-run"]).stdout
    assert "after asking" in tried(dry, ["--dry", "lock.release", "prod"]).stdout
    assert "7 does not hold the lock" in tried(dry, ["--dry", "lock.release", "prod", "--run", "7"]).stdout
    assert dry.inv("lock.release", "prod", "--yes").code == 0


def test_a_dry_status_names_the_page_that_it_did_not_write(dry: Shop):
    page = dry.root / "board.html"
    ran = tried(dry, ["--dry", "status", "--html", str(page)])
    assert ran.stderr == f"status: dry run: nothing was changed; the page would be in {page}\n"
