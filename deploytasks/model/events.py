"""The events that a command reports while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from deploytasks.model.plans import Plan, Result
from deploytasks.model.project import Target


@dataclass(frozen=True, slots=True)
class Told:
    """A message; `step` is one word (`lock build push tag observe register …`), `message` a sentence."""

    step: str
    message: str
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan that is about to be carried out, or in a dry run would be."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Progress:
    """The present state of a rollout that has moved."""

    target: Target
    state: str
    revision: str = ""
    running: int = 0
    desired: int = 0
    last_event: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a rollout."""

    result: Result


@dataclass(frozen=True, slots=True)
class Logged:
    """A log line of a task's container; `task` is the task's id, `at` the time it was written."""

    target: Target
    task: str
    container: str
    message: str
    at: datetime


Event = Told | Planned | Progress | Ended | Logged
OnEvent = Callable[[Event], None]
