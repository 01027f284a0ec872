"""What carrying rollouts out needs besides the plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from deploytasks.aws.fencing import Fence
from deploytasks.aws.session import Clients
from deploytasks.model import Author, OnEvent, Rollout

Leave = Callable[[int, Callable[[], None]], str]
"""Asked before the wave of a number, it answers why that must not begin, or ""; it may wait, and calls what it is given
to soak."""


@dataclass(frozen=True, slots=True)
class Resources:
    """How AWS is reached, who is told, and whose clock counts. `images`: what each service's image names begin with.

    `restore`: targets whose rollouts fail are put back. `before_wave`, where there is one, gives each wave its leave.
    """

    clients: Clients
    images: dict[str, str]
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    restore: bool = True
    before_wave: Leave | None = None
    fence: Fence = field(default_factory=Fence)
    """Lets nothing be begun once the tier's lock is lost."""
    steps_first: Callable[[Rollout], None] | None = None
    """Runs the one-off tasks that come before a rollout; raises an AwsError where it must not begin."""

    @property
    def author(self) -> Author:
        """Who acts."""
        return self.clients.author

    @property
    def stopped(self) -> Event:
        """Set once somebody interrupts: no further write is begun."""
        return self.clients.stopped
