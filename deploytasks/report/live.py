"""The reporter for a terminal: messages scroll by above a live table with one row per target."""

from typing import TextIO, assert_never

from msgspec import Struct
from rich.constrain import Constrain
from rich.live import Live

from deploytasks.model import Ended, Event, Logged, Planned, Progress, Report, Result, Target, Told
from deploytasks.report import plan, results
from deploytasks.report.lines import framed, logged, subject_width, told
from deploytasks.report.paint import Terminal, painted
from deploytasks.report.reporter import Clock, Reporter
from deploytasks.report.sheet import Block, Column, Sheet, Span, Words, line, table
from deploytasks.report.text import duration, revision_name, revision_number

_COLUMNS = (
    Column("target", "whole"),
    Column("revision", "whole", brief="rev"),
    Column("tasks", "whole"),
    Column("state", "whole"),
    Column("last event", "crop"),
)
_OTHER_LINES = 5  # of the screen: a blank, the title, the columns' names, what is left out, the cursor's
_CTRL_C_ECHO = 2  # columns: a terminal writes `^C` at the cursor; in a full row it would continue in the next one


class Row(Struct, frozen=True):
    """One target in the table, with its progress and its result as far as there are any."""

    target: Target
    progress: Progress | None = None
    result: Result | None = None

    @property
    def rank(self) -> int:
        """The order in which rows get the room of a small screen: under way, failed, not begun, succeeded."""
        if self.result:
            return 3 if self.result.row.is_good else 1
        return 0 if self.progress else 2


class LiveTable(Reporter):
    """Shows a table from the first rollout's progress on, and replaces it with the final one at the end.

    Rows are replaced, never changed: rich renders in a thread of its own, which takes no lock of ours.
    """

    def __init__(self, command: str, stdout: TextIO, clock: Clock) -> None:
        super().__init__(command, clock)
        self._terminal = Terminal(stdout)
        self._rows: dict[Target, Row] = {}
        self._live: Live | None = None
        self._width = 12

    def _tell(self, event: Event) -> None:
        match event:
            case Told():
                self._print(tuple(told(event, self._clock(), self._width)))
            case Logged():
                self._print(tuple(logged(event, self._width)))
            case Planned():
                self._width = subject_width(event)
                self._rows = {rollout.target: Row(rollout.target) for rollout in event.plan.rollouts}
                self._print(framed(plan.sheet(event.plan)))
            case Progress():
                self._put(Row(event.target, event))
            case Ended(result):
                known = self._rows.get(result.target, Row(result.target))
                self._put(Row(result.target, known.progress, result))
            case _:
                assert_never(event)

    def _end(self, report: Report) -> None:
        self._stop(erase=True)
        if self._plan is None and report.dry_run:
            self._print(framed(plan.sheet(report.plan)))
        self._print(results.sheet(report, self._elapsed_s()))

    def _leave(self, error: BaseException | None) -> None:
        self._stop(erase=False)

    def _put(self, row: Row) -> None:
        self._rows = {**self._rows, row.target: row}
        if self._live is None:
            self._live = Live(
                console=self._terminal, get_renderable=self._table, refresh_per_second=4, redirect_stdout=False
            )
            self._live.start()

    def _stop(self, *, erase: bool) -> None:
        if self._live is not None:
            self._live.transient = erase
            self._live.stop()
            self._live = None

    def _print(self, sheet: Sheet) -> None:
        self._terminal.put(sheet)

    def _table(self) -> Constrain:
        room = self._terminal.height - _OTHER_LINES
        sheet = live_sheet(self._heading(), tuple(self._rows.values()), room)
        return Constrain(painted(sheet), self._terminal.width - _CTRL_C_ECHO)

    def _heading(self) -> str:
        ended = sum(row.result is not None for row in self._rows.values())
        return f"{self._command}  {duration(self._elapsed_s()) or '0s'}  {ended} of {len(self._rows)} ended"


def live_sheet(heading: str, rows: tuple[Row, ...], room: int) -> Sheet:
    """Return the table as it stands; if there is no room for all rows, those that matter most, in their order."""
    chosen = set(sorted(range(len(rows)), key=lambda at: rows[at].rank)[: max(room, 1)])
    shown = [row for at, row in enumerate(rows) if at in chosen]
    left_out = len(rows) - len(shown)
    more: tuple[Block, ...] = (line(Span(f"… and {left_out} more", "dim")),) if left_out else ()
    return (
        line(Span(heading, "strong")),
        table(_COLUMNS, map(_cells, shown)),
        *more,
    )


def _cells(row: Row) -> list[Words]:
    known = row.result or row.progress
    if known is None:
        return [str(row.target), "", "", Span("waiting", "dim"), ""]
    state = row.progress.state if row.progress else ""
    return [
        str(row.target),
        Span(revision_name(known.revision), brief=revision_number(known.revision)),
        "" if row.target.job else f"{known.running}/{known.desired}",
        Span(row.result.outcome, row.result.row.tone) if row.result else state,
        Span(_last_words(row), "dim"),
    ]


def _last_words(row: Row) -> str:
    if row.result and row.result.detail:
        return row.result.detail
    return _without_service(row.progress.last_event) if row.progress else ""


def _without_service(event: str) -> str:
    """Return ECS's `(service api) has started 2 tasks.` without the service, which the row's first column names."""
    return event.partition(") ")[2] if event.startswith("(service ") else event
