"""Commands killed at any call, and the same command again: AWS at its end first, a dead one's lock, one-off tasks."""

import copy
import json
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest

from deploytasks.aws.repositories import PROJECT_TAG
from tests.cloud.accounts import REGISTRY_ACCOUNT
from tests.cloud.ecr import Repository
from tests.cloud.ecs_tasks import Script
from tests.cloud.world import SERVICE, tenant_account
from tests.proxy import Cut, Moment, Rule
from tests.repositories import run
from tests.test_kill import AT_ONCE, STRIDE, Release, Releases
from tests.warm import warmed

pytestmark = pytest.mark.waits
RUN = ("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "true")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("kill-commands")
    with warmed(folder, AT_ONCE) as warm:
        yield Releases(folder / "repo", warm)


@pytest.fixture
def migrating(releases: Releases, tmp_path: Path) -> Path:
    """The same repository, where the database is migrated before each deploy."""
    root = tmp_path / "migrating"
    copytree(releases.root, root)
    settings = root / "envs/project.toml"
    steps = '[services.api]\nbefore_deploy = [["./manage", "migrate"]]'
    settings.write_text(settings.read_text().replace("[services.api]", steps))
    run(root, "commit", "-qam", "Migrate")
    return root


def undisturbed(releases: Releases, words: Sequence[str]) -> tuple[list[str], object]:
    """Which calls the command makes, and how it leaves things."""
    with releases.one() as release:
        assert release.run(words=words).code == 0
        return [each.call.operation for each in release.proxy.seen], release.end()


def killed(releases: Releases, words: Sequence[str], end: object, number: int) -> str:
    """What is wrong after a kill at that call, AWS's finishing by itself, and the same command again."""
    with releases.one() as release:
        first = release.run(Rule(Cut("after", release.kill), skip=number - 1, times=1), words=words)
        release.pass_time(2 + release.endpoint.cloud.rollout_s)
        second = release.run(words=words)
        codes = (0, 2) if words[0].startswith("lock.") else (0,)
        if first.code == -signal.SIGKILL and second.code in codes and release.end() == end:
            return ""
        return f"call {number}: {first.code}, {second.code}, {release.end()}\n{second}"


@pytest.mark.parametrize("words", [("tag.prod",), ("release.prod",), ("lock.acquire", "prod")])
def test_killed_at_any_call_and_aws_done_the_same_command_comes_to_the_undisturbed_end(
    releases: Releases, words: Sequence[str]
):
    """A release from its first rollout on: before it AWS has nothing to finish, and `deploy` is its last part."""
    calls, end = undisturbed(releases, words)
    begins = calls.index("UpdateService") + 1 if "UpdateService" in calls else 1
    with ThreadPoolExecutor(AT_ONCE) as pool:  # killed before a call is as after the one before it
        wrong = list(pool.map(partial(killed, releases, words, end), range(begins, len(calls) + 1, STRIDE)))
    assert [each for each in wrong if each] == []


def taken_over(releases: Releases, number: int) -> str:
    """What is wrong where a release died, the next one died at its call of that number, and a third one came."""
    with releases.one() as release:
        release.run(Rule(Cut("after", release.kill), "UpdateService", times=1))
        second = release.run(Rule(Cut("after", release.kill), skip=number - 1, times=1))
        third = release.run()
        if (second.code, third.code, release.end()) == (-signal.SIGKILL, 0, releases.end):
            return ""
        return f"call {number}: {second.code}, {third.code}, {release.end()}\n{third}"


def test_killed_while_it_takes_over_a_dead_ones_lock_the_third_comes_to_the_undisturbed_end(releases: Releases):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(partial(taken_over, releases), range(1, 11)))
    assert [each for each in wrong if each] == []


def one_offs(release: Release, number: int = 1) -> int:
    return len(release.endpoint.cloud.account(tenant_account(number)).one_offs)


AROUND: list[tuple[str, Moment, float]] = [
    ("TagResource", "after", 5),
    ("RunTask", "before", 5),
    ("RunTask", "after", 0),
    ("RunTask", "after", 5),
    ("DescribeTasks", "after", 0),
]
"""When a release is killed around its migration, and how long ListTasks does not know of that."""


def migrated(releases: Releases, root: Path, around: tuple[str, Moment, float]) -> str:
    """What is wrong after a kill there and the same command again; empty where nothing is."""
    operation, moment, lag_s = around
    with releases.one(root) as release:
        release.endpoint.cloud.list_lag_s = lag_s
        release.endpoint.cloud.scripts = lambda _words: Script(lasts_s=1)
        first = release.run(Rule(Cut(moment, release.kill), operation, tenant_account(1), times=1))
        again = release.run()
        found = (first.code, again.code, one_offs(release, 1), one_offs(release, 2), release.locks)
        return "" if found == (-signal.SIGKILL, 0, 1, 1, []) else f"{around}: {found}\n{again}"


def test_a_migration_of_a_release_that_was_killed_around_it_runs_once(releases: Releases, migrating: Path):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(partial(migrated, releases, migrating), AROUND))
    assert [each for each in wrong if each] == []


def test_a_command_by_hand_that_was_killed_runs_when_it_is_asked_for_again(releases: Releases):
    for number in range(1, len(undisturbed(releases, RUN)[0]) + 1):
        with releases.one() as release:
            first = release.run(Rule(Cut("after", release.kill), skip=number - 1, times=1), words=RUN)
            before = one_offs(release)
            assert (first.code, release.run(words=RUN).code) == (-signal.SIGKILL, 0)
            assert one_offs(release) == before + 1


def test_who_frees_a_lock_and_is_killed_leaves_it_held_or_free(releases: Releases):
    for number in (1, 2, 3):
        with releases.one() as release:
            release.run(words=("lock.acquire", "prod"))
            release.proxy.seen.clear()
            free = ("lock.release", "prod", "--yes")
            release.run(Rule(Cut("after", release.kill), skip=number, times=1), words=free)
            assert release.run(words=free).code in (0, 2)
            assert release.endpoint.cloud.account(REGISTRY_ACCOUNT).parameters == {}


BOOTSTRAP = ("envs.bootstrap", "--yes")
STRANGERS = json.dumps({"Statement": [{"Sid": "other", "Effect": "Allow", "Principal": "*", "Action": "ecr:List*"}]})


class Bootstrap:
    """A registry with a repository that carries no project, one of another project, and one that is missing."""

    def __init__(self, releases: Releases, folder: Path) -> None:
        self._releases, self._root = releases, folder / "repo"
        copytree(releases.root, self._root)
        settings = self._root / "envs/project.toml"
        settings.write_text(
            settings.read_text().replace("[tiers.dev]", '[images.web]\ncontext = "."\n[services.web]\n[tiers.dev]')
        )

    @contextmanager
    def one(self) -> Iterator[Release]:
        with self._releases.one(self._root) as release:
            account = release.endpoint.cloud.account(REGISTRY_ACCOUNT)
            api = account.repositories[SERVICE]
            api.marks, api.policy = {"team": "a"}, STRANGERS
            account.repositories["bill/web"] = Repository("bill/web", account, marks={PROJECT_TAG: "bill"})
            yield release

    def end(self, release: Release) -> dict[str, object]:
        """The repositories, and whatever else the account has."""
        account = release.endpoint.cloud.account(REGISTRY_ACCOUNT)
        repositories = {each.name: replace(each, account=None, images={}) for each in account.repositories.values()}
        return copy.deepcopy({**repositories, "parameters": account.parameters})

    def killed(self, end: object, number: int) -> str:
        """What is wrong after a kill at that call and the same command again; empty where nothing is."""
        with self.one() as release:
            first = release.run(Rule(Cut("after", release.kill), skip=number - 1, times=1), words=BOOTSTRAP)
            second = release.run(words=BOOTSTRAP)
            if (first.code, second.code, self.end(release)) == (-signal.SIGKILL, 0, end):
                return ""
            return f"call {number}: {first.code}, {second.code}, {self.end(release)}\n{second}"


def test_killed_at_any_call_bootstrap_comes_to_the_undisturbed_end_and_touches_no_other_project(
    releases: Releases, tmp_path: Path
):
    bootstrap = Bootstrap(releases, tmp_path)
    with bootstrap.one() as release:
        before = bootstrap.end(release)
        assert release.run(words=BOOTSTRAP).code == 0
        calls, end = [each.call.operation for each in release.proxy.seen], bootstrap.end(release)
    assert {name for name in end if end[name] != before.get(name)} == {SERVICE, "shop/web"}
    begins = 0 if STRIDE == 1 else calls.index("TagResource") - 1  # before the first write any call is as the next one
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(partial(bootstrap.killed, end), range(begins + 1, len(calls) + 1)))
    assert [each for each in wrong if each] == []
