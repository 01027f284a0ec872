"""A repository's tasks as Nox sessions, by real runs of Nox."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploytasks import namespace
from deploytasks import nox as sessions_of
from tests.envs_files import write
from tests.hanging import HANGS_S
from tests.terminals import REPOSITORY

TASKS = '''
import time
from pathlib import Path
from invoke import Exit, task
from deploytasks import namespace
ns = namespace(Path(__file__).parent)
@task
def end(c, code):
    """End with a code."""
    raise Exit("ended", code=int(code))
@task
def stay(c):
    """Clean up for longer than Nox waits, once it is interrupted."""
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.8)
        print("cleaned up", flush=True)
        raise Exit("", code=130)
ns.add_task(end)
ns.add_task(stay)
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path)
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "noxfile.py").write_text("from deploytasks.nox import sessions\nsessions(globals())\n")
    return tmp_path


def command(*words: str) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "nox", *words], {**os.environ, "PYTHONPATH": str(REPOSITORY), "NOX_NO_COLOR": "1"}


def nox(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line, env = command(*words)
    return subprocess.run(line, cwd=root, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_nox_lists_what_inv_lists_and_plain_nox_runs_none(root: Path):
    listed = nox(root, "-l")
    lines = [line.split(" ")[1] for line in listed.stdout.splitlines() if line.startswith(("- ", "* "))]
    names = namespace(root).task_names.items()
    assert set(lines) == {n.replace(".", "-") for name, aliases in names for n in (name, *aliases)} | {"end", "stay"}
    assert "- end -> End with a code." in listed.stdout
    assert "* " not in listed.stdout.replace("marked with *", "")
    assert "invoke >" not in listed.stderr
    plain = nox(root)
    assert "No sessions selected" in plain.stdout and "Running session" not in plain.stderr


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 1, 2, 3, 130])
def test_a_tasks_exit_code_is_that_of_nox(root: Path, code: int):
    assert nox(root, "-s", "end", "--", str(code)).returncode == code


@pytest.mark.slow
def test_what_follows_the_dashes_is_the_tasks(root: Path):
    ran = nox(root, "-s", "envs-list", "deploy-wait", "envs-check", "--", "nope", "--json")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "inv envs.list: it does not take 'nope'" in ran.stderr and "envs-check" not in ran.stderr


@pytest.mark.slow
@pytest.mark.waits
def test_a_signal_reaches_the_task_which_cleans_up_and_gives_the_exit_code(root: Path):
    line, env = command("-s", "stay")
    started = subprocess.Popen(line, cwd=root, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with started as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=HANGS_S)
    assert (said, process.returncode) == ("cleaned up\n", 130)


@pytest.mark.slow
def test_without_tasks_there_is_nothing_to_run(root: Path):
    (root / "tasks.py").unlink()
    ran = nox(root, "-l")
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    assert "noxfile.py: there is no tasks.py beside it\n    write it, or let python -m deploytasks init" in ran.stderr


def test_two_tasks_of_one_session_are_refused(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "tasks", sys)  # what Invoke loads is gone afterwards
    (root / "tasks.py").write_text(TASKS + '\n@task(name="deploy-prod")\ndef d(c): pass\nns.add_task(d)\n')
    with pytest.raises(SystemExit) as ended:
        sessions_of.sessions({"__file__": str(root / "noxfile.py")})
    assert ended.value.code == 2
    assert "the tasks 'deploy-prod' and 'deploy.prod' would both be the session 'deploy-prod'" in caplog.text


@pytest.mark.slow
def test_without_nox_the_import_says_what_to_install(root: Path):
    code = "import sys; sys.modules['nox'] = None; import deploytasks.nox"
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.stderr.endswith("Nox is not installed\n    install it where this Python finds it: pip install nox\n")


def test_the_oldest_releases_are_the_lower_bounds():
    ran = subprocess.run([sys.executable, ".ci/oldest.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = [each.partition(",")[0].replace(">=", "==") for each in declared]
    assert ran.stdout.splitlines() == bounds and all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", each) for each in bounds)
