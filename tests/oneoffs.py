"""What tests of one-off tasks and logs need: a clock that passes only where somebody sleeps, and things set up."""

from collections.abc import Sequence

from deploytasks.aws.logs import TaskLog
from deploytasks.aws.run_task import Started, start
from deploytasks.commands.run import Prepared, prepare
from deploytasks.config.load import load
from deploytasks.model import Event, Logged, Target, Told
from tests import clients
from tests.cloud.ecs_tasks import OneOff, Script
from tests.cloud.logs import write_log
from tests.cloud.world import tenant_account
from tests.commands import Shop

ACCOUNT = tenant_account(1)
GROUP, PREFIX = "/ecs/shop-t1-prod-api", "api/api/"


class Clock:
    """Time that passes only where somebody sleeps; `at` happens as soon as its second has come."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = self.began = now
        self.at: dict[float, object] = {}

    def __call__(self) -> float:
        return self.now

    @property
    def passed_s(self) -> float:
        return self.now - self.began

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for second in sorted(second for second in self.at if second <= self.passed_s):
            self.at.pop(second)()  # type: ignore[operator]


def ecs_client(shop: Shop):
    """A client that does not try again, so that a fault of the endpoint is a fault of the call."""
    return clients.client("ecs", shop.endpoint.url, ACCOUNT)


def with_log(shop: Shop, *numbers: int) -> None:
    """The definitions that run in prod send their log to CloudWatch, as the templates would have it."""
    for number in numbers:
        options = {"awslogs-group": f"/ecs/shop-t{number}-prod-api", "awslogs-stream-prefix": "api"}
        container(shop, number)["logConfiguration"] = {"logDriver": "awslogs", "options": options}


def container(shop: Shop, number: int = 1) -> dict[str, object]:
    """The first container of the definition that runs in a tenant's prod."""
    return containers(shop, number)[0]


def containers(shop: Shop, number: int = 1) -> list[dict[str, object]]:
    """The containers of the definition that runs in a tenant's prod; they may be changed."""
    (revision,) = shop.endpoint.cloud.account(tenant_account(number)).families[f"shop-t{number}-prod-api"]
    return revision.members["containerDefinitions"]


def script(shop: Shop, **given: object) -> None:
    """What every command does from now on."""
    shop.endpoint.cloud.scripts = lambda _command: Script(**given)  # type: ignore[arg-type]


def one_off(shop: Shop) -> OneOff:
    """The one task that was started."""
    (task,) = shop.endpoint.cloud.account(ACCOUNT).one_offs.values()
    return task


def writes(shop: Shop, *lines: str, number: int = 1, task: str = "task1", ago_s: float = 0) -> None:
    """A task of a tenant's prod has written these lines."""
    account = shop.endpoint.cloud.account(tenant_account(number))
    for line in lines:
        write_log(account, f"/ecs/shop-t{number}-prod-api", f"{PREFIX}{task}", line, ago_s=ago_s)


def target(shop: Shop, name: str = "t1-prod/api") -> Target:
    """The target of that name."""
    return next(each for each in load(shop.root).targets if str(each) == name)


def prepared(shop: Shop, *words: str) -> Prepared:
    """A command that may be run in t1's prod."""
    return prepare(load(shop.root), target(shop), words or ("true",))


def started(shop: Shop, client: object) -> Started:
    """A task that runs in t1's prod."""
    ready = prepared(shop)
    return start(client, ready.one_off, ready.author, {})


def no_log(shop: Shop) -> TaskLog:
    """A log that cannot be read."""
    return TaskLog(target(shop), "elsewhere", lambda _event: None)


def said(told: Sequence[Event]) -> list[str]:
    """What was told about a task."""
    return [event.message for event in told if isinstance(event, Told)]


def logged(told: Sequence[Event]) -> list[str]:
    """What a task's log told."""
    return [event.message for event in told if isinstance(event, Logged)]
