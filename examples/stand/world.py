"""The whole stage: the emulator's accounts, and a scratch git repository whose files name them.

The repository holds what somebody has who copied deploytasks into theirs: tasks.py, deploytasks/, envs/, templates/
and the example program. Only what must differ on one machine without a real AWS is changed: the registry, the base
image, the network of the containers, which is the host's, and therefore a port of its own for every environment.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from examples.stand import accounts
from examples.stand.base_image import ARCHITECTURE
from examples.stand.emulator import ROOT, Emulator

_PARTS = ("tasks.py", "deploytasks", ".deploytasks", "envs", "templates", "examples/app")
_MOST_ENVIRONMENTS = 50
_IGNORED = "__pycache__/\n"
_SOMEBODY_ELSES = ("AWS_", "CI", "GITHUB_", "GITLAB_", "BUILDKITE", "CIRCLE", "GIT_", "PYTHON")
_HOST_NETWORK = '\n[defaults.vars]\nnetwork_mode = "host"\nlaunch_type = "EC2"\n'
_IDENTITY = {"NAME": "Ada", "EMAIL": "ada@example.com"}


@dataclass(frozen=True, slots=True)
class World:
    """A stage that is set. `root` is the scratch repository."""

    emulator: Emulator
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to act here and nowhere else: the emulator as AWS, nobody's credentials or settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_SOMEBODY_ELSES)}
        nowhere = str(self.root / "no-such-file")
        return clean | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_ACCESS_KEY_ID": accounts.REGISTRY_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_DEFAULT_REGION": accounts.REGION,
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "localhost,127.0.0.1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()},
            **({"DOCKER_HOST": self.emulator.engine} if self.emulator.engine else {}),
        }

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command in the repository, with what it said."""
        return subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )

    def inv(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A task, run as a person would, with what it said."""
        return self.run("inv", *arguments)

    def edit(self, name: str, old: str, new: str) -> None:
        """A file of the repository has `new` where it had `old`, which must be there."""
        path = self.root / name
        text = path.read_text()
        if old not in text:
            raise LookupError(f"{name} does not contain {old!r}")
        path.write_text(text.replace(old, new))

    def commit(self, message: str) -> str:
        """Everything in the repository is committed; the commit is returned."""
        for command in (("git", "add", "--all"), ("git", "commit", "--quiet", "--message", message)):
            self.run(*command).check_returncode()
        return self.run("git", "rev-parse", "HEAD").stdout.strip()


def make(emulator: Emulator, root: Path, base: str) -> World:
    """The repository, committed once, and the accounts that its files name. `base` is the base image's name."""
    from deploytasks.config.load import load  # the emulator's readers need no project

    world = World(emulator, root)
    _copy(root)
    _settle(root, emulator, base)
    world.run("git", "init", "--quiet", "--initial-branch=main").check_returncode()
    world.commit("Sell things")
    accounts.make(emulator, load(root))
    return world


def _copy(root: Path) -> None:
    for part in _PARTS:
        source, target = ROOT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (root / ".gitignore").write_text(_IGNORED)


def _settle(root: Path, emulator: Emulator, base: str) -> None:
    """The files name this machine: its registry, its base image, its kind of processor, its network, its ports."""
    project = root / "envs/project.toml"
    service, definition = root / "templates/web.service.json.j2", root / "templates/web.json.j2"
    registry = f'[registry]\naccount = "{accounts.REGISTRY_ACCOUNT}"\nhost = "{emulator.registry}"'
    _replace(project, r"\[registry\]\naccount *= *\"\d+\"", registry)
    _replace(project, r"^(\[images\.[\w-]+\])$", rf'\1\nplatforms = ["linux/{ARCHITECTURE}"]')
    project.write_text(project.read_text() + _HOST_NETWORK)
    _replace(project, r"^(tag = .*)$", r'\1\nsoak = "0s"')
    _replace(service, r'"minimumHealthyPercent": \d+', '"minimumHealthyPercent": 0')  # two of them would want one port
    _replace(service, r'"maximumPercent": \d+', '"maximumPercent": 100')
    _replace(
        definition, r'^ *"portMappings": .*\n', ""
    )  # the emulator maps ports even in the host's network, and fails
    _replace(root / "templates/shared/task.j2", "X86_64", {"arm64": "ARM64"}.get(ARCHITECTURE, "X86_64"))
    _replace(root / "examples/app/Dockerfile", r"^ARG BASE=.*$", f"ARG BASE={base}")
    ports = iter(_free_ports(_MOST_ENVIRONMENTS))
    for tenant in sorted((root / "envs").glob("*.toml")):
        if tenant != project:
            _replace(tenant, r"^\[tiers\.[\w-]+\]$", lambda table: f"{table[0]}\nvars.port = {next(ports)}")


def _free_ports(count: int) -> list[int]:
    """That many different ports, none of them in use."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _replace(path: Path, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if not count:
        raise LookupError(f"{path.name} has nothing like {pattern!r}")
    path.write_text(text)
