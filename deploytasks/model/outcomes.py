"""How a rollout can end, one row an outcome: its colour, count, exit code, and what follows derive from it."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Outcome = Literal[
    "deployed",
    "unchanged",
    "started",
    "rolled back",
    "superseded",
    "paused",
    "timed out",
    "failed",
    "unhealthy",
    "not attempted",
]
Resume = Literal["", "follow", "hook", "wait", "again", "fix"]
"""The next command: none; `deploy.wait`; what its hook needs; `deploy.wait` again, or for a deploy itself the same
command; the same command; or a release of another image."""


class OutcomeRow(Struct, frozen=True):
    """One outcome. `meaning` is what docs/failures.md says of it, `tone` its colour, `resume` what to do next."""

    name: Outcome
    meaning: str
    tone: Literal["good", "dim", "warn", "bad"] = "bad"
    resume: Resume = "again"
    is_good: bool = False
    """The command may end with 0, and the next wave may begin."""
    runs: bool = False
    """The target runs what it should, and the soak watches it."""
    has_dead_tasks: bool = False
    """Stopped tasks may tell the reason."""
    restores: bool = False
    """The target is restored to what it ran before, unless ECS does that."""
    is_untouched: bool = False
    """Nothing was begun: there are no tasks to count and no failure to explain."""


_ROWS = (
    OutcomeRow(
        "deployed", "ECS calls the rollout complete, and it stayed healthy", "good", "", is_good=True, runs=True
    ),
    OutcomeRow("unchanged", "it runs already what it should", "dim", "", is_good=True, runs=True),
    OutcomeRow("started", "the rollout has begun; with `--no-wait` nobody follows it", "good", "follow", is_good=True),
    OutcomeRow(
        "rolled back",
        "the rollout failed, and the target runs again what it ran before",
        "bad",
        "fix",
        has_dead_tasks=True,
    ),
    OutcomeRow("superseded", "another deployment of the service took the place of ours", "warn"),
    OutcomeRow("paused", "the rollout waits on a hook", "warn", "hook"),
    OutcomeRow(
        "timed out",
        "the rollout took longer than the tier's `timeout`",
        "bad",
        "wait",
        has_dead_tasks=True,
        restores=True,
    ),
    OutcomeRow(
        "failed",
        "the rollout failed, and the target could not be restored, or AWS failed",
        has_dead_tasks=True,
        restores=True,
    ),
    OutcomeRow("unhealthy", "tasks died in the soak, or too few run", "bad", "fix", has_dead_tasks=True, restores=True),
    OutcomeRow(
        "not attempted",
        "an earlier wave, a target that goes first or a `before_deploy` step failed, or the lock was lost",
        "warn",
        is_untouched=True,
    ),
)
OUTCOMES: Mapping[Outcome, OutcomeRow] = {row.name: row for row in _ROWS}
"""All outcomes, in the order in which they are counted."""
