"""Merging, for all layers there could be."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from deploytasks.config.layers import Layer, Merged, merge
from deploytasks.config.lines import dotted, line_of, parts

NAMES = st.sampled_from(["a", "b", "c.d", "E F"])
SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
TREES = st.recursive(SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
VARIABLES = st.dictionaries(NAMES, st.one_of(st.just(False), st.text(max_size=3)), max_size=3)
SETTINGS = st.fixed_dictionaries(
    {}, optional={"cpu": st.integers(1, 9), "env": VARIABLES, "vars": st.dictionaries(NAMES, TREES, max_size=3)}
)
LAYERS = st.lists(SETTINGS, max_size=4)


def merged(*tables: dict) -> Merged:
    return merge([Layer(f"{number}.toml", "at", table) for number, table in enumerate(tables)], "api")


def leaves(table: dict, *path: str) -> dict[tuple[str, ...], object]:
    """Every value that is not a table, by its path."""
    found: dict[tuple[str, ...], object] = {}
    for key, value in table.items():
        found |= leaves(value, *path, key) if isinstance(value, dict) else {(*path, key): value}
    return found


def value_at(table: dict, path: tuple[str, ...]) -> object:
    for key in path:
        table = table[key]
    return table


@given(SETTINGS)
def test_one_layer_is_itself_but_for_what_it_removes(table):
    kept = {path: value for path, value in leaves(table).items() if not (path[0] == "env" and value is False)}
    assert leaves(merged(table).values) == kept


@given(LAYERS)
def test_merging_layers_twice_over_changes_nothing(tables):
    assert merged(*tables, *tables).values == merged(*tables).values


@given(LAYERS, SETTINGS)
def test_every_value_of_the_last_layer_is_there(tables, last):
    values = merged(*tables, last).values
    for path, value in leaves(last).items():
        if path[0] == "env" and value is False:
            assert path[1] not in values["env"]
        else:
            assert value_at(values, path) == value


@given(LAYERS)
def test_an_empty_layer_changes_nothing(tables):
    assert merged(*tables, {}).values == merged({}, *tables).values == merged(*tables).values


@given(LAYERS)
def test_every_value_has_its_origin_and_the_origin_has_the_value(tables):
    found = merged(*tables)
    assert set(found.origins) == {dotted(*path) for path in leaves(found.values)}
    for name, origin in found.origins.items():
        path = parts(name)
        assert origin.key == f"at.{name}"
        source = tables[int(origin.file.removesuffix(".toml"))]
        assert value_at(source, path) == value_at(found.values, path)


@given(LAYERS, SETTINGS)
def test_a_services_own_settings_come_last_in_their_layer(tables, own):
    inside = merged(*tables, {"cpu": 5, "services": {"api": own, "other": {"cpu": 7}}})
    assert inside.values == merged(*tables, {"cpu": 5}, own).values


@given(LAYERS)
def test_merging_leaves_the_layers_as_they_were(tables):
    before = repr(tables)
    merged(*tables)
    assert repr(tables) == before


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_path_can_be_written_as_one_toml_key(path):
    path = [part.encode("utf-8", "ignore").decode() for part in path]
    assert list(parts(dotted(*path))) == path
    assert list(leaves(tomllib.loads(f"{dotted(*path)} = 1"))) == [tuple(path)]


@given(st.lists(st.tuples(NAMES, SCALARS), max_size=6, unique_by=lambda pair: pair[0]), st.integers(0, 3))
def test_each_key_is_found_at_the_line_it_was_written_at(pairs, blank_lines):
    lines = [*[""] * blank_lines, "[table]", *(f"{dotted(key)} = {_toml(value)} # {key} = 1" for key, value in pairs)]
    text = "\n".join(lines)
    for number, (key, _) in enumerate(pairs, blank_lines + 2):
        assert line_of(text, ("table", key)) == number


def _toml(value: object) -> str:
    """A value of the scalar's kind as TOML on one line; text with whatever might be taken for syntax."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{len(value)} [{{ = # \\" \'"' if isinstance(value, str) else repr(value)
