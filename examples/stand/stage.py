"""The stage set and struck: with real containers where an engine can run them, with pretended ones elsewhere."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.stand import accounts, base_image, emulator, engine, world
from examples.stand.emulator import Emulator
from examples.stand.engine import Engine
from examples.stand.world import World


@dataclass(frozen=True, slots=True)
class Stage:
    """A world, and the engine that runs its containers; None means that the emulator pretends, for the reason given."""

    world: World
    engine: Engine | None
    why_pretended: str = ""


@contextmanager
def setting() -> Iterator[Stage]:
    """A stage; afterwards nothing of it is left, neither processes nor containers, images or files."""
    layer = base_image.make_layer()
    found = engine.answering()
    problem = "no Docker engine answers"
    if found:
        with real(layer) as (made, problem):
            if not problem:
                yield Stage(made, found)
                return
        problem = f"the Docker engine at {found.address} cannot run this machine's images: {problem}"
    with pretended(layer) as made:
        yield Stage(made, None, problem)


@contextmanager
def emulator_with_engine(steady_s: float = emulator.STEADY_S) -> Iterator[Emulator]:
    """An emulator that runs containers; afterwards none of them nor of their images is left on the engine."""
    # The emulator ends first: it restarts its tasks.
    with ExitStack() as afterwards, emulator.running(steady_s=steady_s) as running:
        afterwards.callback(engine.clear, running.registry, running.label)
        yield running


@contextmanager
def real(layer: bytes) -> Iterator[tuple[World, str]]:
    """A world whose tasks are containers, and what is wrong with it: empty where the engine runs the base image."""
    with emulator_with_engine() as running, _folder() as folder:
        made = _world(running, folder, layer)
        yield made, engine.runs(f"{running.registry}/{base_image.REPOSITORY}:{base_image.TAG}", _NOTHING)


@contextmanager
def pretended(layer: bytes) -> Iterator[World]:
    """A world without any engine."""
    with emulator.running(engine=emulator.NO_ENGINE) as running, _folder() as folder:
        yield _world(running, folder, layer)


_NOTHING = ["python3", "-c", "pass"]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="deploytasks-stage-") as name:
        yield Path(name)


def _world(running: Emulator, folder: Path, layer: bytes) -> World:
    accounts.make_base_repository(running)
    base = base_image.push(running.registry, layer)
    return world.make(running, folder, base)
