"""The commands that work on a tier, one row each: what a person types, and what each of them looks at and changes."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class _Row:
    """`task`: what a person types, with `{tier}` in it. The others say what the command does."""

    task: str
    builds: bool = False
    """Builds missing images: `build` always, the others in the first tier."""
    tags: bool = False
    """Points the tier at images."""
    targets: bool = True
    """Works on ECS services, whose accounts it signs in to."""
    renders: bool = False
    """Works out what each target's definition becomes."""
    notifies: bool = False
    """Changes a tier, which the project's webhook is told of."""


class Command(Enum):
    """A command that works on a tier."""

    BUILD = _Row("build", builds=True, targets=False)
    TAG = _Row("tag.{tier}", tags=True, targets=False, notifies=True)
    REGISTER = _Row("deploy.register {tier}", renders=True)
    DEPLOY = _Row("deploy.{tier}", renders=True, notifies=True)
    RELEASE = _Row("release.{tier}", builds=True, tags=True, renders=True, notifies=True)
    MATRIX = _Row("release.matrix {tier}", builds=True, tags=True, renders=True, notifies=True)
    ROLLBACK = _Row("release.rollback {tier}", renders=True, notifies=True)
    WAIT = _Row("deploy.wait {tier}")
    CONTINUE = _Row("deploy.continue {tier}")
    STOP = _Row("deploy.stop {tier}")

    @property
    def row(self) -> _Row:
        """Return what the command does."""
        return self.value

    def task(self, tier: str) -> str:
        """Return the task that a person types: `release.prod`, `deploy.wait prod`."""
        return self.row.task.format(tier=tier)
