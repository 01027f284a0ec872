"""What a user asks to see: the board, the images in ECR, the releases, the differences."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from deploytasks.errors import Complaint
from deploytasks.model.asked import Author, LockState
from deploytasks.model.images import EcrImage
from deploytasks.model.jobs import JobStand
from deploytasks.model.live import Definition, Evidence
from deploytasks.model.marks import Mark, Standing, Stranger
from deploytasks.model.project import Target

NOT_OURS: Mapping[str, Standing] = {
    "CODE_DEPLOY": "deployed by CODE_DEPLOY",
    "EXTERNAL": "deployed by EXTERNAL",
}
"""Deployment controller → standing."""


class UsedImage(Struct, frozen=True):
    """What a target runs of a further image that its template names; the fields are as in `Cell`."""

    name: str
    digests: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    wanted: str = ""


class Cell(Struct, frozen=True):
    """One target on the board: what runs there, who deployed it, and the state of its last rollout.

    `digests` holds more than one if its tasks differ, and `runs` names their images, each once: by commit tag, or by
    digest if ECR knows none; `wanted` is the commit tag (or digest) that the tier tag names if something else runs;
    `since` is when the last rollout began; `detail` says why it failed, `crashing` how its tasks keep dying.
    `foreign` gives the reasons for the mark of that name, and is empty without the mark. `uses` are the images beside
    the target's own that its definition gives to a container.
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
    uses: tuple[UsedImage, ...] = ()
    revision: str = ""
    running: int = 0
    desired: int = 0
    since: datetime | None = None
    detail: str = ""
    crashing: str = ""
    checkout: str = ""
    """How this checkout relates to the running config, if the target drifted and the checkout may be older."""
    complaint: Complaint | None = None
    job: JobStand | None = None
    """What starts it, if it is a job that was deployed."""

    @property
    def as_wanted(self) -> bool:
        """Return whether nothing about the target deserves attention."""
        return not self.marks and self.standing not in ("missing", "unseen", *NOT_OURS.values())


class Board(Struct, frozen=True):
    """The tenant × tier board `at` a time, cells in file order; `notes` say what could not be judged.

    `holds` are those that rollbacks left on the tiers, `locks` those of running commands or taken by hand.
    """

    project: str
    tiers: tuple[str, ...]
    cells: tuple[Cell, ...]
    at: datetime
    notes: tuple[str, ...] = ()
    holds: tuple[LockState, ...] = ()
    locks: tuple[LockState, ...] = ()


class RepositoryImages(Struct, frozen=True):
    """One image's builds in ECR, newest first, and which environments run them; `notes` say what could not be read.

    If the repository could not be read, `is_read` is False and there are no images.
    """

    image: str
    repository: str
    images: tuple[EcrImage, ...]
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digest → names of the environments that run it."""
    notes: tuple[str, ...] = ()
    is_read: bool = True


class Release(Struct, frozen=True):
    """One release tag of a tier, with `digests`: image → digest. A tag over several commits has one Release for each.

    `commit` is empty if the images carry no commit tag; `by`, `ci`, `override` and `config` if they were not recorded.
    A `rollback` restored an image that an earlier release had, after a newer one. `runs_in` names the environments that
    run it now, or the target (`mb-prod/api`) if only some of its services do.
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


class ConfigDeploy(Struct, frozen=True):
    """A change of a service's definition without a release: a deploy of other config, or a `rollback`.

    `targets` are those where the same `keys` changed; `before` and `after` are the first target's definitions, for the
    secrets in them. `ended` says how it failed, empty if it did not; the others as in `Release`.
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


class History(Struct, frozen=True):
    """The releases of a tier's images, newest first; `older` counts those left out, `notes` say what is missing.

    `config_deploys`, newest first too, go back as far as the releases do.
    """

    tier: str
    images: tuple[str, ...]
    releases: tuple[Release, ...]
    older: int = 0
    notes: tuple[str, ...] = ()
    config_deploys: tuple[ConfigDeploy, ...] = ()


class Exited(Struct, frozen=True):
    """How a one-off task ended: its container's exit `code`, None if there is none; `reason` says why.

    Without a code it either never began, or it `began` and its end is unknown.
    """

    target: Target
    task: str
    code: int | None
    reason: str = ""
    began: bool = True


class Difference(Struct, frozen=True):
    """Two definitions of one service, both in canonical form, and the name of each; None if there is none.

    `against` is the other environment's target if two are compared; `complaints` say why they could not be compared.
    `notes` are further findings about the target that are not differences.
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
        """Return whether both could be read and are not equal."""
        return not self.complaints and self.before != self.after


class Intervention(Struct, frozen=True):
    """What was done to a target's running rollout, if anything; a complaint says why it failed."""

    target: Target
    did: str = ""
    changed: bool = False
    complaint: Complaint | None = None


class Heading(Struct, frozen=True):
    """The heading of a message about a command; `subjects` maps its commits to their known subjects."""

    project: str
    tier: str
    command: str
    author: Author
    subjects: Mapping[str, str] = field(default_factory=dict)
