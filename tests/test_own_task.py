"""The example of docs/own-task.md is run as it stands there, and its list of functions is complete."""

import re
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from invoke.program import Program

from deploytasks import commands
from tests.commands import Shop

DOC = Path(__file__).resolve().parents[1] / "docs" / "own-task.md"

pytestmark = pytest.mark.waits


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)


def test_the_documented_task_releases_and_tells(shop: Shop):
    code = examples()[0].replace('Scope("dev", tenants=("main",))', 'Scope("staging", tenants=("t1",))')
    tasks = shop.root / "tasks.py"
    tasks.write_text(code)
    made: dict[str, object] = {"__file__": str(tasks)}
    exec(compile(code, str(tasks), "exec"), made)
    with chdir(shop.root):
        Program(namespace=made["ns"]).run(["inv", "nightly"])
    assert "1 of 1 targets are good" in shop.capture()[0]


def test_the_documented_session_reaches_every_account_and_sees_what_is_asked(shop: Shop):
    made: dict[str, Any] = {"ROOT": shop.root}
    exec(examples()[1], made)
    assert {cell.target.environment.tenant for cell in made["board"].cells} == {"t1", "t2"}
    assert set(made["asked"]) == {f"{shop.endpoint.url}/"}


def test_every_function_of_the_python_api_is_listed():
    table = DOC.read_text().partition("| functions |")[2].partition("\n\n")[0]
    assert [name for name in commands.__all__ if f"`{name}`" not in table] == []
