"""A rollback that is killed at any moment, and the same command again, be it that AWS goes on by itself meanwhile."""

import copy
import json
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests import project
from tests.cloud.accounts import REGISTRY_ACCOUNT, Cloud
from tests.cloud.ecs_rollouts import settle
from tests.cloud.world import SERVICE, World, tenant_account, tenant_name
from tests.commands import WRITES
from tests.proxy import Cut, Moment, Rule
from tests.test_kill import AT_ONCE, STRIDE, Release
from tests.warm import Done, Warm, warmed

pytestmark = pytest.mark.waits
NEWEST = "c" * 40
HOLD = "/deploytasks/shop/prod/hold"


class History:
    """A tier that ran the releases A, B and C, then other config; every rollback begins from a copy of that cloud.

    `then` is a time between the last release and the other config.
    """

    def __init__(self, folder: Path, warm: Sequence[Warm]) -> None:
        self.root, self.warm = folder / "repo", SimpleQueue[Warm]()
        self.commits = project.write(self.root, tenants=2)
        tagged = {"dev": "newer", "staging": "newer", "prod": "older"}
        self.world = World(2, self.commits, tagged=tagged)
        for each in warm:
            self.warm.put(each)
        with Copy(self, None) as first:
            first.endpoint.cloud.rollout_s = 0
            _prepare(first, self.commits["newer"])
            self.then = datetime.now(UTC)
            first.pass_time(2)
            for number in (1, 2):
                file = self.root / f"envs/t{number}.toml"
                file.write_text(file.read_text().replace('env.LOG_LEVEL = "warning"', 'env.LOG_LEVEL = "error"'))
            _must(first.run(words=("deploy.prod", "--allow-dirty")))
            self.cloud = copy.deepcopy(first.endpoint.cloud)
            self.cloud.rollout_s = 0.8


def _prepare(first: Release, newer: str) -> None:
    repository = first.endpoint.cloud.account(REGISTRY_ACCOUNT).repositories[SERVICE]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}
    repository.tags[NEWEST] = repository.store(json.dumps(manifest)).digest
    for commit in (newer, NEWEST):
        _must(first.run(words=("release.prod", "--commit", commit, "--allow-older", "--override", "test")))


def _must(done: Done) -> None:
    assert done.code == 0, done.stderr


class Copy:
    """A command in a cloud of its own, with a process of the pool, which goes back there."""

    def __init__(self, history: History, cloud: Cloud | None) -> None:
        self._history, self._cloud = history, cloud

    def __enter__(self) -> Release:
        self._warm = self._history.warm.get()
        self._release = Release(self._history.root, self._history.world, self._warm).__enter__()
        if self._cloud:
            self._release.endpoint.cloud = copy.deepcopy(self._cloud)
        return self._release

    def __exit__(self, *_: object) -> None:
        self._release.__exit__()
        self._history.warm.put(self._warm)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("kill-rollback")
    with warmed(folder, AT_ONCE) as warm:
        yield History(folder, warm)


def end(release: Release, before: Cloud) -> dict[str, Any]:
    """All that a rollback is for, without what differs from run to run."""
    account, known = release.endpoint.cloud.account(REGISTRY_ACCOUNT), before.account(REGISTRY_ACCOUNT)
    tags, old = account.repositories[SERVICE].tags, known.repositories[SERVICE].tags
    hold = json.loads(account.parameters[HOLD]["Value"])
    return {
        "prod": tags["prod"],
        "minted": [digest for tag, digest in tags.items() if tag not in old],
        "services": [_service(release, number) for number in (1, 2)],
        "hold": {key: hold[key] for key in ("release", "at", "tenants", "reason", "unfinished")},
        "parameters": list(account.parameters),
    }


def _service(release: Release, number: int) -> dict[str, Any]:
    account = release.endpoint.cloud.account(tenant_account(number))
    service = account.clusters[f"{tenant_name(number)}-prod"].services[SERVICE]
    settle(account, service)
    (family,) = (each for name, each in account.families.items() if name.endswith("-prod-api"))
    return {
        "deployments": [(each.revision, each.state, each.running, each.digests) for each in service.deployments],
        "registered": len(family),
        "ever rolled out": len(service.history),
    }


def killed(history: History, words: Sequence[str], undisturbed: dict[str, Any], kill: tuple[int, Moment, bool]) -> str:
    """What is wrong after a kill at that call, and the same command again; empty where nothing is."""
    number, moment, finishes = kill
    with Copy(history, history.cloud) as release:
        first = release.run(Rule(Cut(moment, release.kill), skip=number - 1, times=1), words=words)
        at = release.proxy.seen[number - 1].call
        if finishes:
            release.pass_time(2 + release.endpoint.cloud.rollout_s)
        second = release.run(words=words)
        found = end(release, history.cloud)
        if (first.code, second.code, found) == (-signal.SIGKILL, 0, undisturbed):
            return ""
        return f"call {number}, {moment} {at.operation}: {first.code}, {second.code}, {found}\n{second}"


def at_call(number: int, calls: int) -> Moment:
    """Return when to kill: before a call is as after the one before it, and after the last one all was done."""
    return "after" if number < calls else "before"


def rollbacks(history: History) -> dict[str, tuple[str, ...]]:
    """The kinds of rollbacks, by name."""
    exact = history.then.isoformat()
    return {
        "the release before": (),
        "some tenants": ("--tenant", "t1"),
        "a commit": ("--to", history.commits["newer"]),
        "a time": ("--at", exact),
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["the release before", "some tenants", "a commit", "a time"])
def test_killed_at_any_call_the_same_rollback_again_comes_to_the_undisturbed_end(history: History, kind: str):
    words = ("release.rollback", "prod", *rollbacks(history)[kind])
    with Copy(history, history.cloud) as release:
        _must(release.run(words=words))
        undisturbed, calls = end(release, history.cloud), [each.call.operation for each in release.proxy.seen]
    everywhere = kind == "the release before"
    numbers = [at for at, operation in enumerate(calls, 1) if everywhere or operation in WRITES]
    begins = calls.index("UpdateService") + 1  # before that AWS has nothing to finish
    kills = [(number, at_call(number, len(calls)), False) for number in numbers[::STRIDE]]
    kills += [(number, moment, True) for number, moment, _ in kills if number >= begins]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(lambda kill: killed(history, words, undisturbed, kill), kills))
    assert [each for each in wrong if each] == [], undisturbed
