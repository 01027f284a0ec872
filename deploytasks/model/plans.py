"""What a command will do, and its results."""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

from deploytasks.errors import DONE, FAILED
from deploytasks.model.asked import Shard
from deploytasks.model.images import Build, DesiredImage, Reuse, TagStep
from deploytasks.model.jobs import JobSchedule
from deploytasks.model.live import Definition, Deployment, Evidence, Live
from deploytasks.model.outcomes import OUTCOMES, Outcome, OutcomeRow
from deploytasks.model.project import Target, Tier

Action = Literal["create", "update", "force", "follow", "nothing"]


class Fallback(Struct, frozen=True):
    """What to restore if a target's rollout fails: the `revision`, an ARN, that it ran steadily before.

    If that revision names a tag which may have moved, `definition` is registered once more under `tags`, with the
    digests that ran: `images` maps a container's image to its replacement.
    """

    revision: str
    definition: Definition | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Steps(Struct, frozen=True):
    """One-off tasks that must succeed, in order, before a service is touched; the first `done` of them already have.

    `key` is the same for the same commands, image, service and environment. `attempt` is the number of an attempt at
    the next command that may have begun; 0 if there is no sign of one.
    """

    key: str
    commands: tuple[tuple[str, ...], ...]
    done: int = 0
    attempt: int = 0


class Rollout(Struct, frozen=True):
    """All inputs of one target's rollout: register, update and follow are this one step.

    `request` is the RegisterTaskDefinition request, None if the running revision stays; `create` is the CreateService
    request if the service does not exist yet; `tags` are the audit tags, and `unrecorded` those that the revision
    lacks.
    """

    target: Target
    action: Action
    reason: str
    desired: DesiredImage
    images: Mapping[str, str]
    """Image → its name in the definition."""
    request: Definition | None = None
    create: Definition | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    live: Live | None = None
    deployment: Deployment | None = None
    """The deployment to follow, if it is not the live PRIMARY one."""
    revision: str = ""
    """The ARN of the revision that was registered for `request`; without a request, of the one to restore or keep."""
    adopted: bool = False
    """The revision was registered by an earlier attempt, and nothing has run it yet."""
    unrecorded: Mapping[str, str] = field(default_factory=dict)
    fallback: Fallback | None = None
    steps: Steps | None = None
    after: tuple[str, ...] = ()
    """The targets of its environment that must end well before it begins, by name."""
    schedule: JobSchedule | None = None
    """What is to start a job; None for a service, and for a job that is run by hand."""

    @property
    def image(self) -> str:
        """The name of the target's own image in the definition."""
        return self.images[self.target.image]


class Plan(Struct, frozen=True):
    """What a command will do, in order: builds, tag steps, then waves of rollouts. Empty parts mean nothing to do.

    `reuses` are images that are not built, since nothing that they contain changed.

    `notes` are findings that are no reason to refuse: who holds the lock, what could not be checked.
    """

    tier: Tier
    builds: tuple[Build, ...] = ()
    tag_steps: tuple[TagStep, ...] = ()
    waves: tuple[tuple[Rollout, ...], ...] = ()
    notes: tuple[str, ...] = ()
    reuses: tuple[Reuse, ...] = ()

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        """Return all rollouts, in the order of their waves."""
        return tuple(rollout for wave in self.waves for rollout in wave)

    @property
    def is_nothing(self) -> bool:
        """Return whether carrying out the plan would change nothing."""
        tags = any(step.mint or step.move for step in self.tag_steps)
        rolls = any(rollout.action != "nothing" for rollout in self.rollouts)
        return not (self.builds or self.reuses or tags or rolls)


class DeadTask(Struct, frozen=True):
    """A task that stopped during its deployment: the reason, each container's exit, its last log lines."""

    id: str
    reason: str
    exits: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


class Result(Struct, frozen=True):
    """How one rollout ended. `evidence` says how `digest` is known; `tasks` explains a failure.

    `step` is the command of the `before_deploy` step that failed, for which the service was not touched.
    """

    target: Target
    outcome: Outcome
    detail: str = ""
    revision: str = ""
    commit_tag: str = ""
    release: str | None = None
    digest: str | None = None
    evidence: Evidence | None = None
    running: int = 0
    desired: int = 0
    duration_s: float = 0.0
    tasks: tuple[DeadTask, ...] = ()
    step: tuple[str, ...] = ()
    deployment: Deployment | None = None
    """The deployment that it ended with, as last seen."""

    @property
    def row(self) -> OutcomeRow:
        """Return the outcome's row."""
        return OUTCOMES[self.outcome]


def unsuccessful(results: Iterable[Result]) -> tuple[Result, ...]:
    """Return the results that are not successful."""
    return tuple(result for result in results if not result.row.is_good)


class Report(Struct, frozen=True):
    """The result of a command: its plan and how each rollout ended; `notes` are for people."""

    command: str
    plan: Plan
    results: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()
    resume: str = ""
    """What to do about the results that are not successful; empty if all are."""
    dry_run: bool = False

    @property
    def failed(self) -> tuple[Result, ...]:
        """Return the results that are not successful."""
        return unsuccessful(self.results)

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command, if nothing else goes wrong."""
        return FAILED if self.failed else DONE


class Matrix(Struct, frozen=True):
    """A release whose rollouts are left to shards: what was done before them, and each shard's targets.

    `run` is the CI run that holds the tier's lock, and to which every shard must belong; the command `unlock` releases
    it.
    """

    report: Report
    run: str
    unlock: str
    shards: Mapping[Shard, tuple[Target, ...]]
