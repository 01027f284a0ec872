"""No name in the code holds a word that has left the project's language. The names of tests are sentences, and free."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.template_stage import ROOT

LEFT = """
errand errands wish wishes journey journeys goal goals shelf shelves stock means ear ears voice voices face faces
teller tellers courier couriers outlet outlets channel channels claim claims patience late upkeep looking carrying
steering going_back put_back fell_ill ailment ailments
"""
"""The words, each as a whole word of a name: `late` is found in `too_late`, not in `template`."""
FOLDERS = ("deploytasks", "tests", "benchmarks", "examples")


def words_that_left(name: str) -> set[str]:
    """Return which of them are in a name of any case: `goalOf`, `GoalOf`, `GOAL_OF`, `goal-of`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    joined = f"_{'_'.join(words).lower()}_"
    return {word for word in LEFT.split() if f"_{word}_" in joined}


def names_in(code: str) -> Iterator[str]:
    """Yield every name that the code binds: modules, classes, functions, parameters, variables, attributes."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("test_"):
                yield name
            case ast.ClassDef(name=name) | ast.MatchAs(name=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_named_by_a_word_that_left(folder: str):
    files = (path for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    assert {str(path.relative_to(ROOT)) for path in files if words_that_left(path.name)} == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_in_the_code_holds_a_word_that_left(folder: str):
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / folder).rglob("*.py")
        for name in names_in(file.read_text())
        if words_that_left(name)
    }
    assert found == set()


@pytest.mark.parametrize("name", ["goal", "_goal_of", "GoalOf", "goalOf", "HTTPGoal", "too_late", "put_back"])
def test_a_word_is_found_in_a_name_of_any_case(name: str):
    assert words_that_left(name)


@pytest.mark.parametrize("name", ["template", "interface", "clear", "timeout", "looked", "put_all_back", "stocks2"])
def test_a_word_inside_another_is_not_meant(name: str):
    assert not words_that_left(name)


def test_every_kind_of_name_is_read():
    code = """
import a.b as alias_1
class Class_2:
    field_3: int = 0
async def function_4(only_5, /, parameter_6, *args_7, keyword_8=None, **kwargs_9):
    self.attribute_10 = variable_11 = 1
    for loop_12 in (lambda lambda_13: 0): pass
    with open("") as file_14: pass
    try: pass
    except OSError as error_15: pass
    match 1:
        case [one_16, *rest_17]: pass
    if (walrus_18 := 1): pass
def test_reads_as_a_sentence_19(fixture_20): pass
"""
    numbers = {int(name.rpartition("_")[2]) for name in names_in(code)}
    assert numbers == set(range(1, 21)) - {19}
