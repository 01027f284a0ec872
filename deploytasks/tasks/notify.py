"""Send the start and the end of a command that changes a tier to the project's webhook, if it has one."""

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from deploytasks import commands
from deploytasks.model import Command, Ended, Event, Heading, Options, Plan, Planned, Project, Report, Result, Told
from deploytasks.report import notification
from deploytasks.report.reporter import Reporter

if TYPE_CHECKING:
    from deploytasks.notify import Sender


class Announced:
    """Pass every event to the reporter, and send the start and the end, however it comes, to the webhook.

    Send no message for a no-op, nor for a command that was refused before its start was sent.
    """

    def __init__(
        self, show: Reporter, sender: "Sender | None", heading: Callable[[Plan], Heading], *, is_shard: bool = False
    ) -> None:
        self._show, self._sender, self._heading, self._is_shard = show, sender, heading, is_shard
        self._began_at = time.monotonic()
        self._lock = Lock()
        self._plan: Plan | None = None
        self._results: tuple[Result, ...] = ()
        self._is_open = False

    def __call__(self, event: Event) -> None:
        """Show the event; the first plan that changes something is the start."""
        with self._lock:
            match event:
                case Planned(plan):
                    self._begin(plan)
                case Ended(result):
                    self._results += (result,)
        self._show(event)

    def finish(self, report: Report) -> None:
        """Send the end to the webhook, and show it even if sending fails."""
        elapsed_s = time.monotonic() - self._began_at
        try:
            self._end(lambda: notification.ended(self._heading(report.plan), report, elapsed_s))
        finally:
            self._show.finish(report)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        plan, results = self._plan, self._results
        if error is not None and plan is not None:
            self._end(lambda: notification.broken_off(self._heading(plan), plan, results, error))

    def _begin(self, plan: Plan) -> None:
        if self._sender and self._plan is None and not plan.is_nothing:
            self._is_open = True
            if not self._is_shard:  # release.matrix sent the start for all shards
                self._sender.send("the start", lambda: notification.begun(self._heading(plan), plan))
        self._plan = plan

    def _end(self, compose: Callable[[], notification.Message]) -> None:
        if self._sender and self._is_open:
            self._is_open = False
            self._sender.send("the end", compose)
            self._sender.close()


def announced(project: Project, tier: str, command: Command, options: Options, show: Reporter) -> Announced:
    """Return the reporter, with the project's webhook if it has one and the command changes a tier."""
    webhook = project.webhook

    def heading(plan: Plan) -> Heading:
        part = f" --shard {options.shard}" if options.shard else ""
        return commands.heading(project, tier, command.task(tier) + part, notification.commits_of(plan))

    if webhook is None or not command.row.notifies or options.dry_run:
        return Announced(show, None, heading)
    from deploytasks.notify import Sender  # imports urllib, which only a webhook needs

    sender = Sender(lambda: commands.address(project, webhook), lambda problem: show(Told("notify", problem)))
    return Announced(show, sender, heading, is_shard=options.shard is not None)
