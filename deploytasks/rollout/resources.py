"""What a rollout needs besides the plan: clients, clock, reporter, fence."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from deploytasks.aws.fencing import Fence
from deploytasks.aws.session import Clients
from deploytasks.model import Author, OnEvent, Rollout

Leave = Callable[[int, Callable[[], None]], str]
"""Given the number of the next wave and a function that soaks, return why the wave must not begin, or "". May wait, and
soaks by calling the function."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The clients, reporter and clock of a command. `images`: the prefix of each service's image names.

    `restore`: restore targets whose rollout fails. `before_wave`: asked before each wave, if set.
    """

    clients: Clients
    images: dict[str, str]
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    restore: bool = True
    before_wave: Leave | None = None
    fence: Fence = field(default_factory=Fence)
    """Refuses every write once the tier's lock is lost."""
    steps_first: Callable[[Rollout], None] | None = None
    """Runs the `before_deploy` steps of a rollout; raises AwsError if the rollout must not begin."""

    @property
    def author(self) -> Author:
        """Who runs the command."""
        return self.clients.author

    @property
    def stopped(self) -> Event:
        """Set on interruption: no further write is begun."""
        return self.clients.stopped
