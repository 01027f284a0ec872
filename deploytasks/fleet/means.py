"""What carrying rollouts out needs besides the plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from deploytasks.aws.session import Clients
from deploytasks.model import Author, OnEvent


@dataclass(frozen=True, slots=True)
class Means:
    """How AWS is reached, who is told, and whose clock counts. `images`: what each service's image names begin with.

    `restore`: targets whose rollouts fail are put back. `before_wave`, in place of the soak, is asked for leave before
    each wave, with the wave's number; it may wait, and answers why not, or "".
    """

    clients: Clients
    images: dict[str, str]
    tell: OnEvent
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    restore: bool = True
    before_wave: Callable[[int], str] | None = None

    @property
    def author(self) -> Author:
        """Who acts."""
        return self.clients.author

    @property
    def stopped(self) -> Event:
        """Set once somebody interrupts: no further write is begun."""
        return self.clients.stopped
