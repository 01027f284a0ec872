"""A release that is stopped at any moment, by SIGKILL or by a signal that it hears, and the same command again."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import pytest

from tests import project
from tests.cloud.accounts import REGISTRY_ACCOUNT, Account, Call
from tests.cloud.ecs_definitions import Revision, find_revision
from tests.cloud.ecs_rollouts import settle
from tests.cloud.ecs_services import Service
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import SERVICE, World, tenant_account, tenant_name
from tests.hanging import HANGS_S, until
from tests.proxy import Cut, Drip, Moment, Proxy, Rule, Stall, Watch
from tests.warm import Done, Warm, warmed

pytestmark = pytest.mark.waits
AT_ONCE = 4
"""So many releases at a time: most of one's time is waiting for its rollouts."""
STRIDE = 1 if os.environ.get("EVERY_CALL") else 3
"""Every third call is a moment to kill at, unless EVERY_CALL=1 asks for all, which takes minutes more."""
_READ_ONLY = {"taskDefinitionArn", "revision", "registeredAt"}
_NEW_RELEASE = re.compile(r"prod-2[0-9]{7}T[0-9]{6}Z")


@dataclass
class Release:
    """One `inv release.prod` in a world of its own, ready to be started, stopped, and started again."""

    root: Path
    world: World
    warm: Warm
    pid: "Future[int]" = field(default_factory=Future)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self.endpoint = self._stack.enter_context(Endpoint(self.world, latency_s=0, rollout_s=0.8))
        self.proxy = self._stack.enter_context(Proxy(self.endpoint))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, *rules: Rule, words: Sequence[str] = ("release.prod",)) -> Done:
        """The command, or another one, from its start to its end."""
        self.proxy.rules, self.pid = rules, Future()
        env = project.environment(self.proxy.url, self.root.parent)
        self.pid.set_result(self.warm.start(self.root, env, *words))
        return self.warm.wait()

    def send(self, number: signal.Signals, call: Call) -> None:
        """The running command gets the signal."""
        os.kill(self.pid.result(timeout=HANGS_S), number)

    def kill(self, call: Call) -> None:
        """The running command is dead."""
        self.send(signal.SIGKILL, call)

    def interrupt(self, call: Call) -> None:
        """The running command is asked to stop, as Ctrl-C does."""
        self.send(signal.SIGINT, call)

    def terminate(self, call: Call) -> None:
        """The running command is asked to stop, as CI engines do."""
        self.send(signal.SIGTERM, call)

    def pass_time(self, seconds: float) -> None:
        """At AWS so much more time has passed."""
        self.endpoint.cloud.clock = lambda: time.time() + seconds

    @property
    def locks(self) -> list[str]:
        """The locks that are held."""
        return list(self.endpoint.cloud.account(REGISTRY_ACCOUNT).parameters)

    def end(self) -> dict[str, Any]:
        """All that a release is for, without the numbers and times that differ from run to run."""
        tags = self.endpoint.cloud.account(REGISTRY_ACCOUNT).repositories[SERVICE].tags
        new = [tag for tag in tags if _NEW_RELEASE.fullmatch(tag) and tag not in ("prod-20260102T030405Z",)]
        services = {tenant_name(number): self._service(number) for number in range(1, self.world.tenants + 1)}
        said = json.dumps({"tags": tags, "services": services, "locks": self.locks}, sort_keys=True, default=str)
        return {"new releases": len(new), **json.loads(said.replace(new[0] if new else "-", "prod-NEW"))}

    def _service(self, number: int) -> dict[str, Any]:
        account = self.endpoint.cloud.account(tenant_account(number))
        service = account.clusters[f"{tenant_name(number)}-prod"].services[SERVICE]
        settle(account, service)
        revision = find_revision(account, service.deployments[0].revision)
        events = [json.loads(event)["message"] for event in service.events]
        return {
            "definition": {key: value for key, value in revision.members.items() if key not in _READ_ONLY},
            "record": {**revision.tags, "deploytasks:at": "deploytasks:at" in revision.tags},
            "registered": len(self._registered(account, service)),
            "deployments": [(each.state, each.running, each.digests) for each in service.deployments],
            "ever started": sum("has started" in event for event in events),
        }

    def _registered(self, account: Account, service: Service) -> list[Revision]:
        """All revisions, without one that had begun, of whose rollout nothing else had been done when it was killed."""
        (family,) = (each for name, each in account.families.items() if name.endswith("-prod-api"))
        ran = {each.deployment.revision for each in service.history} | {family[0].arn}
        return [one for one in family if "deploytasks:at" not in one.tags or one.arn in ran]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Releases"]:
    folder = tmp_path_factory.mktemp("kill")
    with warmed(folder, AT_ONCE) as warm:
        yield Releases(folder / "repo", warm)


class Releases:
    """Releases of two tenants, several at a time; `calls` is how many an undisturbed one makes, `end` its end."""

    def __init__(self, root: Path, warm: Sequence[Warm]) -> None:
        commits = project.write(root, tenants=2)
        tagged = {"dev": "newer", "staging": "newer", "prod": "older"}
        self.root, self._world = root, World(2, commits, tagged=tagged)
        self._warm: SimpleQueue[Warm] = SimpleQueue()
        for each in warm:
            self._warm.put(each)
        with self.one() as undisturbed:
            assert undisturbed.run().code == 0
            self.calls, self.end = len(undisturbed.proxy.seen), undisturbed.end()

    def one(self, root: Path | None = None) -> "Lent":
        """A release, once a process that forks is free for it; in another folder where one is given."""
        return Lent(self._warm, root or self.root, self._world)


class Lent:
    """A release with a process of the pool, which goes back there."""

    def __init__(self, pool: "SimpleQueue[Warm]", root: Path, world: World) -> None:
        self._pool, self._given = pool, (root, world)

    def __enter__(self) -> Release:
        self._warm = self._pool.get()
        self._release = Release(*self._given, self._warm)
        return self._release.__enter__()

    def __exit__(self, *_: object) -> None:
        self._release.__exit__()
        self._pool.put(self._warm)


def killed(releases: Releases, number: int, moment: Moment) -> str:
    """What is wrong after a kill at that call and the same command again; empty where nothing is."""
    with releases.one() as release:
        first = release.run(Rule(Cut(moment, release.kill), skip=number - 1, times=1))
        at = release.proxy.seen[number - 1].call
        second = release.run()
        if (first.code, second.code, release.end()) == (-signal.SIGKILL, 0, releases.end):
            return ""
        return f"call {number}, {moment} {at.operation}: {first.code}, {second.code}, {release.end()}\n{second}"


def test_killed_at_any_call_the_same_command_again_comes_to_the_undisturbed_end(releases: Releases):
    """Killed before a call is as after the one before it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(lambda number: killed(releases, number, "after"), range(1, releases.calls + 1, STRIDE)))
    assert [each for each in wrong if each] == []


def test_the_undisturbed_end_is_what_a_release_is_for(releases: Releases):
    assert (releases.end["new releases"], releases.end["locks"]) == (1, [])
    assert releases.end["tags"]["prod"] == releases.end["tags"]["prod-NEW"] == releases.end["tags"]["staging"]
    for service in releases.end["services"].values():
        assert [(state, running) for state, running, _ in service["deployments"]] == [("COMPLETED", 2)]
        assert service["definition"]["containerDefinitions"][0]["image"].endswith(releases.end["tags"]["prod"])
        assert service["ever started"] == 2


def test_killed_before_its_record_a_forced_deployment_is_neither_repeated_nor_left_without_one(releases: Releases):
    with releases.one() as release:
        deploy, older = ["deploy.dev"], release.world.commits["older"]
        release.run(words=deploy)
        release.run(words=["tag.dev", "--commit", older, "--allow-older"])
        release.endpoint.cloud.rollout_s = 5
        release.run(Rule(Cut("before", release.kill), "TagResource", tenant_account(1), times=1), words=deploy)
        assert release.run(words=deploy).code == 0
        service = release.endpoint.cloud.account(tenant_account(1)).clusters["t1-dev"].services[SERVICE]
        assert sum("has started" in event for event in service.events) == 3
        assert service.tags["deploytasks:commit"] == older


AT = {
    "BatchGetImage": "prod: interrupted\n    to go on: inv release.prod\n",
    "PutParameter": "prod: interrupted\n    to go on: inv release.prod\n",
    "DescribeTaskDefinition": "prod: interrupted\n    to go on: inv release.prod\n",
    "PutImage": "prod: interrupted: some tags may have moved, no target was touched\n    to go on: inv release.prod\n",
    "RegisterTaskDefinition": "interrupted: no tag was moved and no service touched\n    to go on: inv release.prod\n",
    "UpdateService": "-prod/api: interrupted: its rollout goes on at AWS, nobody follows it\n",
    "ListTasks": "prod: the tag prod stands, its targets may differ from it\n    to go on: inv deploy.prod\n",
    "DeleteParameter": "prod: interrupted\n    to go on: inv release.prod\n",
}
"""What is said on stderr of a signal that comes with the first call of the operation, whichever tenant makes it."""
SIGNALS = [
    *((operation, signal.SIGTERM) for operation in AT),
    ("PutImage", signal.SIGINT),
    ("ListTasks", signal.SIGINT),
]


def signalled(releases: Releases, at: tuple[str, signal.Signals]) -> str:
    """What is wrong after a signal at that operation and the same command again; empty where nothing is."""
    operation, sign = at
    with releases.one() as release:
        stopped = release.run(Rule(Watch(partial(release.send, sign)), operation, times=1))
        told = AT[operation] in stopped.stderr and "Traceback" not in stopped.stderr
        first = (stopped.code, release.locks, told)
        again = (release.run().code, release.end())
        if (first, again) == ((130, [], True), (0, releases.end)):
            return ""
        return f"{operation}, {sign.name}: {first}, {again}\n{stopped.stderr}"


def test_a_signal_ends_it_with_130_the_way_to_go_on_and_the_lock_free(releases: Releases):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(partial(signalled, releases), SIGNALS))
    assert [each for each in wrong if each] == []


def test_a_program_is_told_of_an_interruption_in_parts(releases: Releases):
    words = ("release.prod", "--json")
    with releases.one() as release:
        stopped = release.run(Rule(Watch(release.interrupt), "UpdateService", times=1), words=words)
        summary = json.loads(stopped.stdout.splitlines()[-1])
        assert (summary["exit"], summary["resume"]) == (130, "to go on: inv deploy.prod")
        assert {each["where"] for each in summary["complaints"]} == {"t1-prod/api", "t2-prod/api", "prod"}


@pytest.mark.parametrize("skip", [0, 1])
def test_a_signal_while_the_lock_is_being_released_still_frees_it(releases: Releases, skip: int):
    operation = ("DeleteParameter", "GetParameter")[skip]
    with releases.one() as release:
        stopped = release.run(Rule(Watch(release.interrupt), operation, skip=skip, times=1))
        assert (stopped.code, release.locks) == (130, [])


def test_signals_at_the_same_moment_are_one_and_its_cleaning_up_is_not_disturbed(releases: Releases):
    def twice(call: Call) -> None:
        release.interrupt(call)
        time.sleep(0.05)
        release.terminate(call)

    with releases.one() as release:
        stopped = release.run(Rule(Watch(twice), "UpdateService", times=1))
        assert (stopped.code, release.locks) == (130, [])
        assert stopped.stderr.endswith("to go on: inv deploy.prod\n")


@pytest.mark.parametrize(
    ("operation", "skip", "said"),
    [
        (
            "UpdateService",
            0,
            "-prod/api: interrupted before AWS answered, so whether it was done is not known\n",
        ),
        ("DescribeServices", 0, "prod: interrupted\n    to go on: inv release.prod\n"),
        (
            "DescribeServices",
            4,
            "prod: the tag prod stands, its targets may differ from it\n    to go on: inv deploy.prod\n",
        ),
        ("DescribeServices", 6, "-prod/api: interrupted: its rollout goes on at AWS, nobody follows it\n"),
        ("RegisterTaskDefinition", 0, "prod: interrupted: no tag was moved and no service touched\n"),
    ],
)
@pytest.mark.parametrize("silent", [True, False], ids=["silent", "dripping"])
def test_a_signal_while_aws_is_silent_or_drips_frees_the_lock_in_seconds(
    releases: Releases, operation: str, skip: int, said: str, *, silent: bool
):
    at: list[float] = []

    def terminate(call: Call) -> None:
        at.append(time.monotonic())
        release.terminate(call)

    effect = Stall(first=terminate) if silent else Drip(0.2, terminate)
    slow = Stall() if silent else Drip(0.2)
    with releases.one() as release:
        stopped = release.run(Rule(effect, operation, skip=skip, times=1), Rule(slow, operation, skip=skip))
        took_s = time.monotonic() - at[0]
        assert (stopped.code, release.locks) == (130, [])
        assert said in stopped.stderr, stopped.stderr
        assert took_s < 30, took_s  # five on a machine that does nothing else; a silence lasts for ever


FIRST = "interrupted: answers of AWS that are under way have 3 s"


def test_a_second_signal_ends_it_at_once(releases: Releases):
    """Without it, the lock would be freed three seconds later."""

    def twice(call: Call) -> None:
        release.interrupt(call)
        until(lambda: FIRST in release.warm.stderr())
        time.sleep(0.6)  # what comes sooner is the same signal
        release.interrupt(call)

    with releases.one() as release:
        stopped = release.run(Rule(Stall(first=twice), "UpdateService", times=1), Rule(Stall(), "UpdateService"))
        assert stopped.code == 130
        assert stopped.stderr.endswith("goes on at AWS, inv lock.status shows a lock that is left\n")


@pytest.mark.parametrize("operation", ["AssumeRole", "DescribeServices", "BatchGetImage"])
def test_a_signal_before_any_change_waits_for_no_answer_of_a_silent_aws(releases: Releases, operation: str):
    with releases.one() as release:
        began = time.monotonic()
        stopped = release.run(Rule(Stall(first=release.interrupt), operation, times=1), Rule(Stall(), operation))
        assert (stopped.code, release.locks) == (130, [])
        assert time.monotonic() - began < 60
