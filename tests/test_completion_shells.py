"""TAB in real shells: what stands on the line then, and that nothing is run or said."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.envs_files import MB, PROJECT, write
from tests.terminals import Terminal, environment, require, terminal

pytestmark = pytest.mark.slow

TASKS = "from pathlib import Path\nfrom deploytasks import namespace\nns = namespace(Path(__file__).parent)\n"
OWN = "from invoke import task\n@task\ndef sweep(c, broom='x'):\n    '''Sweep.'''\n"
HOSTILE = ("$(touch ran)", "`touch ran`", "two words", "line\nbreak", "mb;touch ran", "-mb")
LINES = {
    "inv rele": "inv release.",
    "inv release.pr": "inv release.prod ",
    "invoke release.pr": "invoke release.prod ",
    "inv deploy.prod --no-w": "inv deploy.prod --no-wait ",
    "inv deploy.prod --tenant ac": "inv deploy.prod --tenant acme{list}",
    "inv deploy.prod --tenant mb,ac": "inv deploy.prod --tenant mb,acme ",
    "inv deploy.prod --tenant=mb,ac": "inv deploy.prod --tenant=mb,acme ",
    "inv deploy.prod --tenant=ac": "inv deploy.prod --tenant=acme{list}",
    'inv deploy.prod --tenant "mb,ac': 'inv deploy.prod --tenant "mb,acme" ',
    "inv deploy.wait p": "inv deploy.wait prod ",
    "inv envs.show acme-": "inv envs.show acme-prod ",
    'inv deploy.prod --override "a b" --tenant=mb,ac': 'inv deploy.prod --override "a b" --tenant=mb,acme ',
    "inv status --html envs/proj": "inv status --html envs/project.toml ",
    "inv status --html=envs/proj": "inv status --html=envs/project.toml ",
    "inv --help=stat": "inv --help=status ",
    "inv nothing.of.the.k": "inv nothing.of.the.k",
}
"""What is typed → what stands there after TAB; `{list}` is a blank where the shell takes it back before a comma."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with names that a shell might run, and another one that has nothing to do with deploytasks."""
    folder = tmp_path_factory.mktemp("shells")
    for name in ("ours", "other", "home"):
        (folder / name).mkdir()
    write(folder / "ours", PROJECT, mb=MB, acme="[tiers.prod]\n", **dict.fromkeys(HOSTILE, "[tiers.prod]\n"))
    (folder / "ours" / "tasks.py").write_text(TASKS)
    (folder / "other" / "tasks.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module", params=["bash", "zsh"])
def typing(request: pytest.FixtureRequest, projects: Path) -> Iterator[Terminal]:
    require(request.param)
    with terminal(request.param, projects / "ours", projects / "home") as typing:
        typing.blank = " " if request.param == "zsh" else ""
        yield typing


@pytest.mark.parametrize("line", LINES)
def test_tab_completes(typing: Terminal, line: str):
    assert typing.after_tab(line) == LINES[line].format(list=typing.blank)


def test_what_is_offered_is_not_run_and_nothing_is_said(typing: Terminal, projects: Path):
    typing.said = ""
    typing.after_tab("inv deploy.prod --tenant ", "\t\t")
    assert "acme" in typing.said and "mb" in typing.said
    assert not [word for word in ("touch", "Traceback", "rror", "two words") if word in typing.said]
    assert not [*projects.rglob("ran")]


def test_in_another_repository_invoke_is_asked(typing: Terminal):
    typing.run("cd ../other")
    found = [typing.after_tab(line) for line in ("inv swe", "inv sweep --bro", "inv deploy.")]
    typing.run("cd ../ours/envs")
    assert found == ["inv sweep ", "inv sweep --broom ", "inv deploy."]
    assert typing.after_tab("inv deploy.wait p") == "inv deploy.wait prod "


def test_fish_offers_the_same(projects: Path):
    require("fish")
    lines = [line for line in LINES if '"' not in line and "html=" not in line]
    asked = "".join(f"echo '>'; complete -C '{line}'\n" for line in lines)
    script = f"python -m deploytasks completion fish | source\n{asked}cd ../other\necho '>'; complete -C 'inv swe'\n"
    ran = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=projects / "ours",
        env=environment(projects / "home"),
        capture_output=True,
        text=True,
    )
    offered = [block.strip().splitlines() for block in ran.stdout.split(">\n")[1:]]
    expected = [LINES[line].format(list="").split()[-1] for line in lines]
    assert ran.stderr == ""
    assert offered[0] == ["release.dev", "release.history", "release.matrix", "release.prod", "release.rollback"]
    assert offered[1:-2] == [[word] for word in expected[1:-1]]
    assert offered[-2:] == [[], ["sweep"]]
