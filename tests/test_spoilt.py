"""AWS's answers spoilt on their way, one operation after the other, for every task: nothing escapes its target.

Each task of the namespace is tried, and of it each operation that it calls; so is one that was added yesterday. SCENES
are there for operations that no task calls in an ordinary shop.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from benchmarks.world import tenant_account
from deploytasks.aws import following
from tests.commands import REGISTRY, Ran, Shop
from tests.oneoffs import container, with_log, writes
from tests.proxy import NONSENSE, Proxy, Rule, Spoil
from tests.test_dry_run import AFTER_DASHES, tasks_of, words_for
from tests.test_endpoint_rollouts import PAUSE

pytestmark = pytest.mark.waits
ONE, TWO = tenant_account(1), tenant_account(2)
EVERY_TASK = tasks_of(Path(__file__).parent.parent)
OF_OTHER_TIERS = {f"{room}.{tier}" for room in ("tag", "deploy", "release") for tier in ("dev", "staging")}
"""They are the same code as prod's."""
MORE = {"lock.release": ["--yes"], "release.matrix": ["--run", "7"]}
"""What a task needs besides where nobody answers its questions, and no CI engine runs it."""
KEEP_LOCK = {"lock.acquire", "release.matrix"}

Prepare = Callable[[Shop], object]


def nothing(_shop: Shop) -> None:
    """Nothing is to be prepared."""


@dataclass(frozen=True)
class Scene:
    """A task, what is written into its project once, and what its AWS is like before each run."""

    task: str
    project: Prepare = nothing
    aws: Prepare = nothing


def untagged(shop: Shop) -> None:
    del shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags["prod"]


def locked(shop: Shop) -> None:
    assert shop.inv("lock.acquire", "prod").code == 0


def logged(shop: Shop) -> None:
    with_log(shop, 1, 2)
    for number in (1, 2):
        writes(shop, "hello", number=number)


def with_steps(shop: Shop) -> None:
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\nbefore_deploy = [["./manage", "migrate"]]')


def with_webhook(shop: Shop) -> None:
    shop.edit("envs/project.toml", "[services.api]", '[notify]\nwebhook = "secretsmanager:slack"\n[services.api]')


def with_service_template(shop: Shop) -> None:
    (shop.root / "templates/api.service.json.j2").write_text(
        '{"cluster": "{{ cluster }}", "serviceName": "{{ service }}", "desiredCount": 2}'
    )


def without_services(shop: Shop) -> None:
    for number in (1, 2):
        del shop.endpoint.cloud.account(tenant_account(number)).clusters[f"t{number}-prod"].services["api"]


def with_secret(shop: Shop) -> None:
    shop.endpoint.cloud.account(REGISTRY).secrets["slack"] = "http://127.0.0.1:9/"


def waiting_at_hooks(shop: Shop) -> None:
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
    shop.inv("deploy.prod", "--json")


def with_a_sidecar(shop: Shop) -> None:
    container(shop)["essential"] = False


SCENES = {
    **{name: Scene(name) for name in EVERY_TASK if name not in OF_OTHER_TIERS},
    "tag.prod": Scene("tag.prod", aws=untagged),
    "release.prod": Scene("release.prod", aws=untagged),
    "release.prod with steps and a webhook": Scene(
        "release.prod", lambda shop: (with_steps(shop), with_webhook(shop)), with_secret
    ),
    "deploy.prod of new services": Scene("deploy.prod", with_service_template, without_services),
    "deploy.run beside a sidecar": Scene("deploy.run", aws=with_a_sidecar),
    "deploy.logs": Scene("deploy.logs", aws=logged),
    "deploy.continue": Scene("deploy.continue", aws=waiting_at_hooks),
    "deploy.stop": Scene("deploy.stop", aws=waiting_at_hooks),
    "envs.bootstrap": Scene("envs.bootstrap", lambda shop: shop.add_service("worker")),
    "lock.release": Scene("lock.release", aws=locked),
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a retry, or for late lines."""
    for name in ("throttling_base_scale", "non_throttling_base_scale"):
        monkeypatch.setitem(ExponentialBackoff._DEFAULT_BACKOFF_CONFIG, name, 0)
    monkeypatch.setattr(following, "QUIET_S", 0.05)
    monkeypatch.setattr(following, "POLL_S", 0.02)


@dataclass
class Tried:
    """A scene that is played again and again, in a shop that is as new before each run."""

    shop: Shop
    proxy: Proxy
    scene: Scene
    words: list[str] = field(default_factory=list)
    kinds: Iterator[Spoil] = field(default_factory=lambda: cycle(NONSENSE.values()))

    def __post_init__(self) -> None:
        task, shop = self.scene.task, self.shop
        self.scene.project(shop)
        words = words_for(task, EVERY_TASK[task], shop.root.parent / "board.html", shop.commits["newer"])
        self.words = [*words, *MORE.get(task, []), *AFTER_DASHES.get(task, [])]

    def run(self, *rules: Rule) -> Ran:
        """The task, with these rules between it and AWS."""
        self.shop.endpoint.reset()
        self.proxy.rules = ()
        self.scene.aws(self.shop)
        self.proxy.seen.clear()
        self.proxy.rules = rules
        return self.shop.inv(*self.words)

    def called(self) -> list[str]:
        """What was called in the last run."""
        return list(dict.fromkeys(each.call.operation for each in self.proxy.seen))

    @property
    def locks(self) -> list[str]:
        return [name for name in self.shop.endpoint.cloud.account(REGISTRY).parameters if name.endswith("/lock")]


@pytest.fixture
def tried(request: pytest.FixtureRequest, shop: Shop, proxy: Proxy) -> Tried:
    return Tried(shop, proxy, SCENES[request.param])


@pytest.mark.parametrize("tried", SCENES, indirect=True)
def test_every_operation_may_be_answered_with_nonsense_once(tried: Tried):
    """AWS has done what it was asked, and each operation's first answer is spoilt: the end is the undisturbed one."""
    undisturbed = tried.run()
    calls = tried.called()
    ran = tried.run(*(Rule(next(tried.kinds), operation, times=1) for operation in calls))
    assert not [word for word in ("Traceback", "unforeseen", "KeyError") if word in ran.stdout + ran.stderr]
    assert (ran.code, outcomes(ran)) == (undisturbed.code, outcomes(undisturbed)), ran
    assert bool(tried.locks) is (tried.scene.task in KEEP_LOCK)


def outcomes(ran: Ran) -> set[str]:
    """Each target that is told with how it ended."""
    return set(re.findall(r"^(t[12]-prod/api  +[a-z]+(?: back)?)", ran.stdout, re.M))
