"""Worlds for whole commands: `world` runs real containers, `pretended` needs no engine and runs none."""

from collections.abc import Iterator

import pytest

from examples.stand import accounts, base_image, stage
from examples.stand import world as worlds
from examples.stand.emulator import NO_ENGINE, Emulator, running
from examples.stand.world import World


@pytest.fixture(scope="session")
def base_layer() -> bytes:
    return base_image.make_layer()


@pytest.fixture(scope="session")
def emulator_with_engine() -> Iterator[Emulator]:
    with stage.emulator_with_engine() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def emulator_without_engine() -> Iterator[Emulator]:
    with running(engine=NO_ENGINE) as emulator:
        yield emulator


@pytest.fixture
def world(emulator_with_engine, base_layer, tmp_path) -> Iterator[World]:
    """Two tenants' empty accounts; what is rolled out in them is really run."""
    made = _fresh(emulator_with_engine, base_layer, tmp_path)
    _assert_rollouts_are_real(made)
    yield made
    emulator_with_engine.reset()


@pytest.fixture
def doubtful(base_layer, tmp_path) -> Iterator[World]:
    """The same, where a task must run for five seconds before its rollout is complete.

    A second is not enough for what crashes as it starts: on a busy machine it takes longer to get that far.
    """
    with stage.emulator_with_engine(steady_s=5.0) as emulator:
        made = _fresh(emulator, base_layer, tmp_path)
        _assert_rollouts_are_real(made)
        yield made


@pytest.fixture(scope="module")
def shared(emulator_with_engine, base_layer, tmp_path_factory) -> Iterator[World]:
    """The same for a whole file, and dev runs the repository's first commit as its first test begins."""
    made = _fresh(emulator_with_engine, base_layer, tmp_path_factory.mktemp("shared"))
    _assert_rollouts_are_real(made)
    done = made.inv("release.dev")
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    emulator_with_engine.reset()


@pytest.fixture
def pretended(emulator_without_engine, base_layer, tmp_path) -> World:
    """Two tenants' empty accounts; the emulator says of every task that it runs."""
    return _fresh(emulator_without_engine, base_layer, tmp_path)


@pytest.fixture(scope="module")
def released(base_layer, tmp_path_factory) -> Iterator[World]:
    """A pretended world whose three tiers run the repository's first commit; its tests leave AWS as it is."""
    with running(engine=NO_ENGINE) as emulator:
        made = _fresh(emulator, base_layer, tmp_path_factory.mktemp("released"))
        for tier in ("dev", "staging", "prod"):
            done = made.inv(f"release.{tier}")
            assert done.returncode == 0, done.stdout + done.stderr
        yield made


def _fresh(emulator: Emulator, layer: bytes, folder) -> World:
    emulator.reset()
    accounts.make_base_repository(emulator)
    return worlds.make(emulator, folder, base_image.push(emulator.registry, layer))


def _assert_rollouts_are_real(world: World) -> None:
    """Without an engine the emulator would say RUNNING of any task at once, whatever its image."""
    ecs = accounts.client(world.emulator, "ecs")
    ecs.create_cluster(clusterName="probe")
    container = {"name": "probe", "image": f"{world.emulator.registry}/{base_image.REPOSITORY}:{base_image.TAG}"}
    ecs.register_task_definition(family="probe", networkMode="host", containerDefinitions=[container])
    (task,) = ecs.run_task(cluster="probe", taskDefinition="probe")["tasks"]
    assert task["lastStatus"] == "PROVISIONING"
