"""Show containers' logs on this process's streams, and end with their exit codes."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deploytasks.config import select as config_select
from deploytasks.tasks import shell

if TYPE_CHECKING:
    from deploytasks.model import Exited, Scope
    from deploytasks.report.log import Log


LOST = 1
"""The exit code if it is unknown how the command ended."""


def logs(root: Path, scope: "Scope", since: timedelta, *, follow: bool, as_json: bool) -> None:
    """Print the targets' log lines on stdout, and what could not be read on stderr.

    Raises:
        AwsError: some targets' logs could not be read; the others' were printed.
        Interrupted: Ctrl-C, which ends following.

    """
    from deploytasks import commands
    from deploytasks.config.load import load
    from deploytasks.config.select import select
    from deploytasks.errors import AwsError
    from deploytasks.report.log import Log

    project = load(root)
    targets, command = select(project, scope), f"deploy.logs {scope.tier}"
    width = max(len(str(target)) for target in targets)
    with Log(command, sys.stdout, sys.stderr, "json" if as_json else "stamped", width=width) as log:
        watched = commands.watch(project, targets)
        log.keep_back(watched.definitions, targets)
        complaints = commands.logs(watched, since, log, follow=(lambda: log.is_read) if follow else None)
        log.finish({"complaints": [str(each) for each in complaints], "exit": 1 if complaints else 0})
    shell.raise_if_lost(log.lost)
    if complaints:
        unread = {complaint.where for complaint in complaints}
        raise AwsError.of(command, f"not every log could be read: {', '.join(sorted(unread))}")
    if not log.lines and not as_json:
        shell.warn(f"{command}: {_nothing_since(since)}")


def run(root: Path, scope: "Scope", job: str, words: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Run the command, or the job; its output goes to stdout, and messages about it to stderr.

    Raises:
        NotReady: nothing was started.
        CommandFailed: with the command's exit code, 125 if it never started.
        AwsError: how it ended is unknown.
        Interrupted: Ctrl-C; the task was stopped.

    """
    from deploytasks import commands
    from deploytasks.config.load import load
    from deploytasks.model import Told
    from deploytasks.report.log import Log, exited_json

    project = load(root)
    target, command = config_select.one(project, scope, job), f"deploy.run {scope.tier}"
    with Log(command, sys.stdout, sys.stderr, "json" if as_json else "bare") as log:
        prepared = commands.prepare(project, target, words)
        log.keep_back([prepared.definition], [target])
        if dry_run:
            log(Told("run", f"dry run: nothing was started; it would run in {prepared}", str(target)))
            log.finish({"dry_run": True, "exit": 0})
            return
        exited = commands.run(prepared, log)
        log.finish(exited_json(exited, _code(exited)))
        _raise_unless_well(exited, log)
        shell.raise_if_lost(log.lost)


def _code(exited: "Exited") -> int:
    """Return this process's exit code: the command's own, 255 if that is out of range, 125 if it never started."""
    from deploytasks.errors import CommandFailed

    if exited.code is None:
        return LOST if exited.began else CommandFailed.NEVER_STARTED
    return exited.code if 0 <= exited.code <= 255 else 255


def _raise_unless_well(exited: "Exited", log: "Log") -> None:
    from deploytasks.errors import AwsError, CommandFailed, Complaint

    where, reason = str(exited.target), log.shown(exited.reason)
    match exited.code:
        case 0:
            return
        case None if exited.began:
            raise AwsError.of(where, f"how the command ended is not known: {reason or 'ECS tells no exit code'}")
        case None:
            raise CommandFailed.of(where, f"the command never started: {reason or 'no reason is known'}")
        case code:
            what = f"the command ended with exit code {code}" + (f": {reason}" if reason else "")
            raise CommandFailed(Complaint(where, what), exit_code=_code(exited))


def _nothing_since(since: timedelta) -> str:
    hours = int(since.total_seconds() // 3600)
    further = f"--since {hours * 6 or 1}h looks further back"
    return f"no line in that time; {further}, and a target that runs no task writes none: inv status"
