"""The example program does what its docstring says, and its Dockerfile suits both builders."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploytasks.builders import dockerfile

APP = Path(__file__).resolve().parents[1] / "examples" / "app"


@contextmanager
def running(command):
    given = {"PORT": "0", "HOST": "127.0.0.1", "TIER": "dev", "TENANT": "mb"}
    process = subprocess.Popen(
        [sys.executable, str(APP / "app.py"), command], env={**os.environ, **given}, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


@pytest.fixture
def service():
    with running("web") as process:
        yield process


def address(service) -> str:
    port = re.search(r"port ([0-9]+)", service.stderr.readline())
    return f"http://127.0.0.1:{port[1]}"


def fetched(url: str):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def test_it_says_what_it_is_and_that_it_is_well(service):
    at = address(service)
    assert fetched(at) == {"tier": "dev", "tenant": "mb"}
    assert fetched(f"{at}/health") == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetched(f"{at}/nowhere")
    assert caught.value.code == 404
    caught.value.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["web", "worker"])
def test_it_ends_well_when_it_is_stopped(command, number):
    with running(command) as service:
        assert service.stderr.readline().endswith(': {"tier": "dev", "tenant": "mb"}\n')
        service.send_signal(number)
        assert service.wait(timeout=10) == 0


def test_the_job_runs_once_and_ends_well():
    with running("nightly") as job:
        assert job.stderr.read() == 'counted the orders of the day: {"tier": "dev", "tenant": "mb"}\n'
        assert job.wait(timeout=10) == 0


def test_another_command_is_refused_with_those_that_there_are():
    with running("serve") as service:
        assert service.stderr.readline() == "usage: app.py web|worker|nightly\n"
        assert service.wait(timeout=10) == 1


def test_its_dockerfile_needs_no_engine():
    assert dockerfile.parse((APP / "Dockerfile").read_text(), "examples/app/Dockerfile")
