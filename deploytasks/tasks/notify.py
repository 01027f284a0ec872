"""A command that changes a tier tells the team's channel, if there is one, of its start and of its end."""

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
    """Shows all that it is told, as the face would, and tells a channel of the start and of whatever end there is.

    What finds nothing to do is not worth a message, and neither is what was refused before its start was told.
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
        """The event is shown; the first plan that changes something is the start."""
        with self._lock:
            match event:
                case Planned(plan):
                    self._begin(plan)
                case Ended(result):
                    self._results += (result,)
        self._show(event)

    def finish(self, report: Report) -> None:
        """The channel is told of the end; and the end is shown, whatever comes of the telling."""
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
            if not self._is_shard:  # the start was told by the matrix, for all of them
                self._sender.send("the start", lambda: notification.begun(self._heading(plan), plan))
        self._plan = plan

    def _end(self, compose: Callable[[], notification.Message]) -> None:
        if self._sender and self._is_open:
            self._is_open = False
            self._sender.send("the end", compose)
            self._sender.close()


def announced(project: Project, tier: str, command: Command, options: Options, show: Reporter) -> Announced:
    """The face and, where the project has one and the command changes a tier, its channel."""
    webhook = project.webhook

    def heading(plan: Plan) -> Heading:
        part = f" --shard {options.shard}" if options.shard else ""
        return commands.heading(project, tier, command.task(tier) + part, notification.commits_of(plan))

    if webhook is None or not command.row.notifies or options.dry_run:
        return Announced(show, None, heading)
    from deploytasks.notify import Sender  # urllib, which nobody needs who tells nobody

    sender = Sender(lambda: commands.address(project, webhook), lambda problem: show(Told("notify", problem)))
    return Announced(show, sender, heading, is_shard=options.shard is not None)
