"""The words on the board, one row each: text, page, legend and JSON derive from them."""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from deploytasks.model.live import Evidence

Mark = Literal[
    "behind", "mixed", "drifted", "foreign", "crashing", "short", "failed", "disabled", "inactive", "rolling"
]
"""What deserves attention on a target; `MARKS` has the row of each."""

Stranger = Literal["image", "revision"]
"""Why a target is `foreign`: its image is not in ECR, or no release of the project registered its revision."""

Standing = Literal[
    "completed",
    "rolling",
    "rolled back",
    "failed",
    "missing",
    "unseen",
    "deployed by CODE_DEPLOY",
    "deployed by EXTERNAL",
]
"""The state of a target's last rollout; `missing`: there is no such service or job, `unseen`: it could not be observed.

For a service with another deployment controller, only the controller is reported.
"""
Tone = Literal["bad", "warn", "info", "good"]
TierMark = Literal["on hold", "locked"]
"""What deserves attention on a whole tier, or on a hold's tenants there."""


class Word(Struct, frozen=True):
    """A word for what deserves a second look. `gravity` ranks targets, 0 the gravest; `tone` is its colour."""

    name: Mark | Standing | TierMark
    meaning: str
    gravity: int = 0
    tone: Tone = "warn"

    @property
    def token(self) -> str:
        """Return the word as the page's filter takes it after `is:`, without blanks."""
        return self.name.lower().replace(" ", "-")


MARKS = (
    Word("behind", "the tier's tag names another image", 7),
    Word("mixed", "tenants of this tier, or tasks of this service, run different images", 6),
    Word("drifted", "the live definition, or a job's schedule, differs from the rendered one", 8),
    Word("foreign", "the image is not in ECR, or the revision is not ours", 5),
    Word("crashing", "tasks keep dying since the last rollout completed", 1, "bad"),
    Word("short", "fewer tasks run than are desired", 4, "bad"),
    Word("failed", "the last rollout failed, or was rolled back and what runs is not what is wanted", 2, "bad"),
    Word("disabled", "the job's schedule or rule is disabled, and its template does not say so: nothing starts it", 13),
    Word("inactive", "the revision that runs was deregistered; the next rollout registers a copy", 9),
    Word("rolling", "a rollout is under way", 12, "info"),
)
"""A target may carry several."""

STANDING_WORDS = (
    Word(
        "deployed by CODE_DEPLOY",
        "its ECS service has CodeDeploy as deployment controller; deploytasks leaves it alone",
        10,
    ),
    Word(
        "deployed by EXTERNAL",
        "its ECS service has an external deployment controller; deploytasks leaves it alone",
        11,
    ),
    Word("missing", "the environment has no such ECS service or job yet", 3, "bad"),
    Word("unseen", "it could not be looked at; the board says why", 0, "bad"),
)
"""The standings that deserve a second look and have no mark."""

TIER_MARKS = (
    Word("on hold", "a rollback left it so; no other commit until inv lock.release"),
    Word("locked", "a command works on the tier, or somebody locked it by hand"),
)
"""Those of a tier, which no target carries by itself."""

WORDS: Mapping[str, Word] = {word.name: word for word in (*MARKS, *STANDING_WORDS)}
STANDINGS = {word.name: word.meaning for word in STANDING_WORDS}

STRANGERS: Mapping[Stranger, str] = {
    "image": "the image is not in ECR",
    "revision": "no release of this project registered the revision",
}
"""What `foreign` may mean for a target."""

EVIDENCE: Mapping[Evidence, str] = {
    "seen": "the running tasks report this image",
    "recorded": "no task showed its digest; our own tags name it",
    "defined": "no task showed its digest; the definition that runs pins it",
}
"""How the image that a target runs is known."""


def foreign(why: Iterable[Stranger]) -> str:
    """Return why a target is `foreign`, in one phrase; "" if it is not."""
    return ", and ".join(STRANGERS[each] for each in why)
