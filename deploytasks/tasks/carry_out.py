"""Carry out a command that works on a tier: its reporter, its webhook, its report and its exit code.

Tasks import this in their bodies: it loads all that `inv --list` does without.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from deploytasks import commands
from deploytasks.config.load import load
from deploytasks.errors import Complaint, DeployError, RolloutsFailed, contained
from deploytasks.model import Command, Heading, OnEvent, Options, Plan, Project, Report, Scope, Told
from deploytasks.report.masking import veiled_report
from deploytasks.report.progress import reporter_for
from deploytasks.report.reporter import Reporter
from deploytasks.report.results import explained
from deploytasks.tasks import seen, shell

Work = Callable[[Project, Scope, Options, OnEvent], Report]


def carry_out(root: Path, command: Command, work: Work, scope: Scope, options: Options, *, as_json: bool) -> None:
    """Run the command and show its report.

    Raises:
        RolloutsFailed: a rollout did not end well.
        Failure: stdout rejected the report.
        Interrupted: SIGINT or SIGTERM.

    """
    with reporting(root, command, scope, options, sys.stdout, as_json=as_json) as (project, show):
        with _veiling(show), contained(command.task(scope.tier)):
            report = work(project, scope, options, show)
        seen.releases(root, [step.release for step in report.plan.tag_steps], dry_run=options.dry_run)
        show.finish(report)
    raise_if_failed(report)
    shell.raise_if_lost(show.lost)


@contextmanager
def reporting(
    root: Path, command: Command, scope: Scope, options: Options, stream: TextIO, *, as_json: bool
) -> Iterator[tuple[Project, Reporter]]:
    """Yield the project, and the reporter that the command is shown by on the stream and told by to the webhook."""
    with reporter_for(command.task(scope.tier), stream, as_json=as_json, summarised=not options.dry_run) as show:
        project = load(root)
        with _notifying(project, scope.tier, command, options, show) as told:
            yield project, told


@contextmanager
def _notifying(project: Project, tier: str, command: Command, options: Options, show: Reporter) -> Iterator[Reporter]:
    """Yield the reporter; if the project has a webhook and the command changes a tier, one that sends messages too."""
    webhook = project.webhook
    if webhook is None or not command.row.notifies or options.dry_run:
        yield show
        return
    from deploytasks.notify import Sender  # imports urllib, which only a webhook needs
    from deploytasks.report.notification import Notifying, commits_of

    task = command.task(tier) + (f" --shard {options.shard}" if options.shard else "")

    def heading(plan: Plan) -> Heading:
        return commands.heading(project, tier, task, commits_of(plan))

    sender = Sender(lambda: commands.address(project, webhook), lambda problem: show(Told("notify", problem)))
    with Notifying(show, sender.send, sender.close, heading, is_shard=options.shard is not None) as told:
        yield told


@contextmanager
def _veiling(show: Reporter) -> Iterator[None]:
    """Mask the plan's secrets in an error raised inside, whatever stream it is printed on."""
    try:
        yield
    except DeployError as error:
        error.reword(show.shown)
        raise


def raise_if_failed(report: Report) -> None:
    """Raise RolloutsFailed if a rollout did not end well; each is a complaint of its own for CI's annotations."""
    if report.failed:
        shown = veiled_report(report)
        each = [
            Complaint(f"{result.target} {result.outcome}", "\n".join(line.text for line in explained(result)))
            for result in shown.failed
        ]
        raise RolloutsFailed(Complaint(report.command, "; ".join(one.where for one in each), shown.resume), each=each)
