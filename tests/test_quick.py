"""`make quick` has tests of every room of the package, so that a contributor may run it first, and often."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import COLLECTED
from tests.test_architecture import MAY_IMPORT

WHOLE_COMMANDS = {"__init__", "tasks", "commands"}
"""The rooms that any whole command goes through."""


def test_every_room_has_quick_tests(request: pytest.FixtureRequest):
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    if not files <= {item.path.name for item in request.config.stash[COLLECTED]}:
        pytest.skip("not all tests were collected")
    quick = [item for item in request.config.stash[COLLECTED] if not item.get_closest_marker("slow")]
    commands = [WHOLE_COMMANDS for item in quick if "shop" in item.fixturenames]
    assert set(MAY_IMPORT) - set().union(*map(rooms_of, {item.path for item in quick}), *commands) == set()


def rooms_of(file: Path) -> set[str]:
    """The rooms that a file of tests imports."""
    return {name.split(".")[1] for name in imports(file) if name.startswith("deploytasks.")}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("mark", ["emulator", "docker", "browser", "waits"])
def test_what_needs_another_program_or_waits_is_slow(request: pytest.FixtureRequest, mark: str):
    marked = [item for item in request.config.stash[COLLECTED] if item.get_closest_marker(mark)]
    asked = [item for item in marked if mark != "waits" or not item.get_closest_marker("quick")]
    assert [item.nodeid for item in asked if not item.get_closest_marker("slow")] == []
