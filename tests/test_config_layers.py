"""Later layers win, in the order of the contract, and every value knows where it came from."""

import pytest

from deploytasks.config.layers import Layer, merge
from deploytasks.model import Origin
from tests.envs_files import MB, PROJECT, loaded, only_target

LAYERS = [
    ("project", "defaults"),
    ("project", "defaults.services.api"),
    ("project", "tiers.prod.settings"),
    ("project", "tiers.prod.settings.services.api"),
    ("mb", ""),
    ("mb", "services.api"),
    ("mb", "tiers.prod"),
    ("mb", "tiers.prod.services.api"),
]
"""Every place a setting may stand at, the most general first."""


def files(layers: list[tuple[str, str]]) -> tuple[str, str]:
    """The project's and the tenant's text, in which each layer says its own `cpu`, `env.X` and `vars.x.y`."""
    found = {"project": PROJECT, "mb": MB}
    for number, (file, at) in enumerate(layers, 1):
        prefix = f"{at}." if at else ""
        lines = f'{prefix}cpu = {number}\n{prefix}env.X = "{number}"\n{prefix}vars.x.y = {number}\n'
        found[file] = lines + found[file]
    return _as_headers(found["project"]), _as_headers(found["mb"])


def _as_headers(text: str) -> str:
    """The same with no key of a tier dotted above the tier's own header, which TOML forbids."""
    top, tiers = [], {"[tiers.prod]": list[str]()}
    for line in text.splitlines():
        if line.startswith("tiers.prod."):
            tiers["[tiers.prod]"].append(line.removeprefix("tiers.prod."))
        else:
            top.append(line)
    return "\n".join([*top, *tiers["[tiers.prod]"]]) + "\n"


@pytest.mark.parametrize("size", range(1, len(LAYERS) + 1))
def test_the_last_layer_that_speaks_wins(tmp_path, size):
    project, mb = files(LAYERS[:size])
    target = only_target(tmp_path, project, mb)
    file, at = LAYERS[size - 1]
    assert (target.cpu, target.env, target.vars) == (size, {"X": str(size)}, {"x": {"y": size}})
    for key in ("cpu", "env.X", "vars.x.y"):
        assert target.origins[key] == Origin(f"envs/{file}.toml", f"{at}.{key}" if at else key)


@pytest.mark.parametrize("size", range(1, len(LAYERS) + 1))
def test_a_layer_holds_only_where_it_stands(tmp_path, size):
    """A tier's layers change no other tier."""
    project, mb = files(LAYERS[:size])
    general = [number for number, (_, at) in enumerate(LAYERS[:size], 1) if not at.startswith("tiers")]
    assert only_target(tmp_path, project, mb, tier="dev").cpu == max(general)


def test_a_services_layer_holds_for_that_service_only(tmp_path):
    project = PROJECT + "[services.worker]\n[defaults.services.worker]\ncpu = 8\n"
    assert [target.cpu for target in loaded(tmp_path, project).targets] == [None, 8, None, 8]


def merged(*tables: dict, service: str = "api"):
    return merge([Layer(f"{number}.toml", "", table) for number, table in enumerate(tables)], service)


def test_tables_merge_key_by_key_and_lists_replace():
    values = merged({"vars": {"a": {"x": 1, "y": [1, 2]}}}, {"vars": {"a": {"y": [3]}, "b": 2}}).values
    assert values == {"vars": {"a": {"x": 1, "y": [3]}, "b": 2}}


def test_false_removes_an_inherited_variable_and_its_origin():
    found = merged({"env": {"A": "1", "B": "2"}, "secrets": {"C": "c"}}, {"env": {"A": False}, "secrets": {"C": False}})
    assert found.values == {"env": {"B": "2"}, "secrets": {}}
    assert set(found.origins) == {"env.B"}


def test_a_removed_variable_may_come_back():
    assert merged({"env": {"A": "1"}}, {"env": {"A": False}}, {"env": {"A": "3"}}).values == {"env": {"A": "3"}}


def test_false_removes_nothing_that_is_not_there():
    assert merged({"env": {"A": False}}).values == {"env": {}}


def test_false_is_a_value_among_vars_and_settings():
    assert merged({"absent": True, "vars": {"a": 1}}, {"absent": False, "vars": {"a": False}}).values == {
        "absent": False,
        "vars": {"a": False},
    }


def test_a_scalar_replaces_a_table_with_all_its_origins_and_the_other_way_round():
    flat = merged({"vars": {"a": {"x": 1}, "ab": 1}}, {"vars": {"a": 2}})
    assert (flat.values, set(flat.origins)) == ({"vars": {"a": 2, "ab": 1}}, {"vars.a", "vars.ab"})
    deep = merged({"vars": {"a": 2}}, {"vars": {"a": {"x": 1}}})
    assert (deep.values, set(deep.origins)) == ({"vars": {"a": {"x": 1}}}, {"vars.a.x"})


def test_a_key_with_dots_is_quoted_in_its_origin():
    assert merged({"env": {"a.b": "1"}}).origins == {'env."a.b"': Origin("0.toml", 'env."a.b"')}


def test_merging_changes_no_layer():
    first, second = {"vars": {"a": {"x": 1}}}, {"vars": {"a": {"y": 2}}}
    merged(first, second)
    assert (first, second) == ({"vars": {"a": {"x": 1}}}, {"vars": {"a": {"y": 2}}})
