"""The Makefile, copied into another repository: it needs only an `inv`, and a pipeline can read its exit codes."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deploytasks import namespace
from deploytasks.errors import EXIT_CODES
from tests.template_stage import ROOT

INV = '#!/bin/sh\necho "{name} $*"\nexit ${{CODE:-0}}\n'


@dataclass
class Copied:
    """A repository that has nothing but a copied Makefile, on a machine that has nothing but what is put there."""

    root: Path
    bin: Path

    def program(self, path: str, name: str) -> None:
        """Put a program there that says its name and arguments, and ends with $CODE."""
        file = self.root / path if "/" in path else self.bin / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(INV.format(name=name))
        file.chmod(0o755)

    def sh(self, line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the line as a pipeline does, while a program ends with `code`."""
        environment = {"PATH": str(self.bin), "CODE": str(code)}
        command = [self.bin / "sh", "-ec", line]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Copied:
    made = Copied(tmp_path / "theirs", tmp_path / "bin")
    for folder in (made.root, made.bin):
        folder.mkdir()
    for name in ("sh", "awk", "make", "echo"):
        (made.bin / name).symlink_to(str(shutil.which(name)))
    shutil.copy(ROOT / "Makefile", made.root)
    return made


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("make status", "status"),
        ("make envs", "envs.check"),
        ("make build", "build"),
        ("make tag-dev", "tag.dev"),
        ("make deploy-eu-prod", "deploy.eu-prod"),
        (
            """make release-prod ARGS='--tenant mb --override "a reason"'""",
            "release.prod --tenant mb --override a reason",
        ),
        ("make rollback-prod", "release.rollback prod"),
    ],
)
def test_a_wrapper_needs_nothing_but_an_inv(copied: Copied, line: str, typed: str):
    copied.program("inv", "inv")
    ran = copied.sh(line)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"inv {typed}\n", "")


def test_every_wrapper_is_of_a_task_that_there_is():
    tasks = namespace(ROOT).task_names
    typed = re.findall(r"\$\(INV\) ([a-z.]+)(\$\*)?", (ROOT / "Makefile").read_text())
    assert {name + ("dev" if tier else "") for name, tier in typed} <= {*tasks, "build"}
    assert len(typed) == 7


def test_the_inv_of_venv_comes_first_then_that_on_path_then_uv_then_pipx(copied: Copied):
    made = "run --no-project --with-requirements requirements-deploy.txt inv"
    (copied.root / "requirements-deploy.txt").write_text("deploytasks\n")
    said = []
    for path in ("pipx", "uv", "inv", ".venv/bin/inv"):
        copied.program(path, path)
        said += [copied.sh("make -s inv").stdout, copied.sh("make status").stdout]
    assert said == [
        f"pipx run uv {made}\n",
        f"pipx run uv {made} status\n",
        f"uv {made}\n",
        f"uv {made} status\n",
        "inv\n",
        "inv status\n",
        ".venv/bin/inv\n",
        ".venv/bin/inv status\n",
    ]


def test_uv_is_told_where_packages_are_since_it_ignores_that_in_requirements(copied: Copied):
    copied.program("uv", "uv")
    lines = [
        "# --index-url no",
        "--index-url=https://t:${T}@a.example/?a=b&c",
        "  --pre",
        "-f ../wheels # ours",
        "deploytasks",
    ]
    (copied.root / "requirements-deploy.txt").write_text("\n".join(lines))
    ran = copied.sh("T=secret make status")
    told = "--index-url https://t:secret@a.example/?a=b&c -f ../wheels"
    made = f"uv run --no-project --with-requirements requirements-deploy.txt {told} inv"
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{made} status\n", "")
    assert copied.sh("export T=secret; $(make -s inv) status").stdout == ran.stdout


@pytest.mark.parametrize("line", ["make status", "make -s inv"])
def test_where_there_is_no_inv_it_says_how_to_get_one(copied: Copied, line: str):
    copied.program("uv", "uv")  # of no use without requirements-deploy.txt
    ran = copied.sh(line)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "there is no inv: not in .venv, not on PATH, and not by uv or pipx of requirements-deploy.txt" in ran.stderr
    assert "\n    there is no requirements-deploy.txt: python -m deploytasks init writes it\n" in ran.stderr
    (copied.bin / "uv").unlink()
    (copied.root / "requirements-deploy.txt").touch()
    by_pip = "python3 -m venv .venv && .venv/bin/pip install --requirement requirements-deploy.txt"
    assert f"\n    {by_pip}\n" in copied.sh(line).stderr


def test_a_wrapper_without_its_tier_runs_nothing(copied: Copied):
    copied.program("inv", "inv")
    ran = copied.sh("make deploy-")
    assert (ran.returncode, ran.stdout, "No rule to make target 'deploy-'" in ran.stderr) == (2, "", True)


@pytest.mark.parametrize("code", EXIT_CODES)
def test_a_pipeline_reads_the_tasks_own_exit_code(copied: Copied, code: int):
    copied.program("inv", "inv")
    assert copied.sh("$(make -s inv) status --check", code).returncode == code
    assert copied.sh("make status ARGS=--check", code).returncode == (2 if code else 0)


def test_it_is_said_how_the_exit_code_is_read():
    assert "$(make -s inv) status --check" in (ROOT / "Makefile").read_text()


def step_of_github() -> str:
    """Return the step that docs/ci.md shows."""
    (step,) = yaml.safe_load((ROOT / "docs/ci.md").read_text().partition("# GitHub Actions\n")[2].partition("```")[0])
    return f"GITHUB_OUTPUT=out\n{step['run']}"


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_the_step_that_the_docs_show_passes_on_a_second_look_alone(copied: Copied, code: int, ends: int):
    copied.program("inv", "inv")
    assert copied.sh(step_of_github(), code).returncode == ends
    assert (copied.root / "out").read_text() == f"code={code}\n"


def test_the_step_that_the_docs_show_fails_where_there_is_no_inv(copied: Copied):
    assert copied.sh(step_of_github()).returncode == 2


@pytest.mark.parametrize("target", ["release-dev", "status", "build"])
def test_a_file_of_a_targets_name_keeps_it_from_nothing(copied: Copied, target: str):
    copied.program("inv", "inv")
    (copied.root / target).touch()
    assert copied.sh(f"make {target}").stdout.startswith("inv ")


def test_help_lists_the_wrappers_and_here_the_developers_targets_too(copied: Copied):
    theirs = copied.sh("make").stdout
    shutil.copy(ROOT / "development.mk", copied.root)
    ours = copied.sh("make help").stdout
    assert ours.startswith(theirs) and "make release-<tier>" in theirs and "demo" not in theirs
    assert {f"make {name} " for name in ("setup", "demo", "quick", "test", "check", "bench")} <= set(
        re.findall(r"make [a-z]+ ", ours)
    )


def test_signals_reach_the_task_itself(copied: Copied):
    copied.program("inv", "inv")
    (copied.bin / "inv").write_text('#!/bin/sh\necho "$$ $PPID"\n')
    ran = copied.sh("make status ARGS='\"quoted\"' & make_is=$!; wait; echo $make_is")
    (task, parent), (make_is,) = (line.split() for line in ran.stdout.splitlines())
    assert parent == make_is != task
