"""What a channel is told of a command: its start, its end, and whatever kept it from an end. Pure.

A message is what Slack's incoming webhooks take, and those of Mattermost, Rocket.Chat and Discord (`…/slack`) too:
text, and no blocks, which only Slack knows. Whatever others wrote is harmless in it: it links nowhere, calls nobody.
Source: Slack's "Formatting text for app surfaces": `&`, `<` and `>` are escaped, `*bold*`, `<address|words>`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from deploytasks.model import Heading, Plan, Report, Result
from deploytasks.report.reporter import exit_code
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
    """The command changes something from now on."""
    targets = counted(len(plan.rollouts), "target") if plan.rollouts else ""
    return _veiled(plan, _message(f"▶ {_name(heading)} begins", [*_about(heading, plan, targets), _by(heading)]))


def ended(heading: Heading, report: Report, elapsed_s: float) -> Message:
    """What the command came to; why each target that did not end well did not, and what goes on."""
    safe = veiled_report(report)
    sign, verb = ("✖", "failed") if report.failed else ("✔", "is done")
    notes = [_text(each) for note in safe.notes for each in lines_of(note)][:_MOST_LINES]
    said = [*_about(heading, report.plan), *_failures(safe.failed), *notes, *_resume(report), _by(heading)]
    return _veiled(report.plan, _message(f"{sign} {_name(heading)} {verb}: {summary(report, elapsed_s)}", said))


def broken_off(heading: Heading, plan: Plan, results: Sequence[Result], error: BaseException) -> Message:
    """Why the command came to no end, and what had ended until then."""
    known = veiled_report(Report(heading.command, plan, tuple(results)))
    until = f", until then {counts(results)}" if results else ""
    told = lines_of(veil(str(error), secret_values(plan))) or [type(error).__name__]
    why = [_text(each) for each in told[:_MOST_LINES]]
    verb = {2: "was refused", 130: "was interrupted"}.get(exit_code(error), "failed")
    said = [*_about(heading, plan), *_failures(known.failed), *why, _by(heading)]
    return _veiled(plan, _message(f"✖ {_name(heading)} {verb}{until}", said))


def _message(first: str, said: Iterable[str]) -> Message:
    return {"text": "\n".join([first, *said])}


def _name(heading: Heading) -> str:
    return f"*{_text(heading.project)} {_text(heading.tier)}*: inv {_text(heading.command)}"


def _about(heading: Heading, plan: Plan, targets: str = "") -> list[str]:
    """The commits with their subjects, and the release."""
    subjects = {commit: _text(heading.subjects.get(commit, "")) for commit in commits_of(plan)}
    commits = [f"commit {short_commit(commit)} {subject}".rstrip() for commit, subject in subjects.items()]
    release = _release(plan)
    known = [f"release {release}" if release else "", targets]
    return [*commits[:_MOST_LINES], *filter(None, [", ".join(filter(None, known))])]


def _release(plan: Plan) -> str:
    """The release that everything in the plan shares; "" where there is none, or several."""
    named = {step.release for step in plan.tag_steps} or {rollout.desired.release or "" for rollout in plan.rollouts}
    return next(iter(named)) if len(named) == 1 else ""


def commits_of(plan: Plan) -> tuple[str, ...]:
    """The commits that the plan brings, each once."""
    named = [
        *(build.commit_tag for build in plan.builds),
        *(step.commit_tag for step in plan.tag_steps),
        *(rollout.desired.commit_tag for rollout in plan.rollouts),
    ]
    return tuple(dict.fromkeys(filter(None, named)))


def _failures(failed: Iterable[Result]) -> Iterator[str]:
    """Who did not end well, with the first line of why; those of one outcome and reason together."""
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
    """What goes on, to be copied whole or not at all."""
    if len(report.resume) > _LONGEST_COMMAND:
        return ["the command that goes on stands in the log: it names too many tenants for a message"]
    return [_escaped(harmless(each)) for each in lines_of(report.resume)]


def _by(heading: Heading) -> str:
    """By whom, and the CI run: as a link only where it is an address, since `<!channel|…>` would call everybody."""
    ci = one_line(heading.author.ci)
    if not _ADDRESS.fullmatch(ci):
        return f"by {_text(heading.author.by)}" + (f", {_text(ci)}" if ci else "")
    return f"by {_text(heading.author.by)}, <{_escaped(ci).replace('|', '%7C')}|CI run>"


def _text(words: str) -> str:
    """The words on one line that is not too long, with nothing in them that Slack would obey."""
    line = one_line(words)
    return _escaped(line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1].rstrip()}…")


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALL.sub("@ ", text)


def _veiled(plan: Plan, message: Message) -> Message:
    """The message without the secrets of the plan's definitions, wherever else they stand in it."""
    secrets = secret_values(plan)
    return {name: veil(text, secrets) for name, text in message.items()}
