"""The example of docs/own-task.md is run as it stands there, and its list of functions is complete."""

import re
from contextlib import chdir
from pathlib import Path

import pytest
from invoke.program import Program

from deploytasks import commands
from tests.commands import Shop

DOC = Path(__file__).resolve().parents[1] / "docs" / "own-task.md"

pytestmark = pytest.mark.waits


def test_the_documented_task_releases_and_tells(shop: Shop):
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    code = code.replace('Scope("dev", tenants=("main",))', 'Scope("staging", tenants=("t1",))')
    tasks = shop.root / "tasks.py"
    tasks.write_text(code)
    made: dict[str, object] = {"__file__": str(tasks)}
    exec(compile(code, str(tasks), "exec"), made)
    with chdir(shop.root):
        Program(namespace=made["ns"]).run(["inv", "nightly"])
    assert "1 of 1 targets are good" in shop.capture()[0]


def test_every_function_of_the_python_api_is_listed():
    table = DOC.read_text().partition("| functions |")[2].partition("\n\n")[0]
    assert [name for name in commands.__all__ if f"`{name}`" not in table] == []
