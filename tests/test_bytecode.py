"""The bytecode of what `inv` imports is kept, unless its user said not to; that of the repository's own tasks never."""

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
