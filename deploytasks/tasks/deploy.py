"""`inv deploy.<tier>`, and the tasks for what is deployed: `deploy.diff`, `wait`, `continue`, `stop`, `logs`, `run`."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import Difference, Intervention, Project, Scope, Target

    Intervene = Callable[[Project, Iterable[Target]], Sequence[Intervention]]


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
    @flags.task("deploy.TIER", tier)
    def deploy(c: Context, **given: Any) -> None:
        """Roll every target of the tier to what its tier tag names."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        flags.goes_with("run", given["run"], given["shard"], "--shard")
        scope, options = flags.asked(c, tier, given)
        work = commands.deploy_shard if options.shard else commands.deploy
        carry_out(root, Command.DEPLOY, work, scope, options, as_json=given["json"])

    return deploy


def _register(root: Path) -> Task[Any]:
    @flags.task("deploy.register")
    def register(c: Context, tier: str, **given: Any) -> None:
        """Register what a deploy would roll out; move no tag, touch no service."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        asked = flags.asked(c, tier, given)
        carry_out(root, Command.REGISTER, commands.register, *asked, as_json=given["json"])

    return register


def _wait(root: Path) -> Task[Any]:
    @flags.task("deploy.wait")
    def wait(c: Context, tier: str, **given: Any) -> None:
        """Follow whatever rollout is under way to its end; change nothing."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        carry_out(root, Command.WAIT, commands.wait, *flags.asked(c, tier, given), as_json=given["json"])

    return wait


def _continue(root: Path) -> Task[Any]:
    @flags.task("deploy.continue")
    def proceed(c: Context, tier: str, **given: Any) -> None:
        """Let rollouts that wait on a hook go on."""
        from deploytasks import commands

        scope, options = flags.asked(c, tier, given)
        work = partial(commands.proceed, dry_run=options.dry_run)
        _intervene(root, scope, work, dry_run=options.dry_run, as_json=given["json"])

    return proceed


def _stop(root: Path) -> Task[Any]:
    @flags.task("deploy.stop")
    def stop(c: Context, tier: str, **given: Any) -> None:
        """Stop rollouts under way: ECS goes back to what ran before, or leaves them with --abort."""
        from deploytasks import commands

        scope, options = flags.asked(c, tier, given)
        work = partial(commands.stop, back=not given["abort"], dry_run=options.dry_run)
        _intervene(root, scope, work, dry_run=options.dry_run, as_json=given["json"])

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
    from deploytasks.model import Command
    from deploytasks.report import continue_stop

    project = load(root)
    done = work(project, select(project, scope))
    sheet = continue_stop.sheet(done, command_line(Command.WAIT.task(scope.tier), scope, {}), dry_run=dry_run)
    shell.show(sheet, continue_stop.as_json(done, dry_run=dry_run), as_json=as_json)
    if failed := [each for each in done if each.complaint]:
        raise AwsError.of(scope.tier, f"{len(failed)} of {len(done)} targets could not be reached", "see above why")


def _diff(root: Path) -> Task[Any]:
    @flags.task("deploy.diff")
    def diff(c: Context, tier: str, **given: Any) -> None:
        """Show how live definitions differ from the rendered ones, or from another tenant's; exit 3 if they do."""
        from deploytasks import commands
        from deploytasks.config.load import load

        scope, other, project = flags.scope(tier, given), flags.text("across", given["across"]), load(root)
        found = commands.across(project, scope, other) if other else commands.differences(project, scope)
        _show(found, as_json=given["json"])
        _judge(found)

    return diff


def _show(found: Sequence["Difference"], *, as_json: bool) -> None:
    """Show the differences, with the secrets of this process's environment variables masked."""
    from deploytasks.report import diff

    grouped = diff.groups(found, os.environ)
    shell.show(diff.sheet(found, grouped), diff.as_json(found, grouped), as_json=as_json)


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
    @flags.task("deploy.logs")
    def logs(c: Context, tier: str, **given: Any) -> None:
        """Show the recent log lines of a tier's targets, or follow them."""
        from deploytasks.tasks import containers

        back, scope = flags.duration("since", given["since"]), flags.scope(tier, given)
        containers.logs(root, scope, back, follow=given["follow"], as_json=given["json"])

    return logs


def _run(root: Path) -> Task[Any]:
    @flags.task("deploy.run")
    def run(c: Context, tier: str, **given: Any) -> None:
        """Run a command once as a task of a service, or run a job: deploy.run TIER --tenant T --service S -- CMD..."""
        from deploytasks.tasks import containers

        scope, options = flags.asked(c, tier, given)
        job = flags.job(given)
        words = flags.words_after_dashes(c, tier, optional=bool(job))
        containers.run(root, scope, job, words, dry_run=options.dry_run, as_json=given["json"])

    return run
