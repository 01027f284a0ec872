"""Whatever stands in envs/, it is a project or a list of complaints; and our walk agrees with msgspec's verdict."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from deploytasks.config.check import checked
from deploytasks.config.files import Fault, Source
from deploytasks.config.load import load
from deploytasks.config.schema import (
    JobSettings,
    JobTable,
    Layer,
    ProjectFile,
    ServiceSettings,
    ServiceTable,
    Tenant,
    TierTable,
)
from deploytasks.errors import Invalid
from deploytasks.model import Project

KINDS = (ServiceSettings, JobSettings, JobTable, Layer, Tenant, ServiceTable, TierTable, ProjectFile)
KEYS = sorted({key for kind in KINDS for key in kind.__struct_fields__})
NAMES = st.sampled_from([*KEYS, "dev", "prod", "api", "X", "a.b", "Bad Name", "cpus", ""])
TEXTS = st.sampled_from(
    ["", "dev", "prod", "mutable", "222222222222", "us-east-1", "{tenant}-{tier}", "{x}", "20m", "/db", "api", "a\nb"]
)
ROLES = st.sampled_from(["arn:aws:iam::222222222222:role/x", "arn:aws:iam::333333333333:role/x"])
VALUES = st.one_of(TEXTS, ROLES, st.integers(-1, 3), st.booleans(), st.just(0.5))
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(st.dictionaries(NAMES, inner, max_size=4), st.lists(inner, max_size=2)),
    max_leaves=12,
)
FILES = st.dictionaries(NAMES, TREES, max_size=5)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def written(root: str, **files: dict[str, Any]) -> Path:
    folder = Path(root) / "envs"
    folder.mkdir()
    for name, table in files.items():
        lines = [f"{json.dumps(key)} = {toml(value)}\n" for key, value in table.items()]
        (folder / f"{name}.toml").write_text("".join(lines))
    return Path(root)


RIGHT_PROJECT = {
    "project": {"name": "shop"},
    "registry": {"account": "000000000000", "region": "us-east-1"},
    "services": {"api": {}},
    "tiers": {"dev": {"tag": "mutable"}, "prod": {"tag": "immutable", "after": "dev"}},
}
RIGHT_TENANT = {
    "account": "222222222222",
    "region": "us-east-1",
    "cluster": "{tenant}-{tier}",
    "tiers": {"dev": {}, "prod": {}},
}


@settings(deadline=None)
@given(project=FILES, mb=FILES, is_nearly_right=st.booleans())
def test_any_files_are_a_project_or_complaints_that_name_a_file(project, mb, is_nearly_right):
    if is_nearly_right:
        project, mb = RIGHT_PROJECT | project, RIGHT_TENANT | mb
    with TemporaryDirectory() as root:
        written(root, project=project, mb=mb)
        try:
            assert isinstance(load(Path(root)), Project)
        except Invalid as refusal:
            assert refusal.complaints
            assert all(complaint.where.startswith("envs/") for complaint in refusal.complaints)


@settings(deadline=None)
@given(table=FILES, is_project=st.booleans(), is_nearly_right=st.booleans())
def test_the_walk_complains_exactly_where_msgspec_does(table, is_project, is_nearly_right):
    right, kind = (RIGHT_PROJECT, ProjectFile) if is_project else (RIGHT_TENANT, Tenant)
    table = right | table if is_nearly_right else table
    faults: list[Fault] = []
    found = checked(Source("envs/project.toml" if is_project else "envs/mb.toml", "x", table), faults)
    if faults:
        return
    assert found.data == table | {
        key: {} for key in ("tiers", "images", "services") if key not in table and key in found.data
    }
    if found.data == table:
        msgspec.convert(table, kind)


@settings(deadline=None)
@given(mb=FILES)
def test_what_msgspec_refuses_the_walk_refuses_too(mb):
    table = RIGHT_TENANT | mb
    try:
        msgspec.convert(table, Tenant)
    except msgspec.ValidationError:
        faults: list[Fault] = []
        checked(Source("envs/mb.toml", "mb", table), faults)
        assert faults
