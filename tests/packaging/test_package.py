"""The wheel and the sdist hold all that is needed, and release: installed, as a copy, and in a new repository."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from deploytasks.adoption import wheels
from deploytasks.config.load import load
from examples.stand import accounts, base_image, stage
from examples.stand.world import World
from tests.template_stage import ROOT

pytestmark = [pytest.mark.package, pytest.mark.emulator]


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the repository that git has, or would have with `git add`, and that are there."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in said.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def built(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sdist, and of the wheel that is made of the sdist."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for path in tracked:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, source / path)
    package = source / "deploytasks"
    (package / "__pycache__").mkdir()
    for path in ("__pycache__/errors.cpython-311.pyc", "old.pyc"):
        (package / path).write_bytes(b"compiled")
    subprocess.run([sys.executable, "-m", "build", "--outdir", made, source], check=True)
    return made


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def test_the_wheel_holds_every_tracked_file_of_the_package_and_nothing_else(wheel: Path, tracked: list[str]):
    files = {path: (ROOT / path).read_bytes() for path in tracked if path.startswith("deploytasks/")}
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert {name: archive.read(name) for name in names} == files
    assert {f"deploytasks/{path}" for path in wheels.read(wheel).files} == {*files}


def test_the_wheel_has_its_licence_and_the_command_deploytasks(wheel: Path):
    with ZipFile(wheel) as archive:
        about = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert about["LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "License-Expression: MIT\n" in about["METADATA"]
    assert about["entry_points.txt"] == "[console_scripts]\ndeploytasks = deploytasks.__main__:run\n"


def test_the_sdist_holds_the_same_files_and_what_it_is_built_from(built: Path, tracked: list[str]):
    wanted = {path for path in tracked if path.startswith("deploytasks/")}
    wanted |= {"pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"}
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        files = {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}
    assert {path for path in files if ".egg-info/" not in path} == {*wanted, "PKG-INFO", "setup.cfg"}


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, whose programs are run in a repository on the stage."""

    folder: Path
    world: World

    def run(self, root: Path, *words: str) -> str:
        """What the program says on stdout; it must end with 0."""
        variables = self.world.environment | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(words, cwd=root, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def pip(self, *words: str) -> None:
        """Install or remove something."""
        command = [self.folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
        subprocess.run(command, check=True)

    def release(self, root: Path, message: str) -> dict[str, list[str]]:
        """Commit all, with another image, release it to dev, and return the targets by outcome."""
        with next(root.rglob("app.py")).open("a") as file:
            file.write(f"# {message}\n")
        for command in (["git", "add", "--all"], ["git", "commit", "--quiet", "--message", message]):
            self.run(root, *command)
        summary = json.loads(self.run(root, "inv", "release.dev", "--json").splitlines()[-1])
        outcomes: dict[str, list[str]] = {}
        for each in summary["results"]:
            outcomes.setdefault(each["outcome"], []).append(each["target"])
        return outcomes

    def runs(self, root: Path) -> dict[str, str]:
        """Which deploytasks runs there."""
        first: dict[str, str] = json.loads(self.run(root, "python", "-m", "deploytasks", "version", "--json"))[0]
        return first


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Iterator[Environment]:
    """An environment with the wheel and what it requires, and nothing else, on a stage."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    with stage.pretended(base_image.make_layer()) as world:
        made = Environment(tmp_path / "venv", world)
        made.pip("install", str(wheel))
        yield made


SERVICES = ["dev/web", "dev/worker", "mb-dev/web", "mb-dev/worker"]
JOBS = ["dev/nightly", "mb-dev/nightly"]
INIT = "python -m deploytasks init --yes"
NEW = f"--create-services --project new --registry-account {accounts.REGISTRY_ACCOUNT} --tenants main=333333333333"


def repository(environment: Environment) -> Path:
    """A repository that has an app and what `init` wrote, changed only where the stage is no AWS."""
    root = environment.folder.with_name("new")
    shutil.copytree(environment.world.root / "examples/app", root)
    environment.run(root, "git", "init", "--quiet")
    environment.run(root, *INIT.split(), *NEW.split())
    account = f'account = "{accounts.REGISTRY_ACCOUNT}"'
    image = f'platforms = ["linux/{base_image.ARCHITECTURE}"]'
    changes = {
        account: f'{account}\nhost = "{environment.world.emulator.registry}"',
        'context = "."': f'context = "."\n{image}',
        "[tiers.dev]": '[tiers.dev]\nsoak = "0s"',
    }
    new = World(environment.world.emulator, root)
    for old, text in changes.items():
        new.edit("envs/project.toml", old, text)
    if base_image.ARCHITECTURE == "arm64":
        new.edit("templates/app.json.j2", "X86_64", "ARM64")
    accounts.make(new.emulator, load(root))
    return root


def test_a_release_runs_with_the_wheel_with_a_copy_and_in_a_new_repository(environment: Environment):
    root = environment.world.root
    shutil.rmtree(root / "deploytasks")
    installed = environment.runs(root)
    assert (installed["how"], Path(installed["folder"]).is_relative_to(environment.folder)) == ("installed", True)
    first = environment.release(root, "Install it")
    assert sorted(first.pop("deployed")) == sorted([*SERVICES, *JOBS])
    assert first == {}

    new = repository(environment)
    assert environment.release(new, "Begin") == {"deployed": ["dev/app"]}

    environment.run(root, *INIT.split(), "--vendor")
    lines = environment.run(root, "deploytasks", "version").splitlines()
    assert [line.partition(" in ")[0].partition(": ")[2] for line in lines] == ["installed", "the copy"]
    environment.pip("uninstall", "--yes", "deploytasks")
    copy = environment.runs(root)
    assert (copy["how"], copy["folder"], copy["edited"]) == ("copy", str(root / "deploytasks"), [])
    # a job's definition names the image by the tier's tag, so it takes the next one without a change
    assert environment.release(root, "Vendor it") == {"deployed": SERVICES, "unchanged": JOBS}
