"""What the demo and these tests stand on: it really runs, and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.stand import accounts, base_image, emulator, engine

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]

_ROOT = Path(__file__).resolve().parents[2]


def test_the_emulator_is_gone_afterwards():
    with emulator.running(engine=emulator.NO_ENGINE) as running:
        pid = running.process.pid
        assert _alive(pid)
    assert not _alive(pid)


def test_the_emulator_does_not_outlive_a_killed_parent():
    program = (
        "import time\nfrom examples.stand import emulator\n"
        "with emulator.running(engine=emulator.NO_ENGINE) as running:\n"
        "    print(running.process.pid, running.log.parent, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().split()
        parent.kill()
    assert _within(20, lambda: not _alive(int(pid)))
    assert not Path(home).exists()


@pytest.mark.docker
def test_the_base_image_runs_this_machines_python(emulator_with_engine, base_layer):
    emulator_with_engine.reset()
    accounts.make_base_repository(emulator_with_engine)
    image = base_image.push(emulator_with_engine.registry, base_layer)
    assert engine.runs(image, ["python3", "-c", "import http.server, json, socketserver, urllib.request"]) == ""
    assert "exit status 3" in engine.runs(image, ["python3", "-c", "raise SystemExit(3)"])


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(number):
    demo = [sys.executable, "-m", "examples.stand.demo"]
    with subprocess.Popen(demo, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = _read_until(process.stdout, "AWS ").partition("127.0.0.1:")[2].partition(";")[0]
        _read_until(process.stdout, "$ inv release.dev")
        assert _within(60, lambda: _left_on_engine(port))
        process.send_signal(number)
        process.stdout.read()
    assert process.returncode == 130
    assert not _left_on_engine(port)
    with pytest.raises(OSError, match="refused"):
        emulator.Emulator(int(port), process, Path()).reset()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True


def _within(seconds: float, condition) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read_until(lines, start: str) -> str:
    for line in lines:
        if line.startswith(start):
            return line
    raise AssertionError(f"no line began with {start!r}")


def _left_on_engine(port: str) -> list[str]:
    """Containers and images of the emulator on that port."""
    listed = [
        subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout.splitlines()
        for command in (
            ("ps", "--all", "--format", "{{.Image}}"),
            ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"),
        )
    ]
    return [name for names in listed for name in names if f"localhost:{port}/shop/app" in name]
