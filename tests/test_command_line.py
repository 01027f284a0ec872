"""What somebody is told who mistyped a command line: by `inv` itself, as it is started from a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploytasks import namespace

ROOT = Path(__file__).parent.parent
GROUP = "release.history, release.rollback, release.matrix, release.dev, release.staging, release.prod"

MISTYPED = {
    "relase.prod": "inv relase.prod: there is no task 'relase.prod'\n    did you mean 'release.prod'?",
    "release.prdo": "inv release.prdo: there is no task 'release.prdo'\n    did you mean 'release.prod'?",
    "envs.list deploy.waitt": "inv deploy.waitt: there is no task 'deploy.waitt'\n    did you mean 'deploy.wait'?",
    "--help deploy.wiat": "inv --help deploy.wiat: there is no task 'deploy.wiat'\n    did you mean 'deploy.wait'?",
    "xyzzy": "inv xyzzy: there is no task 'xyzzy'\n    inv --list shows all tasks",
    "status --tenants x": "inv status: there is no flag '--tenants'\n    did you mean '--tenant'?",
    "release.prod --dryrun": "inv release.prod: there is no flag '--dryrun'\n    did you mean '--dry-run'?",
    "--lsit": "inv: there is no flag '--lsit'\n    did you mean '--list'?",
    "release": f"inv release: 'release' is a group of tasks\n    name one of them: {GROUP}",
    "status prod": "inv status: it does not take 'prod'\n    inv status --tier prod",
    "lock.acquire": "inv lock.acquire: tier is missing\n    inv lock.acquire dev\n    inv lock.acquire staging",
    "envs.show": "inv envs.show: env is missing\n    inv envs.show ENV",
    "release.prod --commit": "inv release.prod: Flag <Argument: commit> needed value and was not given one!",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text())
    (root / "envs").mkdir()
    tiers = '[tiers.dev]\ntag = "mutable"\n[tiers.staging]\nafter = "dev"\n[tiers.prod]\nafter = "staging"\n'
    (root / "envs" / "project.toml").write_text(tiers)
    return root


def inv(root: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("words", MISTYPED)
def test_a_mistyped_command_line_is_told_the_nearest_right_spelling(shop: Path, words: str):
    code, out, err = inv(shop, *words.split())
    assert (code, out) == (1, "")
    assert err.startswith(MISTYPED[words])


@pytest.mark.parametrize(
    "words", ["deploy.wait --help", "deploy.wait -h", "deploy.diff prod --help", "deploy.run --help"]
)
def test_help_after_a_task_shows_that_tasks_help(shop: Path, words: str):
    code, out, err = inv(shop, *words.split())
    assert (code, err) == (0, "")
    assert f"[--core-opts] {words.split()[0]} " in out and "--tenant" in out


def test_help_behind_two_dashes_is_a_word_of_the_command(shop: Path):
    code, out, _ = inv(shop, "deploy.run", "dev", "--", "cat", "--help")
    assert (code, out) == (2, "")  # refused for what envs/ lacks, after Invoke has taken the command line


def test_without_envs_the_tasks_are_listed_and_it_is_said_what_is_missing(tmp_path: Path):
    (tmp_path / "tasks.py").write_text((ROOT / "tasks.py").read_text())
    assert "  status " in inv(tmp_path, "--list")[1]
    assert inv(tmp_path, "release.prod")[2] == (
        "inv release.prod: there is no task 'release.prod': envs/project.toml names no tiers\n"
        "    inv envs.check says what is missing\n"
    )


def test_a_task_of_ones_own_is_known(shop: Path):
    own = "\nfrom invoke import task\n@task\ndef nightly(c):\n    print('tonight')\nns.add_task(nightly)\n"
    (shop / "tasks_own.py").write_text((ROOT / "tasks.py").read_text() + own)
    assert inv(shop, "-c", "tasks_own", "nightly") == (0, "tonight\n", "")


def test_tasks_below_a_namespace_of_ones_own_are_left_to_invoke(shop: Path):
    below = "\nfrom invoke import Collection\nours = ns\nns = Collection()\nns.add_collection(ours, 'ship')\n"
    (shop / "tasks_below.py").write_text((ROOT / "tasks.py").read_text() + below)
    code, out, _ = inv(shop, "-c", "tasks_below", "--list")
    assert code == 0 and "ship.status" in out
    assert inv(shop, "-c", "tasks_below", "ship.statu")[2] == "No idea what 'ship.statu' is!\n"


def test_everything_that_invoke_prints_of_a_task_is_ascii():
    tasks = namespace(ROOT)
    for name in tasks.task_names:
        assert (tasks[name].__doc__ or "").isascii(), name
        assert all((each.help or "").isascii() for each in tasks[name].get_arguments()), name


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_an_ascii_console_lists_tasks(shop: Path, environment: dict[str, str]):
    code, out, err = inv(shop, "--list", **environment)
    assert (code, err) == (0, "") and "release.prod" in out
