"""Commands killed at any call, and the same command again: AWS at its end first, a dead one's lock, one-off tasks."""

import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from benchmarks.cloud import REGISTRY_ACCOUNT
from benchmarks.cloud_oneoff import Script
from benchmarks.world import tenant_account
from tests.proxy import Cut, Moment, Rule
from tests.repositories import run
from tests.test_kill import AT_ONCE, STRIDE, Release, Releases
from tests.warm import Warm

pytestmark = pytest.mark.waits
RUN = ("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "true")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("kill-commands")
    with ExitStack() as stack:
        warm = [stack.enter_context(Warm(folder / f"warm-{number}")) for number in range(AT_ONCE)]
        yield Releases(folder / "repo", warm)


@pytest.fixture(scope="module")
def migrating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """The same, where the database is migrated before each deploy."""
    folder = tmp_path_factory.mktemp("kill-migrating")
    with Warm(folder / "warm") as warm:
        releases = Releases(folder / "repo", [warm])
        settings = folder / "repo/envs/project.toml"
        steps = 'context = "."\nbefore_deploy = [["./manage", "migrate"]]'
        settings.write_text(settings.read_text().replace('context = "."', steps))
        run(folder / "repo", "commit", "-qam", "Migrate")
        yield releases


def undisturbed(releases: Releases, words: Sequence[str]) -> tuple[int, object]:
    """How many calls the command makes, and how it leaves things."""
    with releases.one() as release:
        assert release.run(words=words).code == 0
        return len(release.proxy.seen), release.end()


def killed(releases: Releases, words: Sequence[str], end: object, at: tuple[int, Moment]) -> str:
    """What is wrong after a kill at that call, AWS's finishing by itself, and the same command again."""
    number, moment = at
    with releases.one() as release:
        first = release.run(Rule(Cut(moment, release.kill), skip=number - 1, times=1), words=words)
        time.sleep(1.0)  # longer than a rollout takes here
        second = release.run(words=words)
        codes = (0, 2) if words[0].startswith("lock.") else (0,)
        if first.code == -signal.SIGKILL and second.code in codes and release.end() == end:
            return ""
        return f"call {at}: {first.code}, {second.code}, {release.end()}\n{second}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("words", [("tag.prod",), ("deploy.prod",), ("lock.acquire", "prod")])
def test_killed_at_any_call_and_aws_done_the_same_command_comes_to_the_undisturbed_end(
    releases: Releases, words: Sequence[str]
):
    calls, end = undisturbed(releases, words)  # killed before a call is as after the one before it
    with ThreadPoolExecutor(AT_ONCE) as pool:
        moments: list[tuple[int, Moment]] = [(number, "after") for number in range(1, calls + 1, STRIDE)]
        wrong = list(pool.map(partial(killed, releases, words, end), moments))
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


@pytest.mark.timeout(300)
def test_killed_while_it_takes_over_a_dead_ones_lock_the_third_comes_to_the_undisturbed_end(releases: Releases):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(partial(taken_over, releases), range(1, 11)))
    assert [each for each in wrong if each] == []


def one_offs(release: Release, number: int = 1) -> int:
    return len(release.endpoint.cloud.account(tenant_account(number)).one_offs)


@pytest.mark.parametrize(
    ("operation", "moment", "lag_s"),
    [
        ("TagResource", "after", 5),
        ("RunTask", "before", 5),
        ("RunTask", "after", 0),
        ("RunTask", "after", 5),
        ("DescribeTasks", "after", 0),
    ],
)
def test_a_migration_of_a_release_that_was_killed_around_it_runs_once(
    migrating: Releases, operation: str, moment: Moment, lag_s: float
):
    with migrating.one() as release:
        release.endpoint.cloud.list_lag_s = lag_s
        release.endpoint.cloud.scripts = lambda _words: Script(lasts_s=1)
        kill = Rule(Cut(moment, release.kill), operation, tenant_account(1), times=1)
        assert release.run(kill).code == -signal.SIGKILL
        again = release.run()
        assert (again.code, one_offs(release, 1), one_offs(release, 2)) == (0, 1, 1), again
        assert release.locks == []


def test_a_command_by_hand_that_was_killed_runs_when_it_is_asked_for_again(releases: Releases):
    for number in range(1, undisturbed(releases, RUN)[0] + 1):
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
