"""The context of a command: the project, scope, options and clients; and who runs it."""

import getpass
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks.aws import lock_holders
from deploytasks.aws.botocore_session import prepare
from deploytasks.aws.lock_holders import Fence
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
    Image,
    OnEvent,
    Options,
    Project,
    Scope,
    Target,
    Tier,
    Told,
)
from deploytasks.template.render import Renderer


class Context(Struct, frozen=True):
    """A command and everything it works with. `targets` are the selected ones."""

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
    """The version of `envs/` and `templates/`; None for a command that renders nothing."""
    fence: Fence = field(default_factory=Fence)
    """Prevents new changes once the tier's lock is lost; armed by `lock`."""
    token: str = field(default_factory=lock_holders.new_token)
    """Identifies the command's lock and its hold."""

    @property
    def tier(self) -> Tier:
        """Return the tier that the command is about."""
        return self.project.tier(self.scope.tier)

    @property
    def images(self) -> tuple[Image, ...]:
        """Return the selected images, else those of the selected targets, in file order."""
        if not self.scope.images:
            return self.project.images_of(self.targets)
        return tuple(image for image in self.project.images if image.name in self.scope.images)

    @property
    def ecr(self) -> Any:
        """Return the registry's ECR client."""
        return registry_client(self.project, self.clients)


def begin(command: Command, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Context:
    """Return the context of a command that will change something, with its targets selected.

    Raises:
        Invalid: a tenant or service does not exist, or no target is left.
        NotReady: there are no credentials for the registry, or they belong to another account.

    """
    with before_any_change():
        return begin_to_look(command, project, scope, options, tell)


def begin_to_look(command: Command, project: Project, scope: Scope, options: Options, tell: OnEvent) -> Context:
    """Return the context of a command, with its targets selected; what only reads needs no `begin`.

    Raises:
        Invalid: a tenant or service does not exist, or no target is left.
        NotReady: the registry's credentials belong to another account.
        AwsError: there are no credentials, or AWS can't be reached.

    """
    author = whoami_here()
    targets = select(project, scope)
    clients = Clients(author, tell, project.sessions)
    context = Context(command, project, scope, options, tell, author, clients, targets, Renderer(project))
    _, _, config, _ = together(
        lambda: guard_registry(project, context.clients),
        lambda: _sign_in(context),
        lambda: config_of(project.root) if command.row.renders else None,
        lambda: _prepare(context) if command.row.renders else None,
    )
    return replace(context, config=config)


def _prepare(context: Context) -> None:
    """Read Jinja and botocore's models while AWS answers who we are; a fault shows where they are used."""
    with suppress(Exception):
        prepare(("ssm", "ecr"))
        context.renderer.prepare()
        prepare(("secretsmanager", "iam"))


def _sign_in(context: Context) -> None:
    """Get every account's credentials before they are needed; `observe` reports accounts for which that fails."""

    def enter(access: Access) -> None:
        with suppress(AwsError):
            context.clients.of("ecs", access)

    each(enter, {target.access: None for target in context.targets if context.command.row.targets})


def guard_registry(project: Project, clients: Clients) -> None:
    """Check that the registry's credentials belong to the account in `envs/project.toml`.

    Raises:
        NotReady: they belong to another account.

    """
    wanted, actual = project.registry.access.account, clients.account(project.registry.access)
    if actual != wanted:
        what = f"the credentials belong to account {actual}, the file says {wanted}"
        raise NotReady.of("envs/project.toml: registry.account", what, "fix it, its `role` or `profile`, or sign in")


def reach(project: Project) -> Clients:
    """Return new clients, for a command without a context."""
    return Clients(whoami_here(), sessions=project.sessions)


def registry_client(project: Project, clients: Clients) -> Any:
    """Return the registry's ECR client."""
    return clients.of("ecr", project.registry.access)


def registry_ssm(project: Project, clients: Clients) -> Any:
    """Return the SSM client of the registry's account, which stores the locks."""
    return clients.of("ssm", project.registry.access)


@contextmanager
def before_any_change() -> Iterator[None]:
    """Turn errors in the block into refusals (exit code 2): nothing was changed yet.

    Raises:
        NotReady: in place of an AwsError, or of an OSError of a file that can't be read or written.

    """
    try:
        yield
    except AwsError as error:
        raise NotReady(*error.complaints) from error
    except OSError as error:
        raise NotReady(unwritable(error)) from error


def say(context: Context, step: str, message: str, about: str | None = None) -> None:
    """Send the listener a message about a step."""
    context.tell(Told(step, message, about))


def whoami_here() -> Author:
    """Return the author of what this process does."""
    return whoami(os.environ)


def whoami(environ: Mapping[str, str]) -> Author:
    """Return the author: in CI its actor and run, elsewhere `user@host`.

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
    """Return what all jobs of one CI run share; empty if the engine gives no number, which different runs may share."""
    return f"{engine} {number}" if number else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def quiet(_event: Event) -> None:
    """Ignore the event."""
