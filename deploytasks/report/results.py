"""Lay out how a command ended: one row per target, the reason of each failure, a summary, and what to do next."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from deploytasks.flags import DRY_RUN
from deploytasks.model import OUTCOMES, DeadTask, Outcome, Plan, Report, Result
from deploytasks.report.plan import build_json, reused, tag_json
from deploytasks.report.sheet import Block, Column, Line, Sheet, Span, line, stacked, table
from deploytasks.report.text import (
    counted,
    duration,
    lines_of,
    revision_name,
    revision_number,
    short_commit,
    target_json,
)

_COLUMNS = (
    Column("target", "whole"),
    Column("outcome", "whole"),
    Column("commit", "whole"),
    Column("release"),
    Column("revision", brief="rev"),
    Column("digest"),
    Column("tasks", "whole"),
    Column("took", "whole"),
)
_ZERO = "0 desired: nothing proves that it starts"


def sheet(report: Report, elapsed_s: float = 0.0) -> Sheet:
    """Return the end of a command. A release that all results share stands above the table, not in each row."""
    shared = release_of(report)
    heading = (line(Span(report.command, "strong"), f" {shared}"),) if report.results and shared else ()
    return (*heading, *body(report, elapsed_s))


def body(report: Report, elapsed_s: float = 0.0) -> Sheet:
    """Return the end of a command without a heading: the table, remarks and failures, the summary, notes."""
    rows = [_row(result, release_of(report)) for result in report.results]
    return stacked(
        (table(_COLUMNS, rows),) if rows else (),
        tuple(_remarks(report.results)),
        tuple(block for result in report.failed if not result.row.is_untouched for block in _failure(result)),
        (line(_summary(report, elapsed_s)),),
        tuple(line(each, whole=True) for note in report.notes for each in lines_of(note)),
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return the end of a command for programs; `exit` is the exit code if nothing else goes wrong."""
    return {
        "command": report.command,
        "tier": report.plan.tier.name,
        "release": release_of(report),
        "dry_run": report.dry_run,
        "exit": report.exit_code,
        "outcomes": outcomes(report.results),
        "builds": [build_json(build) for build in report.plan.builds],
        **reused(report.plan),
        "tags": [tag_json(step) for step in report.plan.tag_steps],
        **_registered(report.plan),
        "results": [result_json(result) for result in report.results],
        "notes": report.notes,
        "resume": report.resume,
    }


def _registered(plan: Plan) -> dict[str, Any]:
    """Return the revisions that were registered, now or by an earlier attempt; {} if there are none."""
    made = [each for each in plan.rollouts if each.request and each.revision]
    rows = [{**target_json(each.target), "revision": each.revision, "earlier": each.adopted} for each in made]
    return {"registered": rows} if rows else {}


def result_json(result: Result) -> dict[str, Any]:
    """Return how one target ended, with the dead tasks that explain it."""
    return {
        **target_json(result.target),
        "outcome": result.outcome,
        "detail": _detail(result) or None,
        "commit": result.commit_tag or None,
        "release": result.release,
        "revision": revision_name(result.revision) or None,
        "digest": result.digest,
        "evidence": result.evidence,
        "running": result.running,
        "desired": result.desired,
        "duration_s": round(result.duration_s, 1),
        "tasks": [
            {"id": task.id, "reason": task.reason, "exits": task.exits, "log": task.log} for task in result.tasks
        ],
    }


def outcomes(results: Iterable[Result]) -> dict[Outcome, int]:
    """Return the number of results by outcome, in the order of the table, without zeros."""
    counts = Counter(result.outcome for result in results)
    return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}


def release_of(report: Report) -> str | None:
    """Return the release tag that everything in the report shares; None if there is none, or several."""
    named = {result.release for result in report.results} or {step.release for step in report.plan.tag_steps}
    return next(iter(named)) if len(named) == 1 else None


def summary(report: Report, elapsed_s: float) -> str:
    """Return the summary, in one phrase: the number of targets by outcome, else what was built and tagged."""
    took = f" in {duration(elapsed_s)}" if duration(elapsed_s) else ""
    return (counts(report.results) or _without_rollouts(report.plan)) + took


def counts(results: Iterable[Result]) -> str:
    """Return `2 deployed, 1 failed`; "" if there are no results."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes(results).items())


def ending(result: Result) -> str:
    """Return how one target ended, in one phrase."""
    took = duration(result.duration_s)
    words = [result.outcome + (f" in {took}" if took else ""), _tasks(result), revision_name(result.revision)]
    proof = [f"digest {result.evidence}"] if result.evidence else []
    said = ", ".join(filter(None, [*words, *proof]))
    why = "" if result.row.is_good else next(iter(lines_of(result.detail)), "")
    return f"{said}: {why}" if why else said


def _row(result: Result, shared: str | None) -> list[Span]:
    return [
        Span(str(result.target)),
        Span(result.outcome, result.row.tone),
        Span(short_commit(result.commit_tag)),
        Span("" if shared else result.release or ""),
        Span(revision_name(result.revision), brief=revision_number(result.revision)),
        Span(result.evidence or ""),
        Span(_tasks(result), "warn" if not result.desired else "plain"),
        Span(duration(result.duration_s), "dim"),
    ]


def _tasks(result: Result) -> str:
    return "" if result.row.is_untouched or result.target.job else f"{result.running}/{result.desired}"


def _detail(result: Result) -> str:
    """Return the result's detail; if it was deployed with zero desired tasks, that is mentioned."""
    if result.desired or not result.row.runs or result.target.job:
        return result.detail
    return f"{result.detail}; {_ZERO}" if result.detail else _ZERO


def _remarks(results: Iterable[Result]) -> Iterable[Block]:
    """Return the details of results without a failure to explain, one line for all targets with the same detail."""
    said: dict[str, list[str]] = {}
    for result in results:
        if result.row.is_good or result.row.is_untouched:
            said.setdefault(_detail(result), []).append(str(result.target))
    return [line(f"{', '.join(targets)}: {detail}") for detail, targets in said.items() if detail]


def explained(result: Result) -> list[Line]:
    """Explain a rollout that did not end well: its detail, then its dead tasks with their last log lines."""
    said = lines_of(result.detail) or ["no reason is known"]
    return [*map(line, said), *(row for task in result.tasks for row in _dead(task))]


def _failure(result: Result) -> list[Line]:
    first, *more = explained(result)
    head = line(str(result.target), " ", Span(result.outcome, result.row.tone), ": ", *first.spans)
    return [head, *(replace(each, indent=each.indent + 4) for each in more)]


def _dead(task: DeadTask) -> list[Line]:
    return [
        line(f"task {task.id}: {task.reason}"),
        *(line(each, indent=4) for exits in task.exits for each in lines_of(exits)),
        *(line(Span(f"| {each}", "dim"), indent=4) for message in task.log for each in lines_of(message)),
    ]


def _summary(report: Report, elapsed_s: float) -> Span:
    if report.dry_run:
        return Span(DRY_RUN, "strong")
    return Span(summary(report, elapsed_s), "bad" if report.failed else "strong")


def _without_rollouts(plan: Plan) -> str:
    if plan.is_nothing:
        return "nothing was changed"
    built, moved = len(plan.builds), sum(step.mint or step.move for step in plan.tag_steps)
    counts = {"built": (built, "image"), "reused": (len(plan.reuses), "image"), "tagged": (moved, "image")}
    said = [f"{counted(number, kind)} {done}" for done, (number, kind) in counts.items() if number]
    return ", ".join(said) or "nothing was rolled out"
