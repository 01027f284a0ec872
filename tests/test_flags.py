"""A flag is one row of one table."""

from pathlib import Path

import pytest
from msgspec.structs import fields

from deploytasks import flags, namespace
from deploytasks.commands import resume
from deploytasks.flags import ARGUMENTS, FLAGS, Argument, Flag
from deploytasks.model import Options, Shard

PROJECT = """
[project]
name = "shop"
[tiers.dev]
tag = "mutable"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "project.toml").write_text(PROJECT)
    return tmp_path


def flags_of(root: Path, task: str) -> dict[str, str]:
    return {argument.name: argument.help for argument in namespace(root)[task].get_arguments()}


def test_a_row_is_a_flag_of_its_tasks_with_its_help_and_of_no_others(monkeypatch: pytest.MonkeyPatch, root: Path):
    row = Flag("only-new", "only targets without a service", "deploy.TIER deploy.wait", default=False)
    monkeypatch.setattr(flags, "FLAGS", (*FLAGS, row))
    takers = sorted(task for task in namespace(root).task_names if "only_new" in flags_of(root, task))
    assert takers == ["deploy.dev", "deploy.wait"]
    assert flags_of(root, "deploy.dev")["only_new"] == "only targets without a service"


def test_a_row_is_a_positional_argument_of_its_tasks(monkeypatch: pytest.MonkeyPatch, root: Path):
    row = Argument("why", "the reason, in words", "deploy.wait")
    monkeypatch.setattr(flags, "ARGUMENTS", (*ARGUMENTS, row))
    positional = [each for each in namespace(root)["deploy.wait"].get_arguments() if each.positional]
    assert [(each.name, each.help) for each in positional][-1] == ("why", "the reason, in words")


def test_a_row_that_is_resumed_is_spelled_in_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flags, "FLAGS", (Flag("force", "anew", "deploy.TIER", default=False, resumed="same"),))
    assert resume.own_flags(Options(force=True, to="1"), again=True) == {"force": True}
    assert resume.own_flags(Options(force=True), again=False) == {}


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.resumed], ids=lambda flag: flag.name)
def test_what_is_resumed_is_an_option(flag: Flag):
    known = {field.name for field in fields(Options)} | {"lock_wait"}
    assert flag.parameter in known


def test_every_option_is_a_flag_of_some_task():
    known = {flag.parameter for flag in FLAGS} | {"lock_wait_s"}
    assert {field.name for field in fields(Options)} <= known


def test_an_option_that_no_command_repeats_is_chosen_anew_each_time():
    """A dry run changes nothing to resume, and a shard goes on by its tenants, outside of its run."""
    resumed = {flag.parameter for flag in FLAGS if flag.resumed} | {"lock_wait_s"}
    assert {field.name for field in fields(Options)} - resumed == {"dry_run", "shard"}
    assert resume.own_flags(Options(dry_run=True, shard=Shard(1, 2)), again=True) == resume.own_flags(
        Options(), again=True
    )


def test_no_task_has_two_flags_of_one_name():
    for task in {task for flag in FLAGS for task in flag.tasks.split()}:
        names = [flag.name for flag in flags.of_task(task)]
        assert len(names) == len(set(names)), task
