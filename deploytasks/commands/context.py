"""What a command works on: the project, what was asked, and the clients to do it with."""

import getpass
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from deploytasks.aws import lock_records
from deploytasks.aws.fencing import Fence
from deploytasks.aws.session import Clients
from deploytasks.commands.config_version import Config, config_of
from deploytasks.concurrency import each, together
from deploytasks.config.select import select
from deploytasks.errors import AwsError, NotReady, unwritable
from deploytasks.model import (
    Access,
    Author,
    Command,
    Event,
    OnEvent,
    Options,
    Project,
    Scope,
    Service,
    Target,
    Tier,
    Told,
)
from deploytasks.template.render import Renderer


@dataclass(frozen=True, slots=True)
class Context:
    """A command with everything it works on. `targets` are the selected ones, `images` what image names begin with."""

    command: Command
    project: Project
    scope: Scope
    options: Options
    tell: OnEvent
    author: Author
    clients: Clients
    targets: tuple[Target, ...]
    renderer: Renderer
    config: Config | None = None
    """What `envs/` and `templates/` say; None for a command that renders nothing."""
    fence: Fence = field(default_factory=Fence)
    """Lets nothing be begun once the tier's lock is lost; `lock` arms it."""
    token: str = field(default_factory=lock_records.new_token)
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


def begin(command: Command, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Context:
    """A command that will change something, with its targets selected.

    Raises:
        Invalid: a tenant or service that is not there, or nothing left to work on.
        NotReady: no credentials for the registry, or those of another account.

    """
    with before_any_change():
        return begin_to_look(command, project, scope, options, tell)


def begin_to_look(command: Command, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Context:
    """A command, with its targets selected.

    Raises:
        Invalid: a tenant or service that is not there, or nothing left to look at.
        NotReady: the registry's credentials are those of another account.
        AwsError: there are none, or AWS is out of reach.

    """
    author = whoami_here()
    targets = select(project, scope)
    context = Context(command, project, scope, options, tell, author, Clients(author, tell), targets, Renderer(project))
    _, _, config = together(
        lambda: guard_registry(project, context.clients), lambda: _sign_in(context), lambda: _config(context)
    )
    return replace(context, config=config)


def _config(context: Context) -> Config | None:
    return config_of(context.project.root) if context.command.row.renders else None


def _sign_in(context: Context) -> None:
    """Every account's credentials are at hand before they are needed; what fails is told where it is observed."""

    def enter(access: Access) -> None:
        with suppress(AwsError):
            context.clients.of("ecs", access)

    each(enter, {target.access: None for target in context.targets if context.command.row.targets})


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


def say(context: Context, step: str, message: str, service: str | None = None) -> None:
    """The listener hears that something happened."""
    context.tell(Told(step, message, service))


def whoami_here() -> Author:
    """Who acts in this process."""
    return whoami(os.environ)


def whoami(environ: Mapping[str, str]) -> Author:
    """Who acts: CI's actor and run where CI says so, else the person at this machine.

    Source: the variables that GitHub Actions, GitLab CI, CircleCI and Buildkite document.

    """
    if "GITHUB_RUN_ID" in environ:
        run = f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/"
        run += environ["GITHUB_RUN_ID"]
        return Author(environ.get("GITHUB_ACTOR", "github"), run, f"github {environ['GITHUB_RUN_ID']}")
    if "GITLAB_CI" in environ:
        by = environ.get("GITLAB_USER_LOGIN", "gitlab")
        return Author(by, environ.get("CI_PIPELINE_URL", ""), _run("gitlab", environ.get("CI_PIPELINE_ID", "")))
    if "CIRCLECI" in environ:
        by, run = environ.get("CIRCLE_USERNAME", "circleci"), environ.get("CIRCLE_WORKFLOW_ID", "")
        return Author(by, environ.get("CIRCLE_BUILD_URL", ""), _run("circleci", run))
    if "BUILDKITE" in environ:
        by, run = environ.get("BUILDKITE_BUILD_CREATOR", "buildkite"), environ.get("BUILDKITE_BUILD_ID", "")
        return Author(by, environ.get("BUILDKITE_BUILD_URL", ""), _run("buildkite", run))
    return Author(f"{_user()}@{platform.node()}")


def _run(engine: str, number: str) -> str:
    """What all jobs of one CI run share; empty where the engine does not tell, since that may share nothing."""
    return f"{engine} {number}" if number else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def quiet(_event: Event) -> None:
    """Listens to nothing."""
