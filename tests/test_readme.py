"""What README and docs say is true: the tenant file loads, tasks and links exist, the libraries are the package's."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from deploytasks import namespace
from deploytasks.config.load import load
from deploytasks.model import Mark
from deploytasks.template.check import check_all

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_new_customers_file_is_all_that_a_new_customer_needs(tmp_path: Path):
    for folder in ("envs", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (text,) = re.findall(r"```toml\n(# envs/acme.toml\n.*?)```", README, re.DOTALL)
    (tmp_path / "envs" / "acme.toml").write_text(text)
    project = load(tmp_path)
    acme = [target for target in project.targets if target.environment.tenant == "acme"]
    assert [str(target) for target in acme] == ["acme-prod/web", "acme-prod/worker", "acme-prod/nightly"]
    assert check_all(project) == ()


@pytest.mark.slow
def test_what_it_says_to_copy_is_enough_to_be_told_what_to_write_next(tmp_path: Path):
    shutil.copytree(ROOT / "deploytasks", tmp_path / "deploytasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tmp_path)
    steps = {
        "envs/project.toml": "[project] with name, [registry] with account and region",
        "envs/main.toml": "account, region, cluster, and a [tiers.NAME] table",
        "templates/web.json.j2": "the JSON of a RegisterTaskDefinition request",
        "templates/worker.json.j2": "there is no templates/worker.json.j2",
        "templates/nightly.json.j2": "there is no templates/nightly.json.j2",
        "templates/shared/task.j2": "there is no templates/shared/task.j2",
        "templates/shared/log.j2": "there is no templates/shared/log.j2",
        "examples/app/Dockerfile": "images.app.context: there is no directory examples/app",
    }
    for file, told in steps.items():
        ran = subprocess.run(
            [sys.executable, "-m", "invoke", "envs.check"], cwd=tmp_path, capture_output=True, text=True
        )
        assert (ran.returncode, told in ran.stderr) == (2, True), ran.stderr
        for doc in re.findall(r"docs/\w+\.md", ran.stderr):
            assert f"{doc} in deploytasks' own repository" in ran.stderr and (ROOT / doc).exists()
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / file, tmp_path / file)
    ran = subprocess.run([sys.executable, "-m", "invoke", "envs.check"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_every_task_that_it_lists_exists_and_none_is_left_out():
    table = README[README.index("| task | does |") : README.index("Flags:")]
    listed = {
        name.replace("<tier>", "dev").replace("<image>", "app")
        for name in re.findall(r"[a-z]+\.(?:<tier>|<image>|[a-z]+)", table)
    }
    short = set(re.findall(r"`([a-z]+)(?: ENV| TIER)?`", table))
    tasks = {name for name in namespace(ROOT).task_names if not name.endswith((".staging", ".prod"))}
    missing = {name for name in tasks if name not in listed and name.rpartition(".")[2] not in short}
    assert missing - {"build.all", "status"} == set()
    assert listed <= tasks


def test_the_pip_line_of_a_copy_made_by_hand_has_the_packages_own_dependencies():
    (line,) = re.findall(r"`pip install ('invoke.*?)`", (ROOT / "docs" / "copies.md").read_text())
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=,]", each)[0] for each in declared]
    assert re.findall(r"[a-z0-9-]{3,}", re.sub(r"'invoke>=3'", "invoke", line)) == names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?", document.read_text())
    assert [link for link, _ in links if not (document.parent / link).exists()] == []
    anchors = [(link, anchor) for link, anchor in links if anchor]
    assert [each for each in anchors if each[1] not in _anchors(document.parent / each[0])] == []


def _anchors(document: Path) -> set[str]:
    """Return the fragments by which GitHub leads to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_reached_from_the_readme():
    documents = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")}
    assert documents == set(re.findall(r"\((docs/[\w/-]+\.md)[)#]", README))


def test_the_table_of_marks_has_every_mark():
    table = (ROOT / "docs" / "status.md").read_text().partition("| mark |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(get_args(Mark))
