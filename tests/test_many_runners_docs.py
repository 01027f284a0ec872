"""docs/many-runners.md: its pipelines are YAML, and what they type are tasks and flags that there are."""

import re
from pathlib import Path

import yaml

from deploytasks import namespace

ROOT = Path(__file__).resolve().parents[1]
DOC = (ROOT / "docs" / "many-runners.md").read_text()
PIPELINES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)]
COMMANDS = re.findall(r"inv ((?:release|deploy|lock)\.[a-z]+(?: [^`\n|)#]*)?)", DOC)


def test_every_command_that_it_types_is_a_task_with_these_flags():
    tasks = namespace(ROOT)
    for command in COMMANDS:
        name, *words = command.split()
        flags = {name for argument in tasks[name].get_arguments() for name in argument.names}
        typed = {word.removeprefix("--") for word in words if word.startswith("--")}
        assert typed <= flags, command


def test_githubs_matrix_is_what_the_shards_are_made_from_and_only_its_own_lock_is_freed():
    (github,) = (each for each in PIPELINES if "jobs" in each)
    jobs = github["jobs"]
    assert jobs["shard"]["strategy"] == {
        "fail-fast": False,
        "matrix": "${{ fromJSON(needs.matrix.outputs.jobs) }}",
    }
    assert jobs["unlock"]["if"] == "always() && needs.matrix.result == 'success'"
    assert jobs["matrix"]["outputs"] == {"jobs": "${{ steps.matrix.outputs.jobs }}"}


def test_gitlabs_child_pipeline_is_the_file_that_the_matrix_wrote():
    (gitlab,) = (each for each in PIPELINES if "rollouts" in each)
    (script,) = gitlab["matrix"]["script"]
    assert script.endswith("> shards.yml") and "--format gitlab --include /.gitlab/shard.yml" in script
    assert gitlab["rollouts"]["trigger"]["include"] == [{"artifact": "shards.yml", "job": "matrix"}]


def test_no_pipeline_installs_a_repository_that_need_not_be_a_package():
    installing = re.findall(r"pip install .*", DOC)
    assert set(installing) == {"pip install --requirement requirements-deploy.txt"} and len(installing) == 4
