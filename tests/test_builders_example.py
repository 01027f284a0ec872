"""The example service does what its docstring says, and its Dockerfile suits both builders."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deploytasks.builders import dockerfile

API = Path(__file__).resolve().parents[1] / "examples" / "api"


@pytest.fixture
def service():
    given = {"PORT": "0", "HOST": "127.0.0.1", "TIER": "dev", "TENANT": "mb"}
    process = subprocess.Popen(
        [sys.executable, str(API / "app.py")], env={**os.environ, **given}, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


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
def test_it_ends_well_when_it_is_stopped(service, number):
    address(service)
    service.send_signal(number)
    assert service.wait(timeout=10) == 0


def test_its_dockerfile_needs_no_engine():
    assert dockerfile.parse((API / "Dockerfile").read_text(), "examples/api/Dockerfile")
