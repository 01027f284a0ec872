"""docs/map.md names files, and names in them, that there are."""

import re
from pathlib import Path

import pytest

from tests.test_architecture import MAY_IMPORT

ROOT = Path(__file__).resolve().parents[1]
MAP = (ROOT / "docs" / "map.md").read_text()
NAMED = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "map.md", ROOT / "README.md"]
NOT_YET = "<verb>"


def paths(text: str) -> set[str]:
    """Return the paths in backticks that begin with a folder of the repository."""
    quoted = re.findall(r"`([\w./<>*-]+)`", text)
    return {each for each in quoted if re.fullmatch(r"(deploytasks|tests|benchmarks|docs|examples)/.*", each)}


@pytest.mark.parametrize("document", NAMED, ids=lambda path: path.name)
def test_every_path_that_is_named_exists(document: Path):
    named = {path for path in paths(document.read_text()) if NOT_YET not in path}
    assert [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))] == []


def test_every_row_of_the_map_names_a_file_and_a_test():
    table = MAP.partition("| --- |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| **")]
    assert len(rows) >= 10
    assert [row[0] for row in rows if not paths(row[1]) or not paths(row[2])] == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Options", "deploytasks/model/asked.py"),
        ("options", "deploytasks/tasks/flags.py"),
        ("SELECTING", "deploytasks/commands/selection.py"),
        ("Mark", "deploytasks/model/marks.py"),
        ("_marks", "deploytasks/rules/board.py"),
        ("Outcome", "deploytasks/model/outcomes.py"),
        ("EXIT_CODES", "deploytasks/errors.py"),
        ("missing", "deploytasks/builders/append.py"),
        ("build_and_push", "deploytasks/builders/append.py"),
        ("BUILDERS", "deploytasks/model/builders.py"),
        ("OPERATIONS", "deploytasks/aws/operations.py"),
        ("SHOWN", "tests/every_task.py"),
        ("notifies", "deploytasks/model/commands.py"),
        ("KINDS", "deploytasks/report/notification.py"),
        ("ARGUMENTS", "deploytasks/flags.py"),
        ("SHELLS", "deploytasks/adoption/completion.py"),
        ("SEEN", "deploytasks/template/language.py"),
        ("seen", "deploytasks/template/language.py"),
        ("environment", "deploytasks/template/language.py"),
        ("gated", "deploytasks/commands/preflight.py"),
        ("_check", "deploytasks/commands/situation.py"),
        ("_DEFAULTS", "deploytasks/template/canonical.py"),
        ("UNORDERED", "deploytasks/template/canonical.py"),
        ("_RULES", "deploytasks/template/schedule.py"),
        ("_decide", "deploytasks/adoption/merge.py"),
        ("LEFT", "deploytasks/adoption/merge.py"),
        ("Stamp", "deploytasks/adoption/stamp.py"),
        ("carry_out", "deploytasks/tasks/carry_out.py"),
        ("begin", "deploytasks/commands/context.py"),
        ("QUESTIONS", "deploytasks/adoption/answers.py"),
    ],
)
def test_a_name_on_the_map_is_defined_where_the_map_says(name: str, file: str):
    assert f"`{name}`" in MAP and f"`{file}`" in MAP
    defined = re.search(rf"^\s*(?:def |class )?{name}\b\s*[(:=]", (ROOT / file).read_text(), re.MULTILINE)
    assert defined, f"{file} has no {name}"


def test_every_room_is_drawn():
    rooms = {room for room in MAY_IMPORT if room != "__init__"}
    assert {room for room in rooms if not re.search(rf"\b{room}\b", MAP.partition("## The rooms")[2])} == set()
