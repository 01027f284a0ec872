"""What a rollout needs besides the plan: clients, clock, reporter and fence; and how it records itself at AWS."""

import time
from collections.abc import Callable, Mapping
from threading import Event

from msgspec import Struct, field

from deploytasks.aws import ecs
from deploytasks.aws.errors import is_denied
from deploytasks.aws.lock_holders import Fence
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Author, OnEvent, Target, Told


class Resources(Struct, frozen=True):
    """The clients, reporter and clock of a command. `restore`: restore targets whose rollout fails."""

    clients: Clients
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    restore: bool = True
    fence: Fence = field(default_factory=Fence)
    """Refuses every write once the tier's lock is lost."""

    @property
    def author(self) -> Author:
        """Who runs the command."""
        return self.clients.author

    @property
    def stopped(self) -> Event:
        """Set on interruption: no further write is begun."""
        return self.clients.stopped


def record(resources: Resources, target: Target, arn: str, tags: Mapping[str, str]) -> None:
    """Tag the service or the revision; report a failure to do so and go on."""
    try:
        ecs.record(resources.clients.of("ecs", target.access), target, arn, tags)
    except AwsError as error:
        _say(resources, target, "the rollout could not be recorded", error)


def announce(resources: Resources, target: Target, revision: str, tags: Mapping[str, str], unless: str) -> None:
    """Tag the revision with what is about to be done with it; if the role may not tag, report `unless` and go on.

    Raises:
        AwsError: tagging failed for another reason; nothing was done yet.

    """
    try:
        ecs.record(resources.clients.of("ecs", target.access), target, revision, tags)
    except AwsError as error:
        if not is_denied(error):
            raise
        _say(resources, target, unless, error)


def _say(resources: Resources, target: Target, what: str, error: AwsError) -> None:
    resources.tell(Told("record", f"{what}: {error.complaints[0].what}", str(target)))
