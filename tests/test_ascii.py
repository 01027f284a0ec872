"""No task fails on a console that has only ASCII, whatever it says."""

import io
import sys
from contextlib import chdir, suppress
from pathlib import Path

import pytest
from invoke.program import Program

from deploytasks import namespace
from tests.commands import Shop
from tests.test_dry_run import AFTER_DASHES, SHOPS_TASKS, tasks_of, words_for

ROOT = Path(__file__).parent.parent


def on_ascii(shop: Shop, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """Return what the command wrote to both streams, neither of which has other characters to say it with."""
    written = io.BytesIO()
    for name, errors in (("stdout", "strict"), ("stderr", "backslashreplace")):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, "ascii", errors, write_through=True))
    with chdir(shop.root), suppress(SystemExit):
        Program(namespace=namespace(shop.root)).run(["inv", *words])
    return written.getvalue().decode("ascii")


@pytest.mark.parametrize("github", ["", "true"])
@pytest.mark.parametrize("name", SHOPS_TASKS)
def test_every_task_speaks_to_an_ascii_console(shop: Shop, monkeypatch: pytest.MonkeyPatch, name: str, github: str):
    monkeypatch.setenv("GITHUB_ACTIONS", github)
    arguments = tasks_of(shop.root)[name]
    dry = ["--dry-run"] if any("dry-run" in each.names for each in arguments) else []
    words = words_for(name, arguments, shop.root.parent / "board.html", shop.commits["newer"])
    assert on_ascii(shop, monkeypatch, *words, *dry, *AFTER_DASHES.get(name, []))


@pytest.mark.parametrize("github", ["", "true"])
def test_complaints_are_told_on_an_ascii_console(shop: Shop, monkeypatch: pytest.MonkeyPatch, github: str):
    monkeypatch.setenv("GITHUB_ACTIONS", github)
    shop.edit("envs/project.toml", "[services.api]", '[services.api]\n"gr\\u00f6\\u00dfe\\u2026" = 1')
    assert "unknown key" in on_ascii(shop, monkeypatch, "envs.check")
