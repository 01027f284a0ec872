"""`inv envs.list`, `show ENV`, `render ENV`, `check` and `bootstrap`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.errors import Complaint


_YES = {"yes": "do not ask: take over repositories that carry no project, and make those whose former one is there"}
_ENV = {"env": "an environment as `inv envs.list` shows it: dev, mb-prod"}


def collection(root: Path) -> Collection:
    """Return the namespace `envs`."""
    return Collection("envs", _list(root), _show(root), _render(root), _check(root), _bootstrap(root))


def _list(root: Path) -> Task[Any]:
    @task(name="list", auto_shortflags=False, help=flags.helped("json"))
    def list_environments(c: Context, json: bool = False) -> None:
        """List every environment with its account, cluster, wave and services."""
        from deploytasks.config.load import load
        from deploytasks.report import settings

        targets = load(root).targets
        shell.show(settings.environments_sheet(targets), settings.environments_json(targets), as_json=json)

    return list_environments


def _show(root: Path) -> Task[Any]:
    @task(name="show", auto_shortflags=False, positional=["env"], help=_ENV | flags.helped("service", "json"))
    def show(c: Context, env: str, service: str | None = None, json: bool = False) -> None:
        """Show an environment's merged settings, each with the file and line that it came from."""
        from deploytasks.config import select
        from deploytasks.config.layers import settings as settings_of
        from deploytasks.config.load import load
        from deploytasks.report import settings

        targets = select.environment(load(root), env, service)
        rows = {target.service: settings_of(root, target) for target in targets}
        shell.show(settings.services_sheet(rows), settings.services_json(rows), as_json=json)

    return show


def _render(root: Path) -> Task[Any]:
    @task(name="render", auto_shortflags=False, positional=["env"], help=_ENV | flags.helped("service"))
    def render(c: Context, env: str, service: str | None = None) -> None:
        """Print the task definition that an environment's template gives, as JSON, for an image of zeros."""
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.template.check import rendered

        project = load(root)
        renders = {each.service: rendered(project, each) for each in select.environment(project, env, service)}
        shell.show_exactly(next(iter(renders.values())) if len(renders) == 1 else renders)

    return render


def _check(root: Path) -> Task[Any]:
    @task(name="check", auto_shortflags=False, help=flags.helped("json"))
    def check(c: Context, json: bool = False) -> None:
        """Check every file, template and environment, offline."""
        from deploytasks.commands import envs_check
        from deploytasks.config.load import load
        from deploytasks.errors import Invalid, raise_all
        from deploytasks.report import settings
        from deploytasks.template.check import check_all

        project = load(root)
        raise_all(Invalid, [*check_all(project), *envs_check.complaints(project)])
        shell.show(settings.checked_sheet(project.targets), settings.checked_json(project.targets), as_json=json)

    return check


def _bootstrap(root: Path) -> Task[Any]:
    @task(name="bootstrap", auto_shortflags=False, help=_YES | flags.helped("dry-run"))
    def bootstrap(c: Context, yes: bool = False, dry_run: bool = False) -> None:
        """Make the missing ECR repositories, and let all tenants' accounts pull from them."""
        from deploytasks import commands
        from deploytasks.config.load import load

        options = flags.options(c, dry_run=dry_run)
        changes = 0
        for change in commands.bootstrap(load(root), None if yes else _agreed, dry_run=options.dry_run):
            shell.say(change)
            changes += 1
        if not changes:
            shell.say("every repository is there, and all accounts may pull")
        if options.dry_run:
            shell.say(shell.DRY_RUN)

    return bootstrap


def _agreed(doubts: "Sequence[Complaint]") -> bool:
    """Ask at the terminal whether to go on despite these doubts; return whether the answer is yes.

    Raises:
        NotReady: there is no terminal to ask on.

    """
    from deploytasks.errors import Complaint, NotReady

    said = "; ".join(f"{doubt.where}: {doubt.what}" for doubt in doubts)
    answer = shell.ask(f"{said}: go on?")
    if answer is None:
        unasked = Complaint("envs.bootstrap", "there is no terminal to ask on", "inv envs.bootstrap --yes does it")
        raise NotReady(*doubts, unasked)
    return answer
