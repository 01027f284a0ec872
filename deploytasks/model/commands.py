"""The commands that work on a tier, one row each: what the user types, and what the command reads and changes."""

from enum import Enum

from msgspec import Struct


class _Row(Struct, frozen=True):
    """One command. `task` is what the user types, with a `{tier}` placeholder; the flags say what the command does."""

    task: str
    builds: bool = False
    """Builds missing images: `build` in every tier, the others in the first tier only."""
    tags: bool = False
    """Points the tier at images."""
    targets: bool = True
    """Works on ECS services and signs in to their accounts."""
    renders: bool = False
    """Renders each target's new definition."""
    notifies: bool = False
    """Changes a tier, and reports it to the project's webhook."""


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
        """Return the command's row."""
        return self.value

    def task(self, tier: str) -> str:
        """Return the task as the user types it: `release.prod`, `deploy.wait prod`."""
        return self.row.task.format(tier=tier)
