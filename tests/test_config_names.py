"""Tiers' and images' names for the list of tasks: whatever can be read, and never an error."""

import pytest

from deploytasks.config.load import load
from deploytasks.config.names import promotion_order, tier_names, tiers_and_images
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
    assert tiers_and_images(write(tmp_path, text))[1] == names


def test_a_file_that_cannot_be_read_has_no_names(tmp_path):
    assert tiers_and_images(tmp_path) == ((), ())
    (tmp_path / "envs" / "project.toml").mkdir(parents=True)
    assert tier_names(tmp_path) == ()


def test_a_file_that_is_not_utf8_has_no_names(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "project.toml").write_bytes(b"\xff")
    assert tier_names(root) == ()


def test_each_tier_comes_after_the_one_it_names_and_else_as_it_stands():
    assert promotion_order({"c": "b", "x": "a", "b": "a", "a": None}) == ("a", "x", "b", "c")
