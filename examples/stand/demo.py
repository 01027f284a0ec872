"""`make demo`: what somebody types to bring a commit through three tiers of two tenants, and what they see.

Every command is the real one, run on a scratch repository against an emulated AWS; each must end with the exit code
that is written beside it here, or the demo ends with 1.
"""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from examples.stand.emulator import EmulatorFailed
from examples.stand.stage import Stage, setting
from examples.stand.world import World

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is typed, the exit code it must have, and why it is shown."""

    command: str
    why: str
    code: int = 0


FIRST = (
    Step("inv --list", "what there is"),
    Step("inv envs.check", "two tenants, three tiers: all their files and templates, checked offline"),
    Step("inv release.dev", "build one image of this commit, tag it, deploy it to every dev: web, worker, nightly"),
    Step("inv release.staging", "promote: nothing is built, ECR re-tags what runs in dev"),
    Step("inv release.prod", "promote once more; prod pins digests"),
)
SECOND = (
    Step("inv release.dev", "a second commit goes to dev only"),
    Step("inv status", "which tenant runs what"),
    Step("inv deploy.prod --dry-run", "what a deploy of prod would do: it runs what its tag names"),
    Step("inv release.prod --commit HEAD", "staging does not run the second commit, so the gate refuses it", code=2),
)
NIGHTLY = Step("inv deploy.run dev --tenant mb --job nightly", "one tenant's job, run by hand before the night comes")
DYING = Step(
    "inv release.dev",
    "both services start, and die 8 seconds later: seen in the soak, restored, with their last log lines",
    code=1,
)
MISSPELT = Step("inv release.staging", "a wrong key in a tenant's file stops everything before it starts", code=2)


class Unexpected(Exception):
    """A command ended otherwise than it must."""


def main() -> int:
    """The exit code of the demo."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        with setting() as stage, _undisturbed_end():
            count = _perform(stage)
    except (Unexpected, EmulatorFailed) as error:
        _say(f"\ndemo: {error}")
        return 1
    except KeyboardInterrupt:
        _say("\ndemo: interrupted; everything that was started is gone")
        return _INTERRUPTED
    took_s = time.monotonic() - started
    _say(f"\ndemo: {count} commands, each ended as it must, in {took_s:.0f} s; nothing is left behind")
    return 0


def _perform(stage: Stage) -> int:
    """How many commands were run."""
    world = stage.world
    _say(_introduction(stage))
    for step in FIRST:
        _show(world, step)
    _look(stage)
    by_hand = _run_the_job(stage)
    _change(world)
    for step in SECOND:
        _show(world, step)
    _look(stage)
    dying = _let_it_die(stage)
    _misspell(world)
    _show(world, MISSPELT)
    return len(FIRST) + by_hand + len(SECOND) + dying + 1


def _introduction(stage: Stage) -> str:
    if stage.engine:
        tasks = f"real containers, run by the Docker engine {stage.engine.version} at {stage.engine.address}"
    else:
        tasks = f"pretended by the emulator ({stage.why_pretended.strip()})"
    return (
        f"AWS    emulated by ministack at {stage.world.emulator.endpoint}; nothing leaves this machine\n"
        f"tasks  {tasks}\n"
        f"files  a scratch git repository in {stage.world.root}"
    )


def _show(world: World, step: Step) -> None:
    _say(f"\n# {step.why}\n$ {step.command}")
    code = subprocess.run(step.command.split(), cwd=world.root, env=world.environment, check=False).returncode
    if step.code:
        _say(f"(exit code {code})")
    if code != step.code:
        raise Unexpected(f"`{step.command}` ended with exit code {code} instead of {step.code}")


def _run_the_job(stage: Stage) -> int:
    """How many commands were run."""
    if stage.engine is None:
        _say("\n# left out here: a job that is run by hand. Pretended tasks never end")
        return 0
    _show(stage.world, NIGHTLY)
    return 1


def _change(world: World) -> None:
    """A second commit, which changes what web says."""
    world.edit("examples/app/app.py", "return 200, about()", 'return 200, about() | {"news": "bulk orders"}')
    _say("\n# somebody gives web some news to tell\n$ git commit --all --message 'Offer bulk orders'")
    world.commit("Offer bulk orders")


def _let_it_die(stage: Stage) -> int:
    """A third commit, whose image starts and dies; how many commands were run."""
    if stage.engine is None:
        _say("\n# left out here: an image that starts and dies, and is restored. Pretended tasks never die")
        return 0
    _say("\n# somebody forgets the database\n$ git commit --all --message 'Forget the database'")
    break_it(stage.world)
    _show(stage.world, DYING)
    _look(stage)
    return 1


def break_it(world: World) -> None:
    """A commit whose services run for 8 seconds and die; dev soaks for 20 from now on, and nobody else does."""
    world.edit("examples/app/app.py", "from threading import Thread\n", "from threading import Thread, Timer\n")
    world.edit("examples/app/app.py", "    command()\n", f"{_DEATH}    command()\n")
    project = world.root / "envs/project.toml"
    project.write_text(project.read_text().replace('soak = "0s"', 'soak = "20s"', 1))
    world.commit("Forget the database")


_DEATH = """\
    def die() -> None:
        print("there is no database", file=sys.stderr, flush=True)
        os._exit(1)

    Timer(8, die).start()
"""


def _misspell(world: World) -> None:
    _say("\n# somebody mistypes `cpu`\n$ sed -i '1i cpus = 512' envs/mb.toml")
    path = world.root / "envs/mb.toml"
    path.write_text(f"cpus = 512\n{path.read_text()}")


def _look(stage: Stage) -> None:
    """What the containers of web themselves say, where there are any."""
    if stage.engine is None:
        return
    from deploytasks.config.load import load

    _say("\n# what the containers say")
    for target in [each for each in load(stage.world.root).targets if each.name == "web"]:
        address = f"http://127.0.0.1:{target.vars['port']}/"
        _say(f"{target!s:24} {address}  {_answer(address)}")


def _answer(address: str) -> str:
    """Return what the server answers; a container may run for a moment before its server listens."""
    for left in reversed(range(20)):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return str(answer.read().decode().strip())
        except urllib.error.URLError:
            if not left:
                raise
            time.sleep(0.5)
    return ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _ignore_interrupts()
    raise KeyboardInterrupt


def _ignore_interrupts() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Once the performance is over, or broken off, clearing up is not interrupted."""
    try:
        yield
    finally:
        _ignore_interrupts()


if __name__ == "__main__":
    sys.exit(main())
