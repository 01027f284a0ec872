"""`inv deploy.<tier>`, and the tasks for what is deployed: `deploy.diff`, `wait`, `continue`, `stop`, `logs`, `run`."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.model import Command
from deploytasks.report import diff as report_diff
from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import Difference, Intervention, Project, Scope, Target

    Intervene = Callable[[Project, Iterable[Target]], Sequence[Intervention]]


_HELP = flags.helped(
    *("tenant", "service", "exclude", "only-behind", "only-failed"),
    *("to", "allow-dirty", "allow-older", "override", "force", "shard", "run", "wait", "restore"),
    *("lock-wait", "dry-run", "json"),
)
_REGISTER_HELP = flags.TIER | flags.helped(
    *("tenant", "service", "exclude", "to", "allow-dirty", "allow-older", "override", "lock-wait", "dry-run", "json")
)
_WAIT_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "json")
_DIFF_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "across", "json")
_CONTINUE_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "dry-run", "json")
_STOP_HELP = _CONTINUE_HELP | flags.helped("abort")
_RUN_HELP = flags.TIER | flags.helped("tenant", "service", "dry-run", "json")
_LOGS_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "since", "follow", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """Return the namespace `deploy`."""
    controls = (_wait(root), _continue(root), _stop(root))
    return Collection(
        "deploy",
        _diff(root),
        *controls,
        _logs(root),
        _register(root),
        _run(root),
        *(_deploy(root, tier) for tier in tiers),
    )


def _deploy(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def deploy(
        c: Context,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        only_behind: bool = False,
        only_failed: bool = False,
        to: str | None = None,
        allow_dirty: bool = False,
        allow_older: bool = False,
        override: str | None = None,
        force: bool = False,
        shard: str | None = None,
        run: str | None = None,
        wait: bool = True,
        restore: bool = True,
        lock_wait: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Roll every target of the tier to what its tier tag names."""
        from deploytasks import commands

        flags.goes_with("run", run, shard, "--shard")
        how = {"force": force, "wait": wait, "restore": restore, "lock_wait": lock_wait, "dry_run": dry_run}
        only = {"only_behind": only_behind, "only_failed": only_failed, "shard": flags.shard(shard), "run": run}
        asked = {"to": to, "allow_dirty": allow_dirty, "allow_older": allow_older, "override": override}
        options = flags.options(c, **asked, **only, **how)
        work = commands.deploy_shard if options.shard else commands.deploy
        scope = flags.scope(tier, tenant, service, exclude)
        shell.carry_out(root, Command.DEPLOY, work, scope, options, as_json=json)

    return deploy


def _register(root: Path) -> Task[Any]:
    @task(name="register", auto_shortflags=False, positional=["tier"], help=_REGISTER_HELP)
    def register(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        to: str | None = None,
        allow_dirty: bool = False,
        allow_older: bool = False,
        override: str | None = None,
        lock_wait: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Register what a deploy would roll out; move no tag, touch no service."""
        from deploytasks import commands

        asked = {"to": to, "allow_dirty": allow_dirty, "allow_older": allow_older, "override": override}
        options = flags.options(c, **asked, lock_wait=lock_wait, dry_run=dry_run)
        shell.carry_out(
            root,
            Command.REGISTER,
            commands.register,
            flags.scope(tier, tenant, service, exclude),
            options,
            as_json=json,
        )

    return register


def _wait(root: Path) -> Task[Any]:
    @task(name="wait", auto_shortflags=False, positional=["tier"], help=_WAIT_HELP)
    def wait(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        json: bool = False,
    ) -> None:
        """Follow whatever rollout is under way to its end; change nothing."""
        from deploytasks import commands

        scope = flags.scope(tier, tenant, service, exclude)
        shell.carry_out(root, Command.WAIT, commands.wait, scope, flags.options(c), as_json=json)

    return wait


def _continue(root: Path) -> Task[Any]:
    @task(name="continue", auto_shortflags=False, positional=["tier"], help=_CONTINUE_HELP)
    def proceed(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Let rollouts that wait on a hook go on."""
        from deploytasks import commands

        scope, options = flags.scope(tier, tenant, service, exclude), flags.options(c, dry_run=dry_run)
        work = partial(commands.proceed, dry_run=options.dry_run)
        _intervene(root, scope, work, dry_run=options.dry_run, as_json=json)

    return proceed


def _stop(root: Path) -> Task[Any]:
    @task(name="stop", auto_shortflags=False, positional=["tier"], help=_STOP_HELP)
    def stop(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        abort: bool = False,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Stop rollouts under way: ECS goes back to what ran before, or leaves them with --abort."""
        from deploytasks import commands

        scope, options = flags.scope(tier, tenant, service, exclude), flags.options(c, dry_run=dry_run)
        work = partial(commands.stop, back=not abort, dry_run=options.dry_run)
        _intervene(root, scope, work, dry_run=options.dry_run, as_json=json)

    return stop


def _intervene(root: Path, scope: "Scope", work: "Intervene", *, dry_run: bool, as_json: bool) -> None:
    """Continue or stop the rollouts of the selected targets, and show what was done to each.

    Raises:
        AwsError: some targets could not be reached.

    """
    from deploytasks.commands.resume import command_line
    from deploytasks.config.load import load
    from deploytasks.config.select import select
    from deploytasks.errors import AwsError
    from deploytasks.report import continue_stop

    project = load(root)
    done = work(project, select(project, scope))
    sheet = continue_stop.sheet(done, command_line(Command.WAIT.task(scope.tier), scope, {}), dry_run=dry_run)
    shell.show(sheet, continue_stop.as_json(done, dry_run=dry_run), as_json=as_json)
    if failed := [each for each in done if each.complaint]:
        raise AwsError.of(scope.tier, f"{len(failed)} of {len(done)} targets could not be reached", "see above why")


def _diff(root: Path) -> Task[Any]:
    @task(name="diff", auto_shortflags=False, positional=["tier"], help=_DIFF_HELP)
    def diff(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        across: str | None = None,
        json: bool = False,
    ) -> None:
        """Show how live definitions differ from the rendered ones, or from another tenant's; exit 3 if they do."""
        from deploytasks import commands
        from deploytasks.config.load import load

        scope, other, project = flags.scope(tier, tenant, service, exclude), flags.text("across", across), load(root)
        found = commands.across(project, scope, other) if other else commands.differences(project, scope)
        _show(found, as_json=json)
        _judge(found)

    return diff


def _show(found: Sequence["Difference"], *, as_json: bool) -> None:
    """Show the differences, with the secrets of this process's environment variables masked."""
    grouped = report_diff.groups(found, os.environ)
    shell.show(report_diff.sheet(found, grouped), report_diff.as_json(found, grouped), as_json=as_json)


def _judge(found: Sequence["Difference"]) -> None:
    """Raise what gives the differences their exit code.

    Raises:
        AwsError: a target could not be compared.
        Different: a target differs.

    """
    from deploytasks.errors import AwsError, Different
    from deploytasks.report.diff import summary

    if any(each.complaints for each in found):
        raise AwsError.of("deploy.diff", f"not everything could be compared; {summary(found)}")
    if any(each.differs for each in found):
        raise Different.of("deploy.diff", summary(found))


def _logs(root: Path) -> Task[Any]:
    @task(name="logs", auto_shortflags=False, positional=["tier"], help=_LOGS_HELP)
    def logs(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        since: str = "10m",
        follow: bool = False,
        json: bool = False,
    ) -> None:
        """Show the recent log lines of a tier's targets, or follow them."""
        from deploytasks.tasks import containers

        back, scope = flags.duration("since", since), flags.scope(tier, tenant, service, exclude)
        containers.logs(root, scope, back, follow=follow, as_json=json)

    return logs


def _run(root: Path) -> Task[Any]:
    @task(name="run", auto_shortflags=False, positional=["tier"], help=_RUN_HELP)
    def run(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Run a command once, as a task of a service: deploy.run TIER --tenant T --service S -- CMD..."""
        from deploytasks.tasks import containers

        scope, options = flags.scope(tier, tenant, service), flags.options(c, dry_run=dry_run)
        containers.run(root, scope, flags.words_after_dashes(c, tier), dry_run=options.dry_run, as_json=json)

    return run
