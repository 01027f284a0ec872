"""The words of the trade as values: what is wanted, what was observed, what was planned, what came of it.

Everything here is frozen, knows no AWS and does no I/O; every other room speaks in these values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from deploytasks.errors import Complaint

TagKind = Literal["mutable", "immutable"]
Pin = Literal["tag", "digest"]
OnFailure = Literal["stop", "continue"]
Outcome = Literal[
    "deployed", "unchanged", "started", "rolled back", "superseded", "paused", "timed out", "failed", "not attempted"
]
GOOD_OUTCOMES: frozenset[Outcome] = frozenset({"deployed", "unchanged", "started"})
Evidence = Literal["seen", "recorded", "defined"]
"""How a digest is known: seen on tasks, recorded in our tags, or pinned in the definition that runs."""

Reading = Literal["none", "unpinned", "all"]
"""Of which targets the tasks are read too: where their definition pins no digest, or everywhere."""

Definition = Mapping[str, Any]
"""A RegisterTaskDefinition request, or a task definition as ECS describes it; camelCase, as AWS writes it."""


# --- what the files say -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Access:
    """How one account is reached: credentials from `profile`, or `role` assumed from it, else the default chain."""

    account: str
    region: str
    profile: str | None = None
    role: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """The one ECR that all tenants share; `host` is what image names begin with."""

    access: Access
    host: str


@dataclass(frozen=True, slots=True)
class Service:
    """What is built into one image; `context` and `dockerfile` are relative to the root and to the context."""

    name: str
    repository: str
    context: str = "."
    dockerfile: str = "Dockerfile"
    platforms: tuple[str, ...] = ("linux/amd64",)
    builder: Literal["auto", "docker", "append"] = "auto"
    before_deploy: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Tier:
    """A stage's policy; `after` names the tier that must run an image before this one takes it."""

    name: str
    tag: TagKind
    after: str | None = None
    pin: Pin = "digest"
    parallel: int = 20
    timeout_s: int = 1200
    soak_s: int = 0
    on_failure: OnFailure = "stop"


@dataclass(frozen=True, slots=True)
class Environment:
    """Tenant × tier. Tenant `main`'s are shown as the bare tier."""

    tenant: str
    tier: str

    def __str__(self) -> str:
        return self.tier if self.tenant == "main" else f"{self.tenant}-{self.tier}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from: `envs/mb.toml`, `tiers.prod.cpu`; `line` 0 where it was not found."""

    file: str
    key: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}" if self.line else f"{self.file}: {self.key}"


@dataclass(frozen=True, slots=True)
class Target:
    """Environment × service with its merged settings: one ECS service.

    `origins` maps a dotted setting (`env.LOG_LEVEL`) to the place its value came from; defaults of ours have none.
    """

    environment: Environment
    service: str
    access: Access
    cluster: str
    ecs_service: str
    family: str
    wave: int = 1
    cpu: str | int | None = None
    memory: str | int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}"

    def __hash__(self) -> int:
        return hash((self.environment, self.service))


@dataclass(frozen=True, slots=True)
class Project:
    """All of `envs/`, checked and merged. `targets` holds every tenant × tier × service, in file order."""

    root: Path
    name: str
    registry: Registry
    services: tuple[Service, ...]
    tiers: tuple[Tier, ...]
    tenants: tuple[str, ...]
    targets: tuple[Target, ...]

    def tier(self, name: str) -> Tier:
        """The tier of that name, which exists: tasks are made from the tiers themselves."""
        return next(tier for tier in self.tiers if tier.name == name)

    def service(self, name: str) -> Service:
        """The service of that name, which exists: targets and selections are made from the services."""
        return next(service for service in self.services if service.name == name)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which targets of a tier a command is about; empty `tenants` or `services` mean all of them."""

    tier: str
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who types a command adds to it; each field is the flag of that name."""

    commit: str | None = None
    to: str | None = None
    override: str | None = None
    allow_dirty: bool = False
    allow_older: bool = False
    force: bool = False
    wait: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: `by` a person or CI's actor, `ci` the run's address or "", `run` what is the same for all its jobs."""

    by: str
    ci: str = ""
    run: str = ""


# --- images -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Image:
    """One image in ECR. `children` are the digests of a multi-arch index's manifests, empty for a plain image."""

    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    pushed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """One image to be built: `commit_tag` is what it will be called, `commit` what it is built from."""

    service: Service
    commit: str
    commit_tag: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What one service of a tier shall run. `digest` is None until it is built (only a dry run shows that)."""

    service: str
    repository: str
    commit_tag: str
    digest: str | None
    release: str | None = None
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class TagStep:
    """Moves one service's tier to a digest: mints `release` unless it is there, then moves `tier_tag` unless there."""

    service: str
    repository: str
    digest: str | None
    commit_tag: str
    release: str
    tier_tag: str
    mint: bool
    move: bool
    before: str | None = None
    """The commit tag that the tier tag named before, None where it named nothing."""


# --- what runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of an ECS service as DescribeServices lists it; `revision` is a task definition's ARN."""

    id: str
    status: str
    rollout_state: str
    revision: str
    desired: int = 0
    running: int = 0
    reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """One target as observed. `complaint` says why it could not be; `digests` is empty where no task was read."""

    target: Target
    exists: bool = False
    complaint: Complaint | None = None
    controller: str = "ECS"
    desired: int = 0
    running: int = 0
    deployments: tuple[Deployment, ...] = ()
    definition: Definition | None = None
    revision_tags: Mapping[str, str] = field(default_factory=dict)
    service_tags: Mapping[str, str] = field(default_factory=dict)
    digests: tuple[str, ...] = ()

    @property
    def primary(self) -> Deployment | None:
        """The deployment that ECS works towards, None where the service is not there."""
        return next((each for each in self.deployments if each.status == "PRIMARY"), None)


# --- the plan and its end -----------------------------------------------------------------------------------


Action = Literal["create", "update", "force", "follow", "nothing"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Everything that carrying one target out needs: register + update + follow is this one step.

    `request` is the RegisterTaskDefinition request, None where the running revision stays;
    `create` the CreateService request where the service is not there yet; `tags` the audit tags.
    """

    target: Target
    action: Action
    reason: str
    wish: Wish
    image: str
    request: Definition | None = None
    create: Definition | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command will do, in order: builds, tag steps, then waves of rollouts. Empty parts mean nothing to do."""

    tier: Tier
    builds: tuple[Build, ...] = ()
    tag_steps: tuple[TagStep, ...] = ()
    waves: tuple[tuple[Rollout, ...], ...] = ()

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        """All rollouts, in the order of their waves."""
        return tuple(rollout for wave in self.waves for rollout in wave)


@dataclass(frozen=True, slots=True)
class DeadTask:
    """A task that stopped while its deployment was under way: why, each container's exit, its last log lines."""

    id: str
    reason: str
    exits: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """How one rollout ended. `evidence` says how `digest` is known; `tasks` explains a failure."""

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


@dataclass(frozen=True, slots=True)
class Report:
    """What a command came to: the plan it made and how each rollout ended; `notes` are for people."""

    command: str
    plan: Plan
    results: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()
    resume: str = ""
    """What to do about the results that are no success; empty where all are."""
    dry_run: bool = False

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results that are no success."""
        return tuple(result for result in self.results if result.outcome not in GOOD_OUTCOMES)


# --- what is told on the way --------------------------------------------------------------------------------


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


Event = Told | Planned | Progress | Ended
OnEvent = Callable[[Event], None]


# --- what people ask to see ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One target on the board: what runs there, how that is known, and how its last rollout stands."""

    target: Target
    state: str
    commit: str = ""
    release: str = ""
    digest: str = ""
    evidence: Evidence | None = None
    running: int = 0
    desired: int = 0
    since: datetime | None = None
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """The tenant × tier board, cells in file order."""

    project: str
    tiers: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """One service's images in ECR, newest first, and the digests that each tier tag and target runs."""

    service: str
    repository: str
    images: tuple[Image, ...]
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """digest → names of the environments that run it."""


@dataclass(frozen=True, slots=True)
class LockState:
    """Who holds a tier's lock: `since` in UTC; `machine` and `pid` tell a dead holder on the same host."""

    tier: str
    by: str
    since: str
    command: str
    commit: str = ""
    reason: str = ""
    ci: str = ""
    run: str = ""
    machine: str = ""
    pid: int = 0
    token: str = ""
