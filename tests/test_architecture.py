"""The shape of the house: who may import whom, and what `inv --list` must never load."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import deploytasks

PACKAGE = Path(deploytasks.__file__).parent
BASE = {"flags", "model", "tags", "concurrency", "durations", "spelling", "errors"}
"""What every room may use."""
MAY_IMPORT = {
    "errors": set(),
    "durations": set(),
    "cron": set(),
    "spelling": set(),
    "flags": set(),
    "tags": {"errors"},
    "concurrency": {"errors"},
    "model": {"tags", "errors"},
    "regions": {"spelling"},
    "service_models": set(),
    "dockerignore": {"errors"},
    "rules": BASE,
    "aws": BASE | {"regions", "rules", "service_models"},
    "git_url": set(),
    "git": BASE | {"git_url"},
    "notify": BASE,
    "config": BASE | {"regions", "cron"},
    "template": BASE | {"regions", "cron", "rules", "service_models"},
    "source": BASE | {"git", "dockerignore"},
    "builders": BASE | {"dockerignore"},
    "rollout": BASE | {"rules", "aws"},
    "commands": BASE
    | {"regions", "config", "template", "rollout", "builders", "source", "git", "git_url", "aws", "rules"},
    "report": {"model", "tags", "errors", "flags"},
    "completion": {"config", "flags", "tags"},
    "tasks": BASE | {"commands", "notify", "report", "config", "template", "completion"},
    "adoption": BASE | {"config", "git", "git_url", "completion", "regions"},
    "nox": {"errors"},
    "__main__": {"tasks", "adoption", "errors", "spelling"},
    "__init__": {"tasks"},
}
"""Room → the rooms that it may import. `tasks` also loads and checks envs/ offline, which is not a command."""

ONLY_IN = {
    "botocore": "aws",
    "boto3": "aws",
    "docker": "builders",
    "dxf": "builders",
    "jinja2": "template report adoption",
    "rich": "report",
    "subprocess": "git builders aws adoption nox",
    "nox": "nox",
}
DERIVED = {("template", "botocore"), ("service_models", "botocore")}
"""These read botocore's service models, and make no client."""


def rooms() -> list[str]:
    return sorted(path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())


@cache
def imports_of(room: str) -> set[str]:
    """Every module that the room imports, anywhere in it, those for type checking included."""
    return imported([PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else (PACKAGE / room).rglob("*.py"))


def imported(files: Iterable[Path]) -> set[str]:
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


OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields"}
"""Python documents these names. Source: "collections.namedtuple" in its library reference."""


def private_attributes(tree: ast.AST) -> set[str]:
    """The private attributes that are taken of anything but `self` and `cls`, or by a name in a text."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            found.add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "attrgetter"):
            found |= {str(each.value) for each in node.args if isinstance(each, ast.Constant)}
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).startswith(("vars(", "self.__dict__")):
            found.add(ast.unparse(node.slice).strip("'"))
    return {name for name in found if name.startswith("_") and not name.startswith("__")} - OF_NAMED_TUPLES


def test_no_private_attribute_of_a_library_is_used_where_aws_is_called():
    files = (PACKAGE / "aws").rglob("*.py")
    assert not {(file.name, name) for file in files for name in private_attributes(ast.parse(file.read_text()))}


@pytest.mark.parametrize(
    "line", ["client._endpoint", "vars(self)['_cache']", "getattr(client, '_endpoint')", "super()._run()", "a._b.c = 1"]
)
def test_a_private_attribute_is_found_however_it_is_taken(line: str):
    assert private_attributes(ast.parse(line))


HEAVY = {
    "boto3",
    "botocore",
    "docker",
    "pydantic",
    "msgspec",
    "rich",
    "jinja2",
    "dxf",
    "deploytasks.model",
    "deploytasks.report",
}


def test_listing_tasks_loads_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from deploytasks import namespace; namespace(Path(sys.argv[1]));"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    root = str(PACKAGE.parent)
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == ""


def test_the_commands_load_no_template_engine_before_they_sign_in():
    code = "import sys, deploytasks.commands; print('jinja2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert run.stdout.strip() == "False"


CLOUD = Path(__file__).parent / "cloud"


def test_the_simulated_aws_imports_in_no_circle():
    files = {f"tests.cloud.{path.stem}": path for path in CLOUD.glob("*.py")}
    order = TopologicalSorter({name: imported([path]) & set(files) for name, path in files.items()})
    assert list(order.static_order())[-1] == "tests.cloud.endpoint"


def test_the_simulated_aws_knows_nothing_of_the_product():
    used = {name.split(".")[0] for name in imported(CLOUD.glob("*.py"))}
    assert used - set(sys.stdlib_module_names) == {"tests", "msgspec"}


def test_no_test_needs_the_benchmarks_but_their_own():
    users = {
        path.name for path in CLOUD.parent.rglob("*.py") if any(n.startswith("benchmarks") for n in imported([path]))
    }
    assert users == {"test_benchmarks.py"}


def test_checking_envs_offline_loads_no_builder():
    code = (
        "import sys; from pathlib import Path; from deploytasks.commands import envs_check;"
        "from deploytasks.config.load import load; list(envs_check.complaints(load(Path(sys.argv[1]))));"
        "print(*({'deploytasks.builders', 'docker', 'dxf', 'requests'} & set(sys.modules)))"
    )
    root = str(PACKAGE.parent)
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == ""
