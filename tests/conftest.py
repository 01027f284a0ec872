"""The ground rules of every test: no network beyond loopback, no real credentials, no sleeping, no machine's habits.

Tests marked `docker` need a real Docker engine, those marked `emulator` need ministack only, those marked `browser`
need Chromium. Where that is missing they are skipped with the reason; with REQUIRE_DOCKER=1 they fail instead.

`make quick` leaves out what is `slow`: tests marked so, those that need one of these, and those that wait or run whole
commands, unless they are marked `quick`.
"""

import gc
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from examples.stand import emulator, engine
from tests import browser, shared
from tests.commands import looks_soon, shop  # noqa: F401  fixtures for all
from tests.faulty import patient, proxy  # noqa: F401  fixtures for whoever breaks calls
from tests.rollouts import clock, cloud  # noqa: F401  fixtures for whoever carries out rollouts
from tests.scenes import scenes  # noqa: F401  a fixture for whoever begins where others begin

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell ignores it for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and whoever is started inherits that
shared.share()
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how fast this machine is, and what else it does, proves nothing

_LOOPBACK = ("127.", "::1", "localhost")
_FOREIGN = ("AWS_", "CI", "GITHUB_", "GITLAB_", "BUILDKITE", "JENKINS_", "CIRCLE", "GIT_", "DEPLOYTASKS_")
_MAY_SLEEP = frozenset({*sys.stdlib_module_names, "benchmarks", "examples"}) - {"__main__"}
_real_sleep = time.sleep
COLLECTED = pytest.StashKey[list[pytest.Item]]()
"""All tests that were collected, those included that `-m` and `-k` leave out then."""


class SleepsInTest(AssertionError):
    """Something under test slept: it should take `sleep` as a parameter."""


class ReachesOut(AssertionError):
    """Something under test left this machine."""


_sleeping = {"allowed": False}


def _guarded_sleep(seconds: float) -> None:
    caller = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0]
    if not _sleeping["allowed"] and caller not in _MAY_SLEEP:
        raise SleepsInTest(f"{caller} slept {seconds} s; give it a `sleep` of your own, or patch time.sleep")
    _real_sleep(seconds)


time.sleep = _guarded_sleep  # before the product is imported: a default `sleep=time.sleep` is caught too


@pytest.fixture(autouse=True)
def _no_sleep(request: pytest.FixtureRequest) -> Iterator[None]:
    _sleeping["allowed"] = any(_needs(request.node, mark) for mark in ("emulator", "docker", "waits"))
    yield
    _sleeping["allowed"] = False


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _kept_home(getattr(socket.socket, name)))


def _kept_home(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(_LOOPBACK):
            raise ReachesOut(f"a test tried to reach {address}")
        return connect(self, address)

    return guarded


@pytest.fixture(autouse=True)
def _nobodys_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No credentials, CI variables or git settings of whoever runs the tests; a git identity of nobody."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    nowhere = tmp_path_factory.getbasetemp() / "no-such-file"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(nowhere),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere),
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path_factory.getbasetemp() / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "maintenance.auto",  # a second process a commit, for a repository of three
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_AUTHOR_NAME": "Nobody",
        "GIT_AUTHOR_EMAIL": "nobody@example.com",
        "GIT_COMMITTER_NAME": "Nobody",
        "GIT_COMMITTER_EMAIL": "nobody@example.com",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a test needs and this machine lacks is its skip mark, or its failure where it was demanded."""
    config.stash[COLLECTED] = list(items)
    for item in items:
        if _is_slow(item):
            item.add_marker("slow")
        missing = _missing(item)
        if missing and os.environ.get("REQUIRE_DOCKER") != "1":
            item.add_marker(pytest.mark.skip(reason=missing))
    slow = {item.path for item in items if _needs(item, "slow")}
    items.sort(key=lambda item: item.path not in slow)  # so that no process is left alone with a slow file at the end


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage seldom, and not in what was imported: it takes a twentieth of the tests' CPU time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With REQUIRE_DOCKER=1 nothing that is missing is passed over."""
    missing = _missing(item)
    if missing and os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {missing}", pytrace=False)


def _is_slow(item: pytest.Item) -> bool:
    if any(_needs(item, mark) for mark in ("emulator", "docker", "browser")):
        return True
    commands = "shop" in getattr(item, "fixturenames", ())
    return not _needs(item, "quick") and (commands or _needs(item, "waits") or _needs(item, "slow"))


def _missing(item: pytest.Item) -> str:
    if (_needs(item, "emulator") or _needs(item, "docker")) and not emulator.installed():
        return f"the emulator is not installed: {emulator.HOW_TO_INSTALL}"
    if _needs(item, "docker") and not _engine_answers():
        return "no Docker engine answers: start one, or set DOCKER_HOST"
    if _needs(item, "browser") and not browser.EXECUTABLE:
        return f"no Chromium is found: {browser.HOW_TO_INSTALL}"
    return ""


def _needs(item: pytest.Item, mark: str) -> bool:
    return item.get_closest_marker(mark) is not None


_answers: list[bool] = []


def _engine_answers() -> bool:
    if not _answers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # docker-py forgets the socket of a vain attempt
            _answers.append(engine.answering() is not None)
            gc.collect()
    return _answers[0]
