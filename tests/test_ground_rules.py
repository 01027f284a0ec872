"""The rules that conftest.py lays down hold."""

import os
import socket
import subprocess
import time

import boto3
import pytest

from tests.conftest import ReachesOut, SleepsInTest


def test_no_test_reaches_beyond_loopback():
    with socket.socket() as probe, pytest.raises(ReachesOut):
        probe.connect(("192.0.2.1", 80))


def test_loopback_is_within_reach():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_no_test_sleeps():
    with pytest.raises(SleepsInTest):
        time.sleep(60)


def test_the_standard_library_may_wait_for_a_process():
    assert subprocess.run(["true"], timeout=10, check=False).returncode == 0


def test_only_fake_credentials_are_found():
    credentials = boto3.Session().get_credentials()
    assert credentials is not None
    assert credentials.access_key == "testing"


def test_no_ci_variable_is_seen():
    assert not [name for name in os.environ if name.startswith(("GITHUB_", "GITLAB_"))]
