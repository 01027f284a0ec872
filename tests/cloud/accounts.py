"""AWS as far as a release sees it: accounts in memory, and one function for each operation of each service.

Nothing here waits or listens: `endpoint` does, and hands every request to `Cloud.answer`.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

REGION = "us-east-1"
REGISTRY_ACCOUNT = "012345678922"

Ask = Mapping[str, Any]
"""A request's members, as AWS spells them."""
Answer = Mapping[str, Any] | str
"""An answer's members, or the whole of it where it is kept serialised."""
Operation = Callable[["Account", Ask], Answer]


class AwsError(Exception):
    """What AWS answers instead: its own code, e.g. `ClusterNotFoundException`, the HTTP status, and more members."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.members = members


def invalid(message: str) -> AwsError:
    """The error for a request outside an operation's limits."""
    return AwsError("InvalidParameterException", message)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `service` is the signing name (`ecs`), `account` whose credentials signed it, `region` for where."""

    account: str
    service: str
    operation: str
    ask: Ask = field(default_factory=dict)
    region: str = REGION


@dataclass(slots=True)
class Account:
    """What one AWS account holds, each part kept and understood by the module that serves it."""

    id: str
    cloud: "Cloud"
    clusters: dict[str, Any] = field(default_factory=dict)
    families: dict[str, list[Any]] = field(default_factory=dict)
    repositories: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """The secrets, parameters and roles that do not exist, by name; all others do."""
    deleted: set[str] = field(default_factory=set)
    """The secrets that are scheduled for deletion, by name."""
    trust: dict[str, Any] = field(default_factory=dict)
    """Role → its trust policy, where that is not the usual one."""
    paths: dict[str, str] = field(default_factory=dict)
    """Role → its path, where it has one."""
    one_offs: dict[str, Any] = field(default_factory=dict)
    log_streams: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    schedules: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    """By region, group and name."""
    schedule_groups: set[tuple[str, str]] = field(default_factory=set)
    """By region and name; `default` is in each."""
    scheduler_tokens: dict[tuple[str, str], Any] = field(default_factory=dict)
    rules: dict[tuple[str, str], Any] = field(default_factory=dict)
    """By region and name."""
    asked_in: str = REGION
    """The region of the call that is being answered; log groups, schedules and rules are kept apart by it."""

    def arn(self, service: str, resource: str) -> str:
        """The ARN of one of the account's resources."""
        return f"arn:aws:{service}:{REGION}:{self.id}:{resource}"


@dataclass(slots=True)
class Cloud:
    """All accounts, made as they are named; a rollout lasts `rollout_s`, and with 0 is over when next looked at.

    With a `spread` of 0.2 each service's rollouts take their own time, up to a fifth longer or shorter; and one differs
    from the service's last, by two fifths of that at most.
    """

    rollout_s: float = 0.0
    spread: float = 0.0
    clock: Callable[[], float] = time.time
    accounts: dict[str, Account] = field(default_factory=dict)
    address: str = ""
    """Where it is served, for answers that name an address."""
    serial: int = 0
    session_s: float = 3600.0
    """How long the keys last that STS hands out."""
    scripts: Callable[[Any], Any] | None = None
    """What the commands of one-off tasks do; see `ecs_tasks.Script`."""
    list_lag_s: float = 0.0
    """How long ListTasks does not know of a new one-off task, and ListServiceDeployments of a new service deployment.

    Source: RunTask's documentation: what a call did may not be visible to those that follow at once.
    """
    fates: Callable[[Account, Any, Any], Any] | None = None
    """What becomes of a service's new deployment of a revision; see `ecs_fates.Fate`."""
    native: bool = True
    """Whether ECS serves service deployments; a region or an emulator that does not know them is not."""

    def account(self, account_id: str) -> Account:
        """The account of that number."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, self)
        return self.accounts[account_id]

    def next_id(self) -> int:
        """A number never given before."""
        self.serial += 1
        return self.serial


def key_for(account_id: str) -> str:
    """An access key id as STS makes them, that carries its account."""
    return f"ASIA{account_id}ROLE"


def account_of(key: str) -> str:
    """The account that an access key id belongs to: the twelve digits in it, else the registry's."""
    digits = re.search(r"[0-9]{12}", key)
    return digits[0] if digits else REGISTRY_ACCOUNT


def last_part(name_or_arn: str) -> str:
    """The name at the end of an ARN, or the name itself."""
    return name_or_arn.rsplit("/", 1)[-1]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as ECS lists them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """Tags as ECS lists them, by key."""
    return {tag["key"]: tag.get("value", "") for tag in tags}


def page(items: list[Any], ask: Ask, size: int) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the `nextToken` member if there is more."""
    start = int(ask.get("nextToken", 0))
    end = start + size
    return items[start:end], {"nextToken": str(end)} if end < len(items) else {}


def page_size(ask: Ask, default: int) -> int:
    """How many items of ECS's lists are asked for a page: between 1 and 100."""
    size = int(ask.get("maxResults", default))
    if not 1 <= size <= 100:
        raise invalid("maxResults must be between 1 and 100.")
    return size
