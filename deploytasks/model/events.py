"""The events that a command reports while it runs."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from deploytasks.model.plans import Plan, Result
from deploytasks.model.project import Target


class Told(Struct, frozen=True):
    """A message; `step` is one word (`lock build push tag observe register …`), `message` a sentence.

    It is `about` an image or a target, or about the command as a whole.
    """

    step: str
    message: str
    about: str | None = None


class Planned(Struct, frozen=True):
    """The plan that is about to be carried out, or in a dry run would be."""

    plan: Plan


class Progress(Struct, frozen=True):
    """The present state of a rollout that has moved."""

    target: Target
    state: str
    revision: str = ""
    running: int = 0
    desired: int = 0
    last_event: str = ""


class Ended(Struct, frozen=True):
    """The end of a rollout."""

    result: Result


class Logged(Struct, frozen=True):
    """A log line of a task's container; `task` is the task's id, `at` the time it was written."""

    target: Target
    task: str
    container: str
    message: str
    at: datetime


Event = Told | Planned | Progress | Ended | Logged
OnEvent = Callable[[Event], None]
