"""A builder is one row of one table, its module, and its line in docs/builds.md."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deploytasks.model.builders import BUILDERS, ENGINE, INSTALL, WANTED, Builder
from tests.envs_files import PROJECT

ROOT = Path(__file__).resolve().parents[1]
DOC = (ROOT / "docs" / "builds.md").read_text()

ROW = 'Builder("kiln", "deploytasks.builders.kiln", True, platforms=2, needs="a kiln", install="light it"),'
MODULE = """
from deploytasks.errors import Complaint

def missing():
    return None

def build_and_push(request, login, log):
    return f"fired {request.ref}"
"""
ASKED = """
import json, sys
from msgspec.structs import replace
from pathlib import Path
from deploytasks import builders
from deploytasks.builders import dockerfile
from deploytasks.config.json_schema import json_schema
from deploytasks.errors import Complaint, Refusal
from deploytasks.model import Build, Image
from deploytasks.model.builders import BUILDERS
from tests.envs_files import loaded, refusal
from tests.test_builders_table import documented, told, with_builder

def said(call, *arguments):
    try:
        return call(*arguments)
    except Refusal as error:
        return str(error)

root = Path(sys.argv[1])
kiln = Image("api", "api", builder="kiln", platforms=("linux/amd64", "linux/arm64"))
request = builders.BuildRequest(Build(kiln, "c" * 40, "c" * 40), root, "there/api:1")
print(json.dumps({
    "accepted": loaded(root, with_builder("kiln")).images[0].builder,
    "refused": refusal(root, with_builder("klin")),
    "editors": json_schema("project")["$defs"]["ImageTable"]["properties"]["builder"]["enum"],
    "chosen": builders.choose(Image("api", "api")).name,
    "cold": said(builders.choose, kiln, lambda row: Complaint(row.name, "is cold", "light it")),
    "too many": str(replace(kiln, platforms=("linux/amd64",) * 3).unbuildable),
    "built": builders.build_and_push(request, None, print),
    "RUN": said(dockerfile.parse, "FROM scratch\\nRUN x", "Dockerfile"),
    "undocumented": sorted(set(told(BUILDERS)) - set(documented())),
}))
"""


def with_builder(name: str) -> str:
    return PROJECT.replace("[images.api]", f'[images.api]\nbuilder = "{name}"')


def told(rows: Iterable[Builder]) -> list[tuple[str, str, str, bool]]:
    """What docs/builds.md has to tell of each builder."""
    return [(row.name, row.needs or "nothing", str(row.platforms), row.any_dockerfile) for row in rows]


def documented() -> list[tuple[str, str, str, bool]]:
    """What docs/builds.md tells of each builder."""
    table = re.findall(r'^\| `"(\w+)"` \| (.+?) \| (\d+) \| (.+?) \|$', DOC, re.MULTILINE)
    return [(name, needs, platforms, builds == "any Dockerfile") for name, needs, platforms, builds in table]


def test_docs_tell_of_every_builder_what_its_row_says_in_the_order_in_which_they_are_tried():
    assert documented() == told(BUILDERS)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the package with one more row and its module does."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "deploytasks", root / "deploytasks")
    table = root / "deploytasks" / "model" / "builders.py"
    before = "BUILDERS: Final = (\n"
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, f"{before}    {ROW}\n"))
    (root / "deploytasks" / "builders" / "kiln.py").write_text(MODULE)
    path = os.pathsep.join([str(root), str(ROOT)])
    ran = subprocess.run(
        [sys.executable, "-c", ASKED, str(root)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_a_row_is_accepted_by_the_configuration_and_named_where_another_word_is_refused(answers: dict[str, Any]):
    assert answers["accepted"] == "kiln"
    *others, last = (f'"{name}"' for name in ("auto", "kiln", *WANTED[1:]))
    wanted = f"wanted: {', '.join(others)} or {last}"
    assert answers["refused"].endswith(f'images.api.builder: can\'t be "klin"\n    {wanted}')
    assert answers["editors"] == sorted(("kiln", *WANTED))


def test_a_row_is_chosen_in_its_order_and_builds_as_many_platforms_as_it_says(answers: dict[str, Any]):
    assert answers["chosen"] == "kiln"
    assert answers["built"] == "fired there/api:1"
    assert answers["too many"].endswith("and 2 can be built\n    name fewer")


def test_a_row_is_named_in_the_messages_that_say_what_a_dockerfile_or_a_builder_needs(answers: dict[str, Any]):
    assert answers["RUN"] == (
        f"Dockerfile:2: RUN needs a kiln or {ENGINE}\n    light it or {INSTALL}, or remove the line"
    )
    without = 'or set builder = "append", which needs none, where the Dockerfile runs nothing'
    assert answers["cold"] == f"kiln: is cold\n    light it;\n    {without}"


def test_the_messages_name_a_docker_engine_and_how_to_get_one():
    assert ENGINE.split(" or ")[0] == "a Docker engine"
    assert INSTALL.startswith("install docker.io and start its engine")
    assert INSTALL.endswith(' (then builder = "auto" takes it)')


def test_a_row_that_docs_do_not_tell_of_is_found(answers: dict[str, Any]):
    assert answers["undocumented"] == [["kiln", "a kiln", "2", True]]
