"""What people ask to see: the board, the images on the shelf, the releases, the differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from deploytasks.errors import Complaint
from deploytasks.model.asked import Author, LockState
from deploytasks.model.images import Image
from deploytasks.model.live import Definition, Evidence
from deploytasks.model.project import Target

Mark = Literal["behind", "mixed", "drifted", "foreign", "crashing", "short", "failed", "inactive", "rolling"]
"""What deserves a second look at a target; `report.board` has the legend."""

Stranger = Literal["image", "revision"]
"""What makes a target `foreign`: its image is not in ECR, or no release of the project registered its revision."""

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
"""How a target's last rollout stands; `missing`: there is no such service, `unseen`: it could not be looked at.

Of a service with another deployment controller nothing more is told than who deploys it.
"""
NOT_OURS: Mapping[str, Standing] = {
    "CODE_DEPLOY": "deployed by CODE_DEPLOY",
    "EXTERNAL": "deployed by EXTERNAL",
}
"""Deployment controller → standing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One target on the board: what runs there, who brought it, and how its last rollout stands.

    `digests` holds more than one where its tasks differ, and `runs` names their images, each once: by commit tag, or by
    digest where ECR knows none; `wanted` is the commit tag (or digest) that the tier tag names where something else
    runs; `since` is when the last rollout began; `detail` says why it failed, `crashing` how its tasks keep dying.
    `foreign` says of what the mark of that name speaks; it is empty where there is no such mark.
    """

    target: Target
    standing: Standing
    marks: tuple[Mark, ...] = ()
    foreign: tuple[Stranger, ...] = ()
    commit: str = ""
    subject: str = ""
    release: str = ""
    certified_at: datetime | None = None
    by: str = ""
    ci: str = ""
    override: str = ""
    digests: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    evidence: Evidence | None = None
    wanted: str = ""
    revision: str = ""
    running: int = 0
    desired: int = 0
    since: datetime | None = None
    detail: str = ""
    crashing: str = ""
    checkout: str = ""
    """How this checkout stands to the config that runs, where the target drifted and the checkout may be older."""
    complaint: Complaint | None = None

    @property
    def as_wanted(self) -> bool:
        """Whether nothing about the target deserves a second look."""
        return not self.marks and self.standing not in ("missing", "unseen", *NOT_OURS.values())


@dataclass(frozen=True, slots=True)
class Board:
    """The tenant × tier board as it stood `at` a time, cells in file order; `notes` say what could not be judged.

    `holds` are those that rollbacks left on the tiers, `locks` those of commands at work, or taken by hand.
    """

    project: str
    tiers: tuple[str, ...]
    cells: tuple[Cell, ...]
    at: datetime
    notes: tuple[str, ...] = ()
    holds: tuple[LockState, ...] = ()
    locks: tuple[LockState, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryImages:
    """One service's images in ECR, newest first, and who runs them; `notes` say what could not be seen.

    Where the repository could not be read, that is said by `is_read`, and there are no images.
    """

    service: str
    repository: str
    images: tuple[Image, ...]
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """digest → names of the environments that run it."""
    notes: tuple[str, ...] = ()
    is_read: bool = True


@dataclass(frozen=True, slots=True)
class Release:
    """One release tag of a tier, with `digests`, service → what it names; other commits under it are another value.

    `commit` is empty where the images carry no commit tag; `by`, `ci`, `override` and `config` where nothing recorded
    them. A `rollback` brought back an image that an earlier release had, after a newer one.
    `runs_in` names the environments that run it now, or the target (`mb-prod/api`) where only some of its services do.
    """

    tag: str
    certified_at: datetime | None
    digests: Mapping[str, str]
    commit: str
    subject: str = ""
    by: str = ""
    ci: str = ""
    override: str = ""
    runs_in: tuple[str, ...] = ()
    config: str = ""
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class ConfigDeploy:
    """A change of a service's definition without a release: a deploy of other config, or a `rollback` to earlier.

    `targets` are those where the same `keys` changed; `before` and `after` are the first one's definitions, for what is
    secret in them. `ended` is how it failed, empty where it did not; the others as in `Release`.
    """

    at: datetime
    service: str
    release: str
    commit: str
    config: str
    keys: tuple[str, ...]
    targets: tuple[Target, ...]
    before: Definition
    after: Definition
    by: str = ""
    ci: str = ""
    rollback: bool = False
    ended: str = ""
    runs_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The releases of a tier's `services`, newest first; `older` counts those left out, `notes` say what is missing.

    `config_deploys`, newest first too, go back as far as the releases do.
    """

    tier: str
    services: tuple[str, ...]
    releases: tuple[Release, ...]
    older: int = 0
    notes: tuple[str, ...] = ()
    config_deploys: tuple[ConfigDeploy, ...] = ()


@dataclass(frozen=True, slots=True)
class Exited:
    """How a one-off task ended: its container's exit `code`, None where there is none, and `reason` says why.

    Without a code it either never began, or it `began` and nobody knows how it ended.
    """

    target: Target
    task: str
    code: int | None
    reason: str = ""
    began: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Two definitions of one service, both in canonical form, and what each is called; None where there is none.

    `against` is the other environment's target, where two are compared; `complaints` say why they could not be.
    `notes` say what else is worth knowing about the target, and are no difference.
    """

    target: Target
    left: str
    right: str
    before: Definition | None = None
    after: Definition | None = None
    against: Target | None = None
    complaints: tuple[Complaint, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether both could be seen and are not the same."""
        return not self.complaints and self.before != self.after


@dataclass(frozen=True, slots=True)
class Intervention:
    """What was done to a target's rollout under way, or that nothing was to do; a complaint says why it failed."""

    target: Target
    did: str = ""
    changed: bool = False
    complaint: Complaint | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """What a message about a command is headed with; `subjects` maps those of its commits that are known to them."""

    project: str
    tier: str
    command: str
    author: Author
    subjects: Mapping[str, str] = field(default_factory=dict)
