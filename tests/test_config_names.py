"""Tiers' and images' names for the list of tasks: whatever can be read, and never an error."""

import os

import pytest

from deploytasks.config.load import load
from deploytasks.config.names import project_names, promotion_order, tenant_names, tier_names, tiers_of
from tests.envs_files import PROJECT, write


def test_the_names_are_those_of_the_project_in_its_order(tmp_path):
    head, _, tiers = PROJECT.partition("[tiers.dev]")
    dev, _, prod = tiers.partition("[tiers.prod]")
    root = write(tmp_path, f"{head}[tiers.prod]{prod}[tiers.dev]{dev}")
    assert tier_names(root) == ("dev", "prod") == tuple(tier.name for tier in load(root).tiers)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("= broken", ()),
        ("tiers = 3", ()),
        ("[tiers]", ()),
        ("[[tiers]]", ()),
        (f"x = {'[' * 9000}", ()),
        ("[tiers.dev]\n[nonsense]\n", ("dev",)),
        ("[tiers.dev]\n[tiers.Bad]\n[tiers.a_b]\n", ("dev",)),
        ("[tiers.dev]\n[tiers.rollback]\n[tiers.list]\n", ("dev",)),
        ("tiers.dev = 1\n", ("dev",)),
        ('tiers.a.after = "b"\ntiers.b.after = "a"\n', ("a", "b")),
        ('tiers.a.after = "gone"\ntiers.b.after = 7\n', ("b", "a")),
    ],
)
def test_whatever_stands_in_the_file_the_readable_names_are_told(tmp_path, text, names):
    assert tier_names(write(tmp_path, text)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (PROJECT, ("api",)),
        ("[images.web]\n[images.app]\ncontext = 3\n", ("web", "app")),
        ("[images.all]\n[images.Bad]\n[images.a_b]\nimages.x = 1\n", ()),
        ("[images.app]\n[nonsense]\n[nonsense]\n[images.nginx]\n", ("app", "nginx")),
        ("[images.all]\n[images.app]\n= broken", ("app",)),
        ("images = 3", ()),
        ("[[images]]", ()),
        (f"x = {'[' * 9000}", ()),
    ],
)
def test_an_image_has_a_task_wherever_its_name_can_be_read(tmp_path, text, names):
    assert project_names(write(tmp_path, text))["images"] == names


def test_a_file_that_cannot_be_read_has_no_names(tmp_path):
    assert not any(project_names(tmp_path).values())
    (tmp_path / "envs" / "project.toml").mkdir(parents=True)
    assert tier_names(tmp_path) == ()


def test_a_file_that_is_not_utf8_has_no_names(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "project.toml").write_bytes(b"\xff")
    assert tier_names(root) == ()


def test_each_tier_comes_after_the_one_it_names_and_else_as_it_stands():
    assert promotion_order({"c": "b", "x": "a", "b": "a", "a": None}) == ("a", "x", "b", "c")


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    (tmp_path / "envs").mkdir()
    for name in ("project", "mb"):
        os.mkfifo(tmp_path / "envs" / f"{name}.toml")
    assert not any(project_names(tmp_path).values())
    assert (tenant_names(tmp_path), tiers_of(tmp_path, "mb")) == (("mb",), ())


def test_services_and_jobs_are_told_by_their_tables(tmp_path):
    names = project_names(write(tmp_path, "[services.web]\n[services.Bad]\n[jobs.nightly]\n"))
    assert (names["services"], names["jobs"]) == (("web",), ("nightly",))


def test_a_tenant_is_a_file_with_a_legal_name_and_main_is_first(tmp_path):
    write(tmp_path, PROJECT)
    for name in ("acme", "main", "$(touch x)", "two words", "line\nbreak", ".hidden", "Upper"):
        (tmp_path / "envs" / f"{name}.toml").write_text("[tiers.prod]\n[tiers.'a b']\n")
    assert tenant_names(tmp_path) == ("main", "acme", "mb")
    assert tiers_of(tmp_path, "acme") == ("prod",)
