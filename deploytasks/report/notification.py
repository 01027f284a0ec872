"""Compose a webhook's messages about a command: its start, its end, or why it broke off. Pure.

A message is in the format of Slack's incoming webhooks, which Mattermost, Rocket.Chat and Discord (`…/slack`) accept
too: text without blocks, which only Slack supports. Text written by others is escaped: it links and notifies nobody.
Source: Slack's "Formatting text for app surfaces": `&`, `<` and `>` are escaped, `*bold*`, `<address|words>`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from deploytasks.errors import ended_as
from deploytasks.model import Heading, Plan, Report, Result
from deploytasks.report.results import counts, summary
from deploytasks.report.secrets import secret_values, veil, veiled_report
from deploytasks.report.text import counted, harmless, lines_of, one_line, short_commit

Message = dict[str, str]

_LONGEST_LINE = 300
_MOST_LINES = 15
_MOST_NAMES = 10
_LONGEST_COMMAND = 2000
_CALL = re.compile(r"@(?=channel|everyone|here|all)")
_ADDRESS = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)


def begun(heading: Heading, plan: Plan) -> Message:
    """Return the message that the command begins to change something."""
    targets = counted(len(plan.rollouts), "target") if plan.rollouts else ""
    return _veiled(plan, _message(f"▶ {_name(heading)} begins", [*_about(heading, plan, targets), _by(heading)]))


def ended(heading: Heading, report: Report, elapsed_s: float) -> Message:
    """Return the message about the end: the summary, why targets failed, and the command to resume with."""
    safe = veiled_report(report)
    sign, verb = ("✖", "failed") if report.failed else ("✔", "is done")
    notes = [_text(each) for note in safe.notes for each in lines_of(note)][:_MOST_LINES]
    said = [*_about(heading, report.plan), *_failures(safe.failed), *notes, *_resume(report), _by(heading)]
    return _veiled(report.plan, _message(f"{sign} {_name(heading)} {verb}: {summary(report, elapsed_s)}", said))


def broken_off(heading: Heading, plan: Plan, results: Sequence[Result], error: BaseException) -> Message:
    """Return the message about a command that broke off: why, and which targets had ended until then."""
    known = veiled_report(Report(heading.command, plan, tuple(results)))
    until = f", until then {counts(results)}" if results else ""
    told = lines_of(veil(str(error), secret_values(plan))) or [type(error).__name__]
    why = [_text(each) for each in told[:_MOST_LINES]]
    said = [*_about(heading, plan), *_failures(known.failed), *why, _by(heading)]
    return _veiled(plan, _message(f"✖ {_name(heading)} {ended_as(error)}{until}", said))


def _message(first: str, said: Iterable[str]) -> Message:
    return {"text": "\n".join([first, *said])}


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
    """Return the release that everything in the plan shares; "" if there is none, or several."""
    named = {step.release for step in plan.tag_steps} or {rollout.desired.release or "" for rollout in plan.rollouts}
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


def _veiled(plan: Plan, message: Message) -> Message:
    """Return the message with the secrets of the plan's definitions masked."""
    secrets = secret_values(plan)
    return {name: veil(text, secrets) for name, text in message.items()}
