"""The flags and positional arguments, one row each.

Invoke's signatures, `--help`, the commands that resume work, and completion in shells derive from them.
"""

from dataclasses import dataclass
from typing import Literal

_CHANGING = "build build.IMAGE tag.TIER deploy.TIER deploy.register release.TIER release.matrix"
_ROLLING_OUT = "deploy.TIER release.TIER release.rollback"
_SHOWING = "deploy.wait deploy.continue deploy.stop deploy.diff deploy.logs"
_TARGETS = f"{_ROLLING_OUT} deploy.register {_SHOWING} status"
_LOCKING = "tag.TIER deploy.TIER deploy.register release.TIER release.matrix release.rollback lock.acquire"

DRY_RUN = "dry run: nothing was changed"
"""What ends the output of a command with `--dry-run`."""
Resumed = Literal["", "same", "all"]
"""Who repeats the flag in the command that goes on: nobody, the `same` command again, or `all` that finish its work."""

Kind = Literal["tiers", "tenants", "services", "jobs", "images", "environments", "releases", "files"]
"""What may stand there: names of the project, releases of the tier, or files."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument of these `tasks`, which must be given; `values` is what completes it."""

    name: str
    help: str
    tasks: str
    values: tuple[Kind, ...] = ()


ARGUMENTS = (
    Argument(
        "tier",
        "the tier, as envs/project.toml names it",
        f"deploy.register {_SHOWING} deploy.run release.history release.rollback release.matrix lock.release",
        ("tiers",),
    ),
    Argument("tier", "the tier to lock", "lock.acquire", ("tiers",)),
    Argument(
        "env", "an environment as `inv envs.list` shows it: dev, mb-prod", "envs.show envs.render", ("environments",)
    ),
    Argument("tenant", "the new tenant's name: acme", "envs.new"),
)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it is typed, without its dashes.

    `default` says what it takes: a text or nothing, or a switch, which is spelled `--no-NAME` where it is on by
    default. `tasks` are those that take it, separated by blanks; `TIER` stands for every tier's, `IMAGE` for every
    image's. A flag for `whole` tiers does not go with `--shard`: every shard must mean its part of the same whole.

    `values` is what completes it, `choices` are the words that it takes; with `several`, it takes more than one, with
    commas between them.
    """

    name: str
    help: str
    tasks: str
    default: str | bool | None = None
    resumed: Resumed = ""
    whole: bool = False
    values: tuple[Kind, ...] = ()
    choices: tuple[str, ...] = ()
    several: bool = False

    @property
    def parameter(self) -> str:
        """Return its name in Python."""
        return self.name.replace("-", "_")

    @property
    def takes_value(self) -> bool:
        """Return whether a value follows it."""
        return not isinstance(self.default, bool)

    @property
    def typed(self) -> str:
        """Return what a person types, without dashes, to leave the default."""
        return f"no-{self.name}" if self.default is True else self.name


FLAGS = (
    Flag(
        "tenant",
        "only these tenants: mb,acme",
        f"{_TARGETS} deploy.run",
        whole=True,
        values=("tenants",),
        several=True,
    ),
    Flag("tenant", "only the roles of these tenants: mb,acme", "envs.rights", values=("tenants",), several=True),
    Flag("tier", "only these tiers: dev,prod", "status", values=("tiers",), several=True),
    Flag(
        "tier",
        "the tiers that it has: dev,prod; else those of --like, or all",
        "envs.new",
        values=("tiers",),
        several=True,
    ),
    Flag("account", "its AWS account, 12 digits; must be given", "envs.new"),
    Flag("like", "copy this tenant's file, without what is that tenant's own", "envs.new", values=("tenants",)),
    Flag("region", "its AWS region, if it is another than the copied or default one", "envs.new"),
    Flag(
        "role",
        "only these: registry,tenant,ci,bootstrap; else all, or with --tenant the tenants' alone",
        "envs.rights",
        choices=("registry", "tenant", "ci", "bootstrap"),
        several=True,
    ),
    Flag(
        "repository",
        "the repository whose CI releases: github.com/acme/shop, gitlab.com/acme/shop; else git's origin",
        "envs.rights",
    ),
    Flag("branch", "the branch whose CI jobs are trusted, if it is not the remote's default", "envs.rights"),
    Flag(
        "trust",
        "who may assume the roles besides CI, by ARN, * for anything: arn:aws:iam::012345678922:role/ops",
        "envs.rights",
    ),
    Flag("profile", "the profile whose credentials reach it, or may assume its role", "envs.new"),
    Flag(
        "service",
        "only these services and jobs: api,nightly",
        f"{_TARGETS} deploy.run release.history envs.show envs.render",
        whole=True,
        values=("services", "jobs"),
        several=True,
    ),
    Flag("job", "this job, by its own command unless one follows: nightly", "deploy.run", values=("jobs",)),
    Flag("image", "only these images: app,nginx", "build tag.TIER tag.list", values=("images",), several=True),
    Flag("exclude", "all tenants but these: mb,acme", _TARGETS, whole=True, values=("tenants",), several=True),
    Flag(
        "commit", "the git revision to take", "build build.IMAGE tag.TIER release.TIER release.matrix", resumed="same"
    ),
    Flag(
        "to",
        "a release tag or commit instead of what the tier tag names",
        "deploy.TIER deploy.register release.rollback",
        resumed="same",
        whole=True,
        values=("releases",),
    ),
    Flag(
        "at",
        "what ran then: 2026-11-23T12:00Z, in UTC unless it says another offset",
        "release.rollback",
        resumed="same",
    ),
    Flag(
        "allow-dirty",
        "take uncommitted config, and in the first tier the uncommitted tree, under a tag of its own",
        _CHANGING,
        default=False,
        resumed="all",
    ),
    Flag(
        "allow-older",
        "let images or config go back to an older, or a diverged, commit",
        "tag.TIER deploy.TIER deploy.register release.TIER release.matrix",
        default=False,
        resumed="all",
    ),
    Flag("shards", "so many parts, each for a job of its own: 8", "release.matrix", resumed="same"),
    Flag(
        "shard",
        "only this part of the tier, in the CI run whose release.matrix locked it: 3/8",
        "deploy.TIER",
    ),
    Flag(
        "run",
        "the CI run, where CI does not name it itself; the same for the matrix and all shards",
        "deploy.TIER release.matrix",
        resumed="same",
    ),
    Flag(
        "run",
        "only the lock of this CI run, without asking; never a hold, and nothing to do is not an error",
        "lock.release",
    ),
    Flag(
        "override",
        "pass the gate, with a reason that is recorded",
        "tag.TIER deploy.TIER deploy.register release.TIER release.matrix",
        resumed="all",
    ),
    Flag(
        "force", "roll out anew what runs already", "deploy.TIER release.TIER", default=False, resumed="all", whole=True
    ),
    Flag("wait", "follow the rollouts to their end", _ROLLING_OUT, default=True, resumed="all"),
    Flag(
        "restore",
        "restore a target whose rollout fails to what it ran before",
        _ROLLING_OUT,
        default=True,
        resumed="all",
    ),
    Flag("lock-wait", "wait so long for a lock that another run holds: 15m, 90s", _LOCKING, resumed="all", whole=True),
    Flag(
        "only-behind",
        "only targets that do not run the image yet",
        "deploy.TIER release.TIER",
        default=False,
        resumed="all",
        whole=True,
    ),
    Flag(
        "only-failed",
        "only targets whose last rollout failed or was rolled back; with --only-behind those too",
        "deploy.TIER release.TIER",
        default=False,
        resumed="all",
        whole=True,
    ),
    Flag(
        "format",
        "github: a matrix for fromJSON; gitlab: a child pipeline",
        "release.matrix",
        default="github",
        choices=("github", "gitlab"),
    ),
    Flag(
        "format",
        "json, terraform or cloudformation",
        "envs.rights",
        default="json",
        choices=("json", "terraform", "cloudformation"),
    ),
    Flag(
        "include",
        "a file of the repository with the `default:` of GitLab's jobs: .gitlab/shard.yml",
        "release.matrix",
        values=("files",),
    ),
    Flag(
        "across",
        "compare with this tenant, or environment, instead of with the templates",
        "deploy.diff",
        values=("tenants", "environments"),
    ),
    Flag("since", "how far to look back: 30s, 10m, 2h", "deploy.logs", default="10m"),
    Flag("follow", "go on until Ctrl-C", "deploy.logs", default=False),
    Flag(
        "abort",
        "stop where it stands, instead of going back to what ran before",
        "deploy.stop",
        default=False,
    ),
    Flag("reason", "why, shown to everyone it stops", "lock.acquire"),
    Flag(
        "yes", "do not ask: the lock is freed, or, where there is none, the hold ended", "lock.release", default=False
    ),
    Flag(
        "yes",
        "do not ask: take over repositories that carry no project, make those whose former one is there, and --revoke",
        "envs.bootstrap",
        default=False,
    ),
    Flag(
        "revoke",
        "take back pull rights that deploytasks gave and no tenant needs; asks",
        "envs.bootstrap",
        default=False,
    ),
    Flag("last", "so many releases, 20 unless told", "release.history", default="20"),
    Flag("check", "exit 3 if any target needs attention", "status", default=False),
    Flag("check", "exit 3 if a schema is not this version's, and write nothing", "envs.schema", default=False),
    Flag("html", "write the board to this file too, as one page", "status", values=("files",)),
    Flag(
        "dry-run",
        "show the plan and change nothing",
        f"{_CHANGING} release.rollback deploy.continue deploy.stop deploy.run status envs.bootstrap lock.acquire "
        "lock.release envs.schema envs.new",
        default=False,
    ),
    Flag(
        "json",
        "JSON only, on stdout",
        f"{_TARGETS} build build.IMAGE tag.TIER tag.list deploy.run release.history envs.list envs.show envs.check "
        "lock.status",
        default=False,
    ),
)

READING_A_COMMAND = ("deploy.run",)
"""The tasks that read a command after `--`."""


def of_task(task: str) -> tuple[Flag, ...]:
    """Return the flags of a task: `deploy.wait`, or `deploy.TIER` for every tier's."""
    return tuple(flag for flag in FLAGS if task in flag.tasks.split())


def arguments_of(task: str) -> tuple[Argument, ...]:
    """Return the positional arguments of a task: `deploy.wait`."""
    return tuple(argument for argument in ARGUMENTS if task in argument.tasks.split())


def choices(task: str, name: str) -> tuple[str, ...]:
    """Return the words that a task's flag takes."""
    return next(flag.choices for flag in of_task(task) if flag.name == name)


def of_resumed(*, again: bool) -> tuple[Flag, ...]:
    """Return the flags that a command which goes on repeats: all for the same command `again`."""
    return tuple(flag for flag in FLAGS if flag.resumed == "all" or (again and flag.resumed))
