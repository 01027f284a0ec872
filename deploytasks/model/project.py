"""The contents of envs/, checked and merged."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from deploytasks.errors import Complaint
from deploytasks.model.builders import AUTO, candidates

TagKind = Literal["mutable", "immutable"]
Pin = Literal["tag", "digest"]
OnFailure = Literal["stop", "continue"]


class Access(Struct, frozen=True):
    """How to reach one account: credentials from `profile`, or `role` assumed from it, else the default chain."""

    account: str
    region: str
    profile: str | None = None
    role: str | None = None
    external_id: str | None = None


SessionFactory = Callable[[Access], Any]
"""Returns the boto3.Session to reach an account with; where the access names a role, the one that may assume it."""


class Registry(Struct, frozen=True):
    """The one ECR registry that all tenants share; `host` is the prefix of image names."""

    access: Access
    host: str


class Webhook(Struct, frozen=True):
    """Where the webhook's address is stored, never the address: the `name` of a variable, a parameter or a secret."""

    place: Literal["env", "ssm", "secretsmanager"]
    name: str


class Image(Struct, frozen=True):
    """What is built, once a commit, into one repository; `context` is relative to the root, `dockerfile` to it.

    `paths` are those whose change makes another image, all of them if empty. `artifacts` are git-ignored files below
    the context that belong in the image nevertheless.
    """

    name: str
    repository: str
    context: str = "."
    dockerfile: str = "Dockerfile"
    platforms: tuple[str, ...] = ("linux/amd64",)
    builder: str = AUTO
    paths: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()

    @property
    def unbuildable(self) -> Complaint | None:
        """Return why no builder can build it, judged by its settings alone; None if they allow it."""
        if candidates(self.builder, len(self.platforms)):
            return None
        most = max(row.platforms for row in candidates(self.builder))
        can = "one" if most == 1 else str(most)
        what = f"{len(self.platforms)} platforms ({', '.join(self.platforms) or 'none'}), and {can} can be built"
        to_do = "multi-platform images come later: name one for now" if most == 1 else "name fewer"
        return Complaint(f"images.{self.name}.platforms", what, to_do)


class Service(Struct, frozen=True):
    """What runs as one ECS service in an environment, from one image; its template may name further `uses`.

    Within an environment it is rolled out after the services that `after` names.
    """

    name: str
    image: str
    uses: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    before_deploy: tuple[tuple[str, ...], ...] = ()


class Job(Struct, frozen=True):
    """What runs as scheduled or one-off ECS tasks of an image, without an ECS service.

    `schedule` is an expression in EventBridge Scheduler's grammar; without one the job is run by hand, or by a rule.
    """

    name: str
    image: str
    uses: tuple[str, ...] = ()
    schedule: str = ""


class Tier(Struct, frozen=True):
    """A stage's policy; `after` names the tier that must run an image before this one takes it."""

    name: str
    tag: TagKind
    after: str | None = None
    pin: Pin = "digest"
    parallel: int = 20
    timeout_s: int = 1200
    soak_s: int = 30
    on_failure: OnFailure = "stop"


class Environment(Struct, frozen=True):
    """Tenant × tier. An environment of tenant `main` is shown as the bare tier."""

    tenant: str
    tier: str

    def __str__(self) -> str:
        return self.tier if self.tenant == "main" else f"{self.tenant}-{self.tier}"


class Origin(Struct, frozen=True):
    """Where a setting's value comes from: `envs/mb.toml`, `tiers.prod.cpu`; `line` is 0 if it was not found."""

    file: str
    key: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}" if self.line else f"{self.file}: {self.key}"


class JobSettings(Struct, frozen=True):
    """What starts a job in one environment: its `schedule` and the role for that, or a `rule`; "" for neither."""

    schedule: str = ""
    schedule_role: str = ""
    rule: str = ""


class Target(Struct, frozen=True):
    """Environment × service with its merged settings: one ECS service; or environment × job.

    `job` is None for a service; `ecs_service` is empty for a job.

    `images` maps each image that its template names to its repository's URI, the target's own image first. `origins`
    maps a dotted setting (`env.LOG_LEVEL`) to the place its value comes from; our own defaults have none. `after` names
    the services that it comes after in its environment, directly or through others, there or not.
    """

    environment: Environment
    name: str
    images: Mapping[str, str]
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
    origins: Mapping[str, Origin] = field(default_factory=dict)
    job: JobSettings | None = None
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.environment}/{self.name}"

    def __hash__(self) -> int:
        return hash((self.environment, self.name))

    @property
    def kind(self) -> Literal["service", "job"]:
        """What it is, as messages call it."""
        return "job" if self.job else "service"

    @property
    def image(self) -> str:
        """The name of the image that it runs from."""
        return next(iter(self.images))

    def comes_after(self, other: "Target") -> bool:
        """Return whether it comes after the other, of the same environment: a job comes after every service."""
        return other.job is None and (self.job is not None or other.name in self.after)


def tenants_of(targets: Iterable[Target]) -> tuple[str, ...]:
    """Return the targets' tenants, each once, in their order."""
    return tuple(dict.fromkeys(target.environment.tenant for target in targets))


class Project(Struct, frozen=True):
    """All of `envs/`, checked and merged. `targets` holds every tenant × tier × service or job, in file order.

    The jobs of an environment come after its services.

    `sessions` is a program's own way to sign in; without it the profiles that `envs/` names are used.
    """

    root: Path
    name: str
    registry: Registry
    images: tuple[Image, ...]
    services: tuple[Service, ...]
    tiers: tuple[Tier, ...]
    tenants: tuple[str, ...]
    targets: tuple[Target, ...]
    jobs: tuple[Job, ...] = ()
    webhook: Webhook | None = None
    sessions: SessionFactory | None = None

    @property
    def services_and_jobs(self) -> tuple[Service | Job, ...]:
        """The services, then the jobs: no two have one name."""
        return (*self.services, *self.jobs)

    def tier(self, name: str) -> Tier:
        """Return the tier of that name, which must exist: tasks are made from the tiers themselves."""
        return next(tier for tier in self.tiers if tier.name == name)

    def of_tier(self, name: str) -> tuple[Target, ...]:
        """Return all targets of the tier, in file order."""
        return tuple(target for target in self.targets if target.environment.tier == name)

    def images_of(self, targets: Iterable[Target]) -> tuple[Image, ...]:
        """Return the images that the targets' templates name, in file order."""
        named = {name for target in targets for name in target.images}
        return tuple(image for image in self.images if image.name in named)

    def uri(self, image: Image) -> str:
        """Return what names of the image begin with: ECR's `repositoryUri`, `host/repository`."""
        return f"{self.registry.host}/{image.repository}"

    def image(self, name: str) -> Image:
        """Return the image of that name, which must exist: services are checked to name images that do."""
        return next(image for image in self.images if image.name == name)

    def service(self, name: str) -> Service:
        """Return the service of that name, which must exist: targets and selections are made from the services."""
        return next(service for service in self.services if service.name == name)
