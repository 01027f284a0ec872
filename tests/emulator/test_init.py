"""A repository that `init` made is released, with the copy of the package that it has, without a Docker engine."""

from contextlib import chdir

import pytest

from deploytasks.__main__ import main
from deploytasks.config.load import load
from examples.stand import accounts
from examples.stand.world import World
from tests.emulator import sight

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
TENANTS = "main=111111111111,mb=222222222222"
FLAGS = ["--yes", "--vendor", "--create-services", "--services", "web", "--tenants", TENANTS, "--registry-account"]


def test_what_init_wrote_is_released(emulator_without_engine, tmp_path, capsys):
    emulator_without_engine.reset()
    world = World(emulator_without_engine, tmp_path)
    world.run("git", "init", "--quiet", "--initial-branch=main").check_returncode()
    (tmp_path / "app.py").write_text("print('here')\n")
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY app.py /\nEXPOSE 8080\nCMD ["/app.py"]\n')
    with chdir(tmp_path):
        assert main(["init", *FLAGS, accounts.REGISTRY_ACCOUNT]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    world.edit("envs/project.toml", "[registry]", f'[registry]\nhost = "{world.emulator.registry}"')
    world.edit("envs/project.toml", 'tag = "mutable"', 'tag = "mutable"\nsoak = "0s"')
    world.commit("Release with deploytasks")
    accounts.make(world.emulator, load(tmp_path))
    done = world.run(*last.split())
    assert (last.strip(), done.returncode) == ("inv release.dev", 0), done.stdout + done.stderr
    deployed = [sight.service(world, target) for target in sight.targets(world, "dev").values()]
    assert [each["deployments"][0]["rolloutState"] for each in deployed] == ["COMPLETED", "COMPLETED"]
