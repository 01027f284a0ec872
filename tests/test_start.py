"""What makes `inv` start quickly: bytecode is kept, only arguments that are needed are made, garbage waits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TASKS = (ROOT / "tasks.py").read_text() + "\nimport beside\n"


def kept(tmp_path: Path, *words: str, **environment: str) -> set[str]:
    """The modules whose bytecode is there after that `inv`; Invoke itself is imported before it forbids any."""
    root, cache = tmp_path / "shop", tmp_path / "cache"
    (root / "envs").mkdir(parents=True)
    for name, text in {"tasks.py": TASKS, "beside.py": "", "envs/project.toml": ""}.items():
        (root / name).write_text(text)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env = {**clean, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache), **environment}
    command = [sys.executable, "-m", "invoke", *words]
    subprocess.run(command, cwd=root, env=env, capture_output=True, check=False)
    folders = [cache / folder.relative_to("/") for folder in (ROOT / "deploytasks", root)]
    found = [file for folder in folders for file in folder.rglob("*.pyc")]
    return {f"{file.parent.name}.{file.name.partition('.')[0]}" for file in found}


@pytest.mark.quick
def test_what_listing_imports_is_kept(tmp_path: Path):
    assert {"config.names", "tasks.in_ci"} <= (found := kept(tmp_path, "--list"))
    assert not {"shop.tasks", "shop.beside"} & found


def test_what_a_task_imports_is_kept(tmp_path: Path):
    assert {"config.load", "report.text"} <= (found := kept(tmp_path, "envs.list"))
    assert not {"shop.tasks", "shop.beside"} & found


def test_nothing_is_kept_where_python_was_told_so(tmp_path: Path):
    assert kept(tmp_path, "envs.list", PYTHONDONTWRITEBYTECODE="1") == set()


COUNTING = """
import atexit, gc
from invoke import task
from invoke.program import Program
from invoke.tasks import Task
made, make = [], Task.get_arguments
Task.get_arguments = lambda task, *args, **given: made.append(task.name) or make(task, *args, **given)
atexit.register(lambda: print("made:", *made))
@task
def again(c):
    Program(namespace=ns).run(["inv", "deploy.wait", "dev", "--tenant", "nope"], exit=False)
@task
def threshold(c):
    print(gc.get_threshold()[0])
ns.add_task(again)
ns.add_task(threshold)
"""
ENVS = '[tiers.dev]\ntag = "mutable"\n'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    (root / "envs").mkdir()
    (root / "envs" / "project.toml").write_text(ENVS)
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text() + COUNTING)
    return root


def inv(root: Path, *words: str) -> tuple[str, set[str]]:
    """What it says, and the tasks whose arguments were made; the last two are not ours, and always are."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "invoke", *words]
    ran = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    out, _, made = ran.stdout.rpartition("made:")
    return out + ran.stderr, set(made.split()) - {"again", "threshold"}


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("--list", ""),
        ("deploy.wait dev --tenant nope", "wait"),
        ("deploy.wait dev build --help", "wait all"),
        ("--help=deploy.wait", "wait"),
    ],
)
def test_only_the_named_tasks_have_arguments(shop: Path, words: str, made: str):
    assert inv(shop, *words.split())[1] == set(made.split())


def test_completion_knows_the_flags_of_every_task(shop: Path):
    said, made = inv(shop, "--complete", "--", "inv", "deploy.wait", "--")
    assert "--tenant" in said and {"wait", "all", "status"} <= made


def test_other_words_that_are_parsed_in_the_same_process_find_every_flag(shop: Path):
    said, made = inv(shop, "again")
    assert "No idea" not in said and {"wait", "all"} <= made


def test_garbage_is_collected_seldom_where_inv_runs_and_as_before_in_a_program(shop: Path):
    code = "import gc; from pathlib import Path; from deploytasks import namespace; before = gc.get_threshold();"
    code += "namespace(Path()); print(before == gc.get_threshold())"
    program = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert program.stdout == "True\n"
    assert int(inv(shop, "threshold")[0]) >= 10_000


@pytest.mark.parametrize(("program", "may_open"), [("inv", 2048), ("own.py", 256)])
def test_inv_may_open_a_connection_for_each_thread_and_service_where_macos_allows_256_files(
    program: str, may_open: int
):
    code = "import resource, sys; from deploytasks.tasks.shell import interruptible;"
    code += "files = resource.RLIMIT_NOFILE; resource.setrlimit(files, (256, resource.getrlimit(files)[1]));"
    code += f"sys.argv = [{program!r}]; interruptible().__enter__(); print(resource.getrlimit(files)[0])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{may_open}\n"
