"""The shape of the house: who may import whom, and what `inv --list` must never load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deploytasks

PACKAGE = Path(deploytasks.__file__).parent
MIDDLE = {
    "going_back",
    "shards",
    "gate",
    "project",
    "template",
    "plan",
    "board",
    "history",
    "ours",
    "running",
    "stock",
    "git",
    "dockerignore",
    "source",
    "builders",
    "aws",
    "fleet",
}
MAY_IMPORT = {
    "errors": set(),
    "ours": {"tags"},
    "tags": {"errors"},
    "model": {"tags", "errors"},
    "lengths": set(),
    "spelling": set(),
    "regions": {"spelling"},
    "project": {"lengths", "regions", "spelling", "model", "tags", "errors"},
    "template": {"ours", "regions", "model", "tags", "errors"},
    "running": {"ours", "model", "tags"},
    "stock": {"model"},
    "plan": {"running", "model", "tags"},
    "gate": {"running", "model", "tags", "errors"},
    "board": {"running", "stock", "model", "tags", "errors"},
    "going_back": {"model", "tags"},
    "shards": {"running", "model"},
    "history": {"running", "stock", "model", "tags", "errors"},
    "git": {"model", "tags", "errors"},
    "aws": {"lengths", "ours", "model", "tags", "errors"},
    "fleet": {"aws", "running", "ours", "model", "tags", "errors"},
    "dockerignore": {"errors"},
    "source": {"git", "dockerignore", "model", "tags", "errors"},
    "builders": {"dockerignore", "model", "tags", "errors"},
    "notify": {"errors"},
    "journey": MIDDLE | {"lengths", "spelling", "model", "tags", "errors"},
    "report": {"model", "tags"},
    "tasks": {"journey", "notify", "report", "project", "template", "lengths", "spelling", "model", "tags", "errors"},
    "__init__": {"tasks"},
}
"""Room → the rooms that it may import. `tasks` also loads and checks envs/ offline, which is no journey."""

ONLY_IN = {
    "botocore": "aws",
    "boto3": "aws",
    "docker": "builders",
    "dxf": "builders",
    "jinja2": "template",
    "rich": "report",
    "msgspec": "project",
    "subprocess": "git builders aws",
}
DERIVED = {("template", "botocore")}
"""The template room reads botocore's service model, and makes no client."""


def rooms() -> list[str]:
    return sorted(path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())


def imports_of(room: str) -> set[str]:
    """Every module that the room imports, anywhere in it, those for type checking included."""
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else (PACKAGE / room).rglob("*.py")
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_is_on_the_map():
    assert set(rooms()) == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_data_goes_one_way(room: str):
    ours = {name.split(".")[1] for name in imports_of(room) if name.startswith("deploytasks.")}
    assert ours & set(MAY_IMPORT) - {room} <= MAY_IMPORT[room]


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_lives_in_one_room(library: str):
    users = {room for room in rooms() if any(name.split(".")[0] == library for name in imports_of(room))}
    allowed = set(ONLY_IN[library].split()) | {room for room, derived in DERIVED if derived == library}
    assert users <= allowed


def test_only_tasks_write_to_stdout():
    printing = {
        file.relative_to(PACKAGE).parts[0]
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("stdout", "stderr")
        and ast.unparse(node).startswith("sys.")
    }
    assert printing <= {"tasks"}


HEAVY = {"boto3", "botocore", "docker", "pydantic", "msgspec", "rich", "jinja2", "dxf"}


def test_listing_tasks_loads_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from deploytasks import namespace; namespace(Path(sys.argv[1]));"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    root = str(PACKAGE.parent)
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == ""
