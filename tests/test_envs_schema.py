"""`inv envs.schema`: the JSON Schemas by which editors complete and check the files of envs/."""

import shutil
import subprocess
import sys
import tomllib
from contextlib import chdir
from pathlib import Path

import pytest
from invoke.program import Program
from jsonschema import Draft202012Validator
from msgspec.structs import fields

from deploytasks import namespace
from deploytasks.commands.config_version import config_of
from deploytasks.config.json_schema import FILES, MEANINGS, Kind, json_schema, line, text
from deploytasks.config.schema import ProjectFile
from tests.template_stage import ROOT
from tests.test_config_docs import EXAMPLES

TAPLO = Path(sys.executable).with_name("taplo")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The sample project's files."""
    for folder in ("envs", "templates", ".deploytasks", "examples/app"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def ran(root: Path, *words: str) -> int:
    with chdir(root):
        try:
            Program(namespace=namespace(root)).run(["inv", *words])
        except SystemExit as exit:
            return int(exit.code or 0)
    return 0


def kind_of(file: str) -> Kind:
    return "project" if file == "envs/project.toml" else "tenant"


@pytest.mark.parametrize("kind", FILES)
def test_a_schema_is_one_by_the_metaschema(kind: Kind):
    Draft202012Validator.check_schema(json_schema(kind))


SAMPLES = {f"envs/{path.name}": path.read_text() for path in (ROOT / "envs").glob("*.toml")}


@pytest.mark.parametrize(
    ("file", "content"), [*SAMPLES.items(), *EXAMPLES.items()], ids=[*SAMPLES, *(f"doc's {file}" for file in EXAMPLES)]
)
def test_the_sample_files_and_the_docs_are_valid(file: str, content: str):
    Draft202012Validator(json_schema(kind_of(file))).validate(tomllib.loads(content))


def test_the_samples_refer_to_schemas_of_this_version():
    assert {file: content.partition("\n")[0] for file, content in SAMPLES.items()} == {
        file: line(kind_of(file)) for file in SAMPLES
    }
    assert ran(ROOT, "envs.schema", "--check") == 0, "inv envs.schema writes them"


def test_an_editor_finds_the_schema_by_the_first_line(root: Path):
    assert linted(root) == ""
    file = root / "envs/mb.toml"
    file.write_text(file.read_text().replace('account = "222222222222"', 'account = "2222"').replace("wave", "waves"))
    assert '"2222" does not match' in linted(root)
    assert "('waves' was unexpected)" in linted(root)


def linted(root: Path) -> str:
    """What taplo, which Even Better TOML is made of, complains about."""
    done = subprocess.run(
        [TAPLO, "lint", "--no-auto-config", *sorted((root / "envs").glob("*.toml"))],
        capture_output=True,
        text=True,
        check=False,
        env={"RUST_LOG": "error"},
    )
    return done.stderr


def test_every_key_says_what_it_is_for_and_nothing_else_does():
    keys = {struct: {field.name for field in fields(struct)} for struct in MEANINGS}
    inherited = {struct: {key for base in struct.__mro__ for key in MEANINGS.get(base, ())} for struct in MEANINGS}
    assert inherited == keys


def test_every_struct_of_the_grammar_has_meanings():
    named = {struct.__name__ for struct in MEANINGS} | {"Settings"}
    assert {*json_schema("project")["$defs"], *json_schema("tenant")["$defs"]} <= named


def test_a_key_is_described_by_what_it_is_for_and_what_it_takes():
    tables = json_schema("project")["$defs"]
    assert tables["TierTable"]["properties"]["timeout"]["description"] == (
        'Of one rollout.\n\nWanted: a duration, such as "20m", "90s" or "1h30m".'
    )
    assert tables[ProjectFile.__name__]["properties"]["images"]["description"].startswith("One table an image")


def test_missing_schemas_are_written_and_files_that_lack_the_line_are_named(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.rmtree(root / ".deploytasks")
    (root / "envs/mb.toml").write_text("# no line\n" + SAMPLES["envs/mb.toml"])
    assert ran(root, "envs.schema") == 0
    assert capsys.readouterr().out == (
        ".deploytasks/project.schema.json: written\n.deploytasks/tenant.schema.json: written\n"
        "envs/mb.toml: editors find its schema by this first line: #:schema ../.deploytasks/tenant.schema.json\n"
    )
    assert {kind: (root / file).read_text() for kind, file in FILES.items()} == {kind: text(kind) for kind in FILES}
    assert ran(root, "envs.schema", "--check") == 0
    assert capsys.readouterr().out.startswith("both schemas are this version's\n")


def test_an_outdated_schema_is_a_difference_and_a_note_of_the_check(root: Path, capsys: pytest.CaptureFixture[str]):
    file = root / FILES["tenant"]
    file.write_text("{}")
    assert ran(root, "envs.schema", "--check") == 3
    assert capsys.readouterr().err == (
        ".deploytasks/tenant.schema.json: missing, or not this version's\n    inv envs.schema writes it\n"
    )
    assert file.read_text() == "{}"
    assert ran(root, "envs.check") == 0
    assert ".deploytasks/tenant.schema.json: not this version's; inv envs.schema writes it" in capsys.readouterr().out


def test_a_schema_that_is_referred_to_and_missing_is_called_so(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / FILES["tenant"]).unlink()
    assert ran(root, "envs.check") == 0
    assert ".deploytasks/tenant.schema.json: missing; inv envs.schema writes it" in capsys.readouterr().out


def test_who_uses_no_schema_hears_of_none(root: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(root / ".deploytasks")
    for file, content in SAMPLES.items():
        (root / file).write_text(content.partition("\n")[2])
    assert ran(root, "envs.check") == 0
    assert "schema" not in capsys.readouterr().out


def test_line_endings_make_no_schema_outdated(root: Path):
    for file in (*FILES.values(), *SAMPLES):
        (root / file).write_bytes((root / file).read_bytes().replace(b"\n", b"\r\n"))
    assert ran(root, "envs.schema", "--check") == 0


def test_a_new_schema_is_no_new_config(root: Path):
    before = config_of(root).named(())
    (root / FILES["tenant"]).write_text("{}")
    assert config_of(root).named(()) == before


def test_a_folder_that_can_not_be_made_is_told(root: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(root / ".deploytasks")
    (root / ".deploytasks").write_text("a file")
    assert ran(root, "envs.schema") == 1
    place = root / FILES["project"]
    assert capsys.readouterr().err == (
        f"{place}: it could not be written: File exists\n    make {place} a file that you may write\n"
    )
