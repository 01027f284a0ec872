"""The grammar of the two kinds of files in envs/: every key, what it may hold, and what it is for.

`check` walks these structs to check a file; editors get them as JSON Schema (`json_schema.py`, which says what each key
is for). A description ends the line "wanted: …" of a complaint.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from deploytasks.config import placeholders
from deploytasks.config.names import NAME
from deploytasks.model.builders import AUTO, WANTED

if TYPE_CHECKING:
    BuilderName = str
else:
    BuilderName = Literal[WANTED]


def _like(pattern: str, description: str) -> Meta:
    """Return the constraint that text matches the pattern whole; its end means the same to Python and JSON Schema."""
    return Meta(pattern=rf"^(?:{pattern})$(?!\n)", description=description)


def _either(names: Sequence[str]) -> str:
    """Return the names in quotes, as a choice: `"auto", "docker" or "append"`."""
    *others, last = (f'"{name}"' for name in names)
    return f"{', '.join(others)} or {last}"


Name = Annotated[str, _like(NAME, "lower-case letters, digits and dashes, a letter first, at most 63")]
_ANY = r"[^\x00-\x1f\x7f-\x9f]"
_DARK = r"[^\s\x00-\x1f\x7f-\x9f]"
"""A character that is neither a blank nor a control character."""
Text = Annotated[
    str,
    _like(
        rf"(?=.{{1,1024}}$){_DARK}(?:{_ANY}*{_DARK})?",
        "text, not empty, no blanks around it",
    ),
]
Account = Annotated[str, _like("[0-9]{12}", "the 12 digits of an AWS account, in quotes")]
Region = Annotated[str, _like("[a-z]{2,}(?:-[a-z]+)+-[0-9]+", 'an AWS region, such as "us-east-1"')]
_FILLED = f"; may use {placeholders.ALL}"
_A_ROLE = 'a role\'s ARN, such as "arn:aws:iam::222222222222:role/deploy"'
Role = Annotated[str, _like(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-z|~]+", f"{_A_ROLE}; no placeholders")]
TenantRole = Annotated[
    str,
    _like(
        rf"arn:aws[a-z-]*:iam::(?:[0-9]{{12}}|\{{account\}}):role/(?:[!-z|~]|{placeholders.ANY})+",
        _A_ROLE + _FILLED,
    ),
]
ExternalId = Annotated[
    str, _like(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "the external id that the role's trust policy asks for")
]
Host = Annotated[str, _like(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?", 'a registry\'s host, such as "localhost:5000"')]
Repository = Annotated[
    str,
    _like(
        r"(?=.{2,256}$)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
        'an ECR repository\'s name, such as "shop/api": 2 to 256 lower-case letters, digits and single . _ - / between',
    ),
]
Below = Annotated[
    str,
    _like(
        rf"(?=.{{1,1024}}$)(?!/)(?!(?:.*/)?\.\.(?:/|$)){_DARK}(?:{_ANY}*{_DARK})?",
        'a path or glob below, such as "build/*.jar"',
    ),
]
Inside = Annotated[
    str,
    _like(
        rf"(?=.{{1,1024}}$)(?!/)(?:\.\./)*(?!(?:.*/)?\.\.(?:/|$)){_DARK}(?:{_ANY}*{_DARK})?",
        'a path or glob in the repository, relative to the root, such as "src/**" or "../lib/**"',
    ),
]
Platform = Annotated[str, _like("[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?", 'such as "linux/amd64"')]
Duration = Annotated[
    str,
    _like("(?=[0-9])(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?", 'a duration, such as "20m", "90s" or "1h30m"'),
]
EcsName = Annotated[
    str,
    _like(
        rf"(?:[A-Za-z0-9_-]|{placeholders.ANY})+",
        f"letters, digits, _ and -{_FILLED}",
    ),
]
Rule = Annotated[
    str,
    _like(
        rf"(?:[A-Za-z0-9._-]|{placeholders.ANY})+",
        f"the name of an EventBridge rule: letters, digits, . _ and -{_FILLED}",
    ),
]
Family = Annotated[str, _like("[A-Za-z0-9_-]{1,255}", "at most 255 letters, digits, _ and -; no placeholders")]
Size = Annotated[
    Annotated[int, Meta(ge=1)] | Annotated[str, _like(r"[0-9]*\.?[0-9]+(?: ?[A-Za-z]+)?", "")],
    Meta(description='a whole number, or text as ECS takes it: 1024, "1 vCPU", "2 GB"'),
]
Count = Annotated[int, Meta(ge=1, description="a whole number, 1 or more")]
Switch = Annotated[bool, Meta(description="true or false")]
Names = Annotated[tuple[Name, ...], Meta(description='a list of names, such as ["web"]')]
Command = Annotated[list[str], Meta(min_length=1)]
VariableName = Annotated[
    str, _like(r"[^\s=\x00-\x1f\x7f-\x9f]+", "a variable's name: no blanks, no =, no control characters")
]
_Gone = Annotated[bool, Meta(extra_json_schema={"const": False})]
Variable = Annotated[
    str | int | _Gone, Meta(description="text in quotes, a whole number, or false to remove an inherited one")
]
_SECRET_ARN = (
    r"arn:aws[a-z-]*:(?:secretsmanager|ssm):(?:[a-z0-9-]+|\{region\}):(?:[0-9]{12}|\{account\}):"
    rf"(?:[!-z|~]|{placeholders.ANY})+"
)
Secret = Annotated[
    Annotated[str, _like(rf"{_SECRET_ARN}|(?!arn:)(?:[A-Za-z0-9_./-]|{placeholders.ANY})+", "")] | _Gone,
    Meta(
        description=f"a secret's or parameter's ARN, a parameter's name, or false to remove an inherited one{_FILLED}"
    ),
]
_VARIABLE = r"env:[A-Za-z_][A-Za-z0-9_]*"
_PARAMETER = r"ssm:(?:arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/)?[A-Za-z0-9_./-]+"
_SECRET_ID = r"secretsmanager:(?:arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]+"
WebhookPlace = Annotated[
    str,
    _like(
        f"{_VARIABLE}|{_PARAMETER}|{_SECRET_ID}",
        "where the webhook's address is found, never the address: anyone who has it can post; "
        'such as "env:SLACK_URL", "ssm:/shop/slack" or "secretsmanager:shop/slack"',
    ),
]
Value = Annotated[Any, Meta(description="text, finite numbers, true, false, lists and tables; put a date in quotes")]


class Settings(Struct, forbid_unknown_fields=True):
    """What may differ from one environment to the next, for services and jobs alike."""

    account: Account | None = None
    region: Region | None = None
    profile: Text | None = None
    role: TenantRole | None = None
    external_id: ExternalId | None = None
    cluster: EcsName | None = None
    family: Family | None = None
    wave: Count | None = None
    cpu: Size | None = None
    memory: Size | None = None
    absent: Switch | None = None
    env: dict[VariableName, Variable] | None = None
    secrets: dict[VariableName, Secret] | None = None
    vars: dict[str, Value] | None = None


class ServiceSettings(Settings, forbid_unknown_fields=True):
    """Settings of one service."""

    ecs_service: EcsName | None = None


class JobSettings(Settings, forbid_unknown_fields=True):
    """Settings of one job."""

    schedule_role: TenantRole | None = None
    rule: Rule | None = None


class Layer(Settings, forbid_unknown_fields=True):
    """Settings, and those that hold for one service or one job only."""

    ecs_service: EcsName | None = None
    schedule_role: TenantRole | None = None
    rule: Rule | None = None
    services: dict[Name, ServiceSettings] | None = None
    jobs: dict[Name, JobSettings] | None = None


class Tenant(Layer, forbid_unknown_fields=True, kw_only=True):
    """envs/<tenant>.toml: a tenant has the tiers that it declares."""

    tiers: dict[Name, Layer]


class ProjectTable(Struct, forbid_unknown_fields=True):
    """[project]."""

    name: Name


class RegistryTable(Struct, forbid_unknown_fields=True):
    """[registry]: the one ECR that all tenants share."""

    account: Account
    region: Region
    profile: Text | None = None
    role: Role | None = None
    external_id: ExternalId | None = None
    host: Host | None = None


class NotifyTable(Struct, forbid_unknown_fields=True):
    """[notify]: the webhook that is notified of releases."""

    webhook: WebhookPlace


class ImageTable(Struct, forbid_unknown_fields=True):
    """[images.<image>]: how it is built; not a settings layer."""

    repository: Repository | None = None
    context: Text = "."
    dockerfile: Text = "Dockerfile"
    platforms: Annotated[
        tuple[Platform, ...], Meta(min_length=1, description='a list of platforms, such as ["linux/amd64"]')
    ] = ("linux/amd64",)
    builder: Annotated[BuilderName, Meta(description=_either(WANTED))] = AUTO
    paths: Annotated[tuple[Inside, ...], Meta(description='a list of paths in the repository, such as ["src/**"]')] = ()
    artifacts: Annotated[
        tuple[Below, ...], Meta(description='a list of paths below the context, such as ["build/libs/*.jar"]')
    ] = ()


class ServiceTable(Struct, forbid_unknown_fields=True):
    """[services.<service>]: the image that it runs, and its place in a rollout; not a settings layer."""

    image: Name | None = None
    uses: Names = ()
    after: Names = ()
    before_deploy: Annotated[
        tuple[Command, ...], Meta(description='a list of commands, each a list: [["./manage", "migrate"]]')
    ] = ()


class JobTable(Struct, forbid_unknown_fields=True):
    """[jobs.<job>]: the image that it runs, and when; not a settings layer."""

    image: Name | None = None
    uses: Names = ()
    schedule: Annotated[
        Text, Meta(description='an EventBridge Scheduler expression, such as "cron(0 3 * * ? *)" or "rate(1 hour)"')
    ] = ""


class TierTable(Struct, forbid_unknown_fields=True, kw_only=True):
    """[tiers.<tier>]: its policy, and under `settings` the settings of its environments."""

    tag: Annotated[Literal["mutable", "immutable"], Meta(description='"mutable" or "immutable"')]
    after: Name | None = None
    pin: Annotated[Literal["tag", "digest"], Meta(description='"tag" or "digest"')] = "digest"
    parallel: Count = 20
    timeout: Duration = "20m"
    soak: Duration = "30s"
    on_failure: Annotated[Literal["stop", "continue"], Meta(description='"stop" or "continue"')] = "stop"
    settings: Layer | None = None


class ProjectFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """envs/project.toml."""

    project: ProjectTable
    registry: RegistryTable
    images: dict[Name, ImageTable]
    services: dict[Name, ServiceTable] = {}
    jobs: dict[Name, JobTable] = {}
    tiers: dict[Name, TierTable]
    defaults: Layer | None = None
    notify: NotifyTable | None = None
