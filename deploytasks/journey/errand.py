"""One command under way: the project, what was asked, and the means to do it."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import claims
from deploytasks.aws.fencing import Fence
from deploytasks.aws.session import Clients
from deploytasks.errors import (
    AwsError,
    Complaint,
    DeployError,
    Interrupted,
    NotReady,
    Unforeseen,
    contained,
    unwritable,
)
from deploytasks.fleet import each, together
from deploytasks.journey.author import whoami_here
from deploytasks.journey.committed import config_of
from deploytasks.journey.config import Config
from deploytasks.lengths import spelled as spelled_length
from deploytasks.model import (
    Access,
    Author,
    OnEvent,
    Options,
    Project,
    Result,
    Scope,
    Service,
    Target,
    Tier,
    Told,
)
from deploytasks.project.select import select


@dataclass(frozen=True, slots=True)
class Errand:
    """A command with everything it works on. `targets` are the selected ones, `images` what image names begin with."""

    command: str
    project: Project
    scope: Scope
    options: Options
    tell: OnEvent
    author: Author
    clients: Clients
    targets: tuple[Target, ...]
    config: Config | None = None
    """What `envs/` and `templates/` say; None for a command that renders nothing."""
    fence: Fence = field(default_factory=Fence)
    """Lets nothing be begun once the tier's lock is lost; `lock` arms it."""
    token: str = field(default_factory=claims.new_token)
    """What its lock and its hold have in common."""

    @property
    def tier(self) -> Tier:
        """The tier that the command is about."""
        return self.project.tier(self.scope.tier)

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that the selected targets have, in file order."""
        wanted = {target.service for target in self.targets}
        return tuple(service for service in self.project.services if service.name in wanted)

    @property
    def images(self) -> dict[str, str]:
        """Service → `host/repository`."""
        return images(self.project)

    @property
    def ecr(self) -> Any:
        """The registry's ECR client."""
        return registry_client(self.project, self.clients)


def begin(command: str, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Errand:
    """A command that will change something, with its targets selected.

    Raises:
        Invalid: a tenant or service that is not there, or nothing left to work on.
        NotReady: no credentials for the registry, or those of another account.

    """
    with before_any_change():
        return begin_to_look(command, project, scope, options, tell)


def begin_to_look(command: str, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Errand:
    """A command, with its targets selected.

    Raises:
        Invalid: a tenant or service that is not there, or nothing left to look at.
        NotReady: the registry's credentials are those of another account.
        AwsError: there are none, or AWS is out of reach.

    """
    author = whoami_here()
    errand = Errand(command, project, scope, options, tell, author, Clients(author, tell), select(project, scope))
    _, _, config = together(
        lambda: guard_registry(project, errand.clients), lambda: _sign_in(errand), lambda: _config(errand)
    )
    return replace(errand, config=config)


def _config(errand: Errand) -> Config | None:
    renders = errand.command in ("deploy", "matrix", "register", "release", "rollback")
    return config_of(errand.project.root) if renders else None


def _sign_in(errand: Errand) -> None:
    """Every account's credentials are at hand before they are needed; what fails is told where it is observed."""

    def enter(access: Access) -> None:
        with suppress(AwsError):
            errand.clients.of("ecs", access)

    each(enter, () if errand.command in ("build", "tag") else {target.access: None for target in errand.targets})


def guard_registry(project: Project, clients: Clients) -> None:
    """Images, tags and locks go to the account that the file names, or nowhere.

    Raises:
        NotReady: the credentials belong to another.

    """
    wanted, actual = project.registry.access.account, clients.account(project.registry.access)
    if actual != wanted:
        what = f"the credentials belong to account {actual}, the file says {wanted}"
        raise NotReady.of("envs/project.toml: registry.account", what, "mend it, its `role` or `profile`, or sign in")


def reach() -> Clients:
    """Clients of our own, for a command that has no errand."""
    return Clients(whoami_here())


def registry_client(project: Project, clients: Clients) -> Any:
    """The registry's ECR client."""
    return clients.of("ecr", project.registry.access)


def registry_ssm(project: Project, clients: Clients) -> Any:
    """The SSM client of the registry's account, where the locks are."""
    return clients.of("ssm", project.registry.access)


def images(project: Project) -> dict[str, str]:
    """Service → what its image names begin with: `host/repository`."""
    return {service.name: f"{project.registry.host}/{service.repository}" for service in project.services}


@contextmanager
def before_any_change() -> Iterator[None]:
    """What AWS refuses in here is a refusal of ours: nothing was changed yet.

    Raises:
        NotReady: for any AwsError, and where no file can be written or read.

    """
    try:
        yield
    except AwsError as error:
        raise NotReady(*error.complaints) from error
    except OSError as error:
        raise NotReady(unwritable(error)) from error


@contextmanager
def resumable(errand: Errand, state: str, command: str = "") -> Iterator[None]:
    """Whatever fails in here says what the state is and which command goes on from it.

    Raises:
        DeployError: the one that was raised inside, with that added; Interrupted for a signal.

    """
    try:
        with contained(shown_command(errand.command, errand.tier.name)):
            yield
    except KeyboardInterrupt:
        raise stopped(errand, f"interrupted: {state}", command) from None
    except DeployError as error:
        resume = Complaint(errand.tier.name, state, f"to go on: {spelled(errand, command)}")
        raise type(error)(*error.complaints, resume) from error


def broken_off(errand: Errand, error: Unforeseen) -> Unforeseen:
    """Return the error with the command that goes on, unless it says that already."""
    if any("to go on: " in each.to_do for each in error.complaints):
        return error
    resume = Complaint(errand.tier.name, "what was changed so far stands", f"to go on: {spelled(errand)}")
    return Unforeseen(*error.complaints, resume)


def stopped(errand: Errand, state: str, command: str = "") -> Interrupted:
    """What a signal ends the errand with: how things stand, and the command that goes on from there."""
    errand.clients.stopped.set()
    return Interrupted(Complaint(errand.tier.name, state, f"to go on: {spelled(errand, command)}"))


def spelled(errand: Errand, command: str = "", tenants: tuple[str, ...] = ()) -> str:
    """The command line that does the errand (or another command on its targets) again."""
    scope = replace(errand.scope, tenants=tenants, exclude=()) if tenants else errand.scope
    own = _own_flags(errand.options, again=command in ("", errand.command))
    return command_line(shown_command(command or errand.command, errand.tier.name), scope, own)


def command_line(task: str, scope: Scope, own: Mapping[str, str | bool | None]) -> str:
    """The command line of the task, as `shown_command` shows it, for the scope's targets and with flags of its own."""
    named = {"tenant": scope.tenants, "service": scope.services, "exclude": scope.exclude}
    given = {**{flag: ",".join(names) for flag, names in named.items()}, **own}
    flags = [
        f"--{flag}" if value is True else f"--{flag} {shlex.quote(value)}" for flag, value in given.items() if value
    ]
    return " ".join(["inv", task, *flags])


def again(errand: Errand, command: str, results: Iterable[Result]) -> str:
    """The command line that goes on with these results' tenants, named where they are not all."""
    tenants = tuple(dict.fromkeys(result.target.environment.tenant for result in results))
    everybody = {target.environment.tenant for target in errand.targets}
    return spelled(errand, command, () if everybody <= set(tenants) else tenants)


def shown_command(command: str, tier: str) -> str:
    """The task that a person types: `build` is of no tier, `wait` is told which."""
    match command:
        case "build":
            return command
        case "wait" | "continue" | "stop" | "register":
            return f"deploy.{command} {tier}"
        case "rollback" | "matrix":
            return f"release.{command} {tier}"
        case _:
            return f"{command}.{tier}"


def _own_flags(options: Options, *, again: bool) -> dict[str, str | bool | None]:
    """The options as flags: all where it is the same command again, else those that every command takes."""
    what = {"commit": options.commit, "to": options.to, "at": exact(options.at)} if again else {}
    shards = {"shards": str(options.shards or ""), "run": options.run} if again else {}
    return {
        **what,
        "allow-dirty": options.allow_dirty,
        "allow-older": options.allow_older,
        **shards,
        "override": options.override,
        "force": options.force,
        "no-wait": not options.wait,
        "no-restore": not options.restore,
        "lock-wait": spelled_length(options.lock_wait_s) if options.lock_wait_s else "",
        "only-behind": options.only_behind,
        "only-failed": options.only_failed,
    }


def exact(at: datetime | None) -> str:
    """Return the time as `--at` takes it, exactly and in UTC; "" for None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else ""


def say(errand: Errand, step: str, message: str, service: str | None = None) -> None:
    """The listener hears that something happened."""
    errand.tell(Told(step, message, service))
