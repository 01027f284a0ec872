"""The messages that a webhook receives about a command: one row a kind, when it is sent, and its text.

A message is in the format of Slack's incoming webhooks, which Mattermost, Rocket.Chat and Discord (`…/slack`) accept
too: text without blocks, which only Slack supports. Text written by others is escaped: it links and notifies nobody.
Source: Slack's "Formatting text for app surfaces": `&`, `<` and `>` are escaped, `*bold*`, `<address|words>`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.errors import ended_as
from deploytasks.model import Event, Heading, Plan, Planned, Report, Result
from deploytasks.report.masking import veil, veiled_report
from deploytasks.report.reporter import Around, Reporter, utc_now
from deploytasks.report.results import counts, summary
from deploytasks.report.secrets import secret_values
from deploytasks.report.text import counted, harmless, lines_of, one_line, short_commit

Message = dict[str, str]
Send = Callable[[str, Callable[[], Message]], None]

_LONGEST_LINE = 300
_MOST_LINES = 15
_MOST_NAMES = 10
_LONGEST_COMMAND = 2000
_CALL = re.compile(r"@(?=channel|everyone|here|all)")
_ADDRESS = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)


class Moment(Struct, frozen=True):
    """What just happened, and what is known by then: an event, the report at the end, or the error that ended it."""

    plan: Plan
    results: tuple[Result, ...] = ()
    event: Event | None = None
    report: Report | None = None
    error: BaseException | None = None
    elapsed_s: float = 0.0


class Kind(Struct, frozen=True):
    """A kind of message: its name, what docs/envs.md says of it, when it is due, and how `_message` is made of it."""

    name: str
    meaning: str
    is_due: Callable[[Moment], bool]
    compose: Callable[[Heading, Moment], Message]
    by_each_shard: bool = True
    """Every shard sends it, else `release.matrix` alone."""


KINDS = (
    Kind(
        "start",
        "when the command begins to change something: how many targets",
        lambda now: isinstance(now.event, Planned),
        lambda heading, now: begun(heading, now.plan),
        by_each_shard=False,
    ),
    Kind(
        "end",
        "when it is done, failed or was interrupted: how many targets had which outcome, why the failed ones failed, "
        "and the command that resumes",
        lambda now: now.report is not None or now.error is not None,
        lambda heading, now: _ended_somehow(heading, now),
    ),
)


class Notifying(Around):
    """Sends the messages that are due while it passes every event on. `close` waits until they are sent.

    Send no message for a no-op, nor for one more commit tag on an image, nor for a command that was refused before it
    began.
    """

    def __init__(
        self,
        show: Reporter,
        send: Send,
        close: Callable[[], None],
        heading: Callable[[Plan], Heading],
        *,
        is_shard: bool = False,
    ) -> None:
        super().__init__(show, "", utc_now)
        self._send, self._close, self._heading = send, close, heading
        self._kinds = [kind for kind in KINDS if kind.by_each_shard or not is_shard]
        self._is_open = False

    def _tell(self, event: Event) -> None:
        if isinstance(event, Planned):
            self._is_open = not replace(event.plan, reuses=()).is_nothing
        self._notify(event=event)
        super()._tell(event)

    def _end(self, report: Report) -> None:
        try:
            self._notify(report=report)
        finally:
            super()._end(report)

    def _leave(self, error: BaseException | None) -> None:
        """Send the end; the reporter inside is left by whoever entered it."""
        self._notify(error=error)

    def _notify(
        self, event: Event | None = None, report: Report | None = None, error: BaseException | None = None
    ) -> None:
        """Send what is due; after the end, wait for it, and send no more."""
        if not self._is_open or self._plan is None:
            return
        now = Moment(self._plan, self._ended, event, report, error, self._elapsed_s())
        for kind in self._kinds:
            if kind.is_due(now):
                self._send(f"the {kind.name}", partial(self._composed, kind, now))
        if report is not None or error is not None:
            self._is_open = False
            self._close()

    def _composed(self, kind: Kind, now: Moment) -> Message:
        return kind.compose(self._heading(now.plan), now)


def _ended_somehow(heading: Heading, now: Moment) -> Message:
    if now.error:
        return broken_off(heading, now.plan, now.results, now.error)
    return ended(heading, now.report or Report(heading.command, now.plan), now.elapsed_s)


def begun(heading: Heading, plan: Plan) -> Message:
    """Return the message that the command begins to change something."""
    targets = counted(len(plan.rollouts), "target") if plan.rollouts else ""
    return _message(heading, plan, f"▶ {_name(heading)} begins", _about(heading, plan, targets))


def ended(heading: Heading, report: Report, elapsed_s: float) -> Message:
    """Return the message about the end: the summary, why targets failed, and the command to resume with."""
    safe = veiled_report(report)
    sign, verb = ("✖", "failed") if report.failed else ("✔", "is done")
    notes = [_text(each) for note in safe.notes for each in lines_of(note)][:_MOST_LINES]
    said = [*_about(heading, report.plan), *_failures(safe.failed), *notes, *_resume(report)]
    return _message(heading, report.plan, f"{sign} {_name(heading)} {verb}: {summary(report, elapsed_s)}", said)


def broken_off(heading: Heading, plan: Plan, results: Sequence[Result], error: BaseException) -> Message:
    """Return the message about a command that broke off: why, and which targets had ended until then."""
    known = veiled_report(Report(heading.command, plan, tuple(results)))
    until = f", until then {counts(results)}" if results else ""
    told = lines_of(veil(str(error), secret_values(plan))) or [type(error).__name__]
    why = [_text(each) for each in told[:_MOST_LINES]]
    said = [*_about(heading, plan), *_failures(known.failed), *why]
    return _message(heading, plan, f"✖ {_name(heading)} {ended_as(error)}{until}", said)


def _message(heading: Heading, plan: Plan, first: str, said: Iterable[str]) -> Message:
    """Return the lines, each escaped by `_text`, and the author, with the secrets of the plan's definitions masked."""
    return {"text": veil("\n".join([first, *said, _by(heading)]), secret_values(plan))}


def _name(heading: Heading) -> str:
    return f"*{_text(heading.project)} {_text(heading.tier)}*: inv {_text(heading.command)}"


def _about(heading: Heading, plan: Plan, targets: str = "") -> list[str]:
    """Return lines with the commits and their subjects, and with the release."""
    subjects = {commit: _text(heading.subjects.get(commit, "")) for commit in commits_of(plan)}
    commits = [f"commit {short_commit(commit)} {subject}".rstrip() for commit, subject in subjects.items()]
    release = _release(plan)
    known = [f"release {release}" if release else "", targets]
    return [*commits[:_MOST_LINES], *filter(None, [", ".join(filter(None, known))])]


def _release(plan: Plan) -> str:
    """Return the release that the plan makes, else the one that everything in it shares; "" if none, or several."""
    made = {step.release for step in plan.tag_steps if step.mint or step.move}
    named = made or {rollout.desired.newest_release for rollout in plan.rollouts}
    return next(iter(named)) if len(named) == 1 else ""


def commits_of(plan: Plan) -> tuple[str, ...]:
    """Return the commits of the plan, each once."""
    named = [
        *(build.commit_tag for build in plan.builds),
        *(step.commit_tag for step in plan.tag_steps),
        *(rollout.desired.commit_tag for rollout in plan.rollouts),
    ]
    return tuple(dict.fromkeys(filter(None, named)))


def _failures(failed: Iterable[Result]) -> Iterator[str]:
    """Yield the failed targets with the first line of the reason, grouped by outcome and reason."""
    alike: dict[tuple[str, str], list[str]] = {}
    for result in failed:
        why = next(iter(lines_of(result.detail)), "no reason is known")
        alike.setdefault((result.outcome, why), []).append(str(result.target))
    for (outcome, why), names in list(alike.items())[:_MOST_LINES]:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield f"• {_text(', '.join(names[:_MOST_NAMES]))}{more} {outcome}: {_text(why)}"
    if len(alike) > _MOST_LINES:
        yield f"• and {len(alike) - _MOST_LINES} other reasons: the command's own log has all of them"


def _resume(report: Report) -> list[str]:
    """Return the command to resume with, whole or not at all, since it is to be copied."""
    if len(report.resume) > _LONGEST_COMMAND:
        return ["the command that goes on stands in the log: it names too many tenants for a message"]
    return [_escaped(harmless(each)) for each in lines_of(report.resume)]


def _by(heading: Heading) -> str:
    """Return the author and the CI run, as a link only if it is an address: `<!channel|…>` would notify everybody."""
    ci = one_line(heading.author.ci)
    if not _ADDRESS.fullmatch(ci):
        return f"by {_text(heading.author.by)}" + (f", {_text(ci)}" if ci else "")
    return f"by {_text(heading.author.by)}, <{_escaped(ci).replace('|', '%7C')}|CI run>"


def _text(words: str) -> str:
    """Return the words on one line of limited length, with Slack's markup escaped."""
    line = one_line(words)
    return _escaped(line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1].rstrip()}…")


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALL.sub("@ ", text)
