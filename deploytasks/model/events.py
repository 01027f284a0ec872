"""What is told on the way, to whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from deploytasks.model.plans import Plan, Result
from deploytasks.model.project import Target


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened; `step` is one word (`lock build push tag observe register …`), `message` a sentence."""

    step: str
    message: str
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, as it is about to be carried out (or, in a dry run, as it would be)."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Progress:
    """A rollout moved: what is known of it now."""

    target: Target
    state: str
    revision: str = ""
    running: int = 0
    desired: int = 0
    last_event: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A rollout came to its end."""

    result: Result


@dataclass(frozen=True, slots=True)
class Logged:
    """A container of a task wrote a line; `task` is the task's id, `at` when it wrote it."""

    target: Target
    task: str
    container: str
    message: str
    at: datetime


Event = Told | Planned | Progress | Ended | Logged
OnEvent = Callable[[Event], None]
