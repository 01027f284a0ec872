"""Lay out a plan: what is built, which tags move, which targets roll out. Never show a definition's contents."""

import shlex
from collections.abc import Sequence
from typing import Any

from deploytasks.model import Build, Plan, Reuse, Rollout, TagStep
from deploytasks.report.masking import masked_words
from deploytasks.report.secrets import secret_values
from deploytasks.report.sheet import Column, Line, Sheet, Span, Tone, line, stacked, table
from deploytasks.report.text import (
    counted,
    lines_of,
    revision_name,
    revision_number,
    short_commit,
    short_image,
    target_json,
)

_TO_BE_BUILT = "(to be built)"
_COLUMNS = (
    Column("target", "whole"),
    Column("action", "whole"),
    Column("why"),
    Column("image"),
    Column("revision"),
)


def sheet(plan: Plan) -> Sheet:
    """Return the plan for people, in the order in which it is carried out."""
    parts = [(*map(_build, plan.builds), *map(_reuse, plan.reuses), *map(_tag_step, plan.tag_steps)), *_waves(plan)]
    nothing = (line("nothing to do"),) if plan.is_nothing else ()
    return stacked(*parts, nothing, notes(plan))


def notes(plan: Plan) -> Sheet:
    """Return the plan's notes, one line each."""
    return tuple(line(each) for note in plan.notes for each in lines_of(note))


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan for programs; a digest is null until its image is built."""
    secrets = secret_values(plan)
    return {
        "tier": plan.tier.name,
        "nothing_to_do": plan.is_nothing,
        "builds": [build_json(build) for build in plan.builds],
        **reused(plan),
        "tags": [tag_json(step) for step in plan.tag_steps],
        "waves": [[_rollout_json(rollout, secrets) for rollout in wave] for wave in plan.waves],
        "notes": plan.notes,
    }


def build_json(build: Build) -> dict[str, Any]:
    """Return one build for programs."""
    return {
        "image": build.image.name,
        "repository": build.image.repository,
        "commit": build.commit,
        "tag": build.commit_tag,
        "platforms": build.image.platforms,
    }


def reused(plan: Plan) -> dict[str, Any]:
    """Return for programs the images that are not built, with the commit `since` which nothing of theirs changed.

    Empty if there are none.
    """
    rows = [
        {
            "image": reuse.image,
            "repository": reuse.repository,
            "tag": reuse.commit_tag,
            "since": reuse.since,
            "digest": reuse.digest,
        }
        for reuse in plan.reuses
    ]
    return {"reused": rows} if rows else {}


def tag_json(step: TagStep) -> dict[str, Any]:
    """Return one tag step for programs; `minted` and `moved` say which of its two tags are put."""
    return {
        "image": step.image,
        "repository": step.repository,
        "tier_tag": step.tier_tag,
        "release": step.release,
        "commit": step.commit_tag,
        "before": step.before,
        "digest": step.digest,
        "minted": step.mint,
        "moved": step.move,
    }


def _rollout_json(rollout: Rollout, secrets: frozenset[str]) -> dict[str, Any]:
    return {
        **target_json(rollout.target),
        "wave": rollout.target.wave,
        "action": rollout.action,
        "reason": rollout.reason,
        "image": rollout.image if rollout.desired.digest else None,
        "commit": rollout.desired.commit_tag,
        "digest": rollout.desired.digest,
        "release": rollout.desired.newest_release or None,
        "revision": _running_revision(rollout) or None,
        "new_revision": rollout.request is not None,
        "back_to": None if rollout.request else revision_name(rollout.revision) or None,
        "after": rollout.after,
        "before": [masked_words(words, secrets) for words in rollout.steps.commands] if rollout.steps else [],
    }


def _build(build: Build) -> Line:
    what = f"{build.image.name}: {short_commit(build.commit_tag)} for {', '.join(build.image.platforms)}"
    return line(Span("build ", "strong"), what)


def _reuse(reuse: Reuse) -> Line:
    what = f"{reuse.image}: reused, nothing that it contains changed since {short_commit(reuse.since)}"
    return line(Span("build ", "strong"), what)


def _tag_step(step: TagStep) -> Line:
    commit = short_commit(step.commit_tag)
    if not (step.mint or step.move):
        return line(Span("tag ", "strong"), f"{step.image}: {step.tier_tag} is {commit} already, {step.release}")
    before = f"was {short_commit(step.before)}" if step.before else "new"
    moved = f"→ {commit} ({before})" if step.move else f"is {commit} already"
    release = f"release {step.release}" + ("" if step.mint else ", minted already")
    unbuilt = "" if step.digest else f" {_TO_BE_BUILT}"
    return line(Span("tag ", "strong"), f"{step.image}: {step.tier_tag} {moved}, {release}{unbuilt}")


def _only_heading(wave: Sequence[Rollout]) -> str:
    """Return the heading of a plan's only wave."""
    return "follow" if all(rollout.action == "follow" for rollout in wave) else "roll out"


def _waves(plan: Plan) -> list[Sheet]:
    secrets = secret_values(plan)
    return [
        (
            line(
                Span(f"wave {wave[0].target.wave}" if len(plan.waves) > 1 else _only_heading(wave), "strong"),
                f", {counted(len(wave), 'target')}",
            ),
            table(_COLUMNS, map(_row, wave)),
            *_first(wave, secrets),
            *_then(wave),
        )
        for wave in plan.waves
        if wave
    ]


def _first(wave: Sequence[Rollout], secrets: frozenset[str]) -> list[Line]:
    """Return one line per service with its `before_deploy` steps, without their secrets."""
    commands = {rollout.target.name: rollout.steps.commands for rollout in wave if rollout.steps}
    return [
        line(f"{service}: first, in each environment where it has not run for this image: {_said(listed, secrets)}")
        for service, listed in commands.items()
    ]


def _then(wave: Sequence[Rollout]) -> list[Line]:
    """Return lines on what begins once what ended well; one that others wait for is told before them."""
    stages: dict[tuple[str, ...], dict[str, None]] = {}
    for rollout in wave:
        if rollout.after:
            stages.setdefault(rollout.after, {})[rollout.target.name] = None
    return [
        line(f"then {' and '.join(names)}, after {' and '.join(first)}, in each environment")
        for first, names in sorted(stages.items(), key=lambda stage: len(stage[0]))
    ]


def _said(commands: Sequence[Sequence[str]], secrets: frozenset[str]) -> str:
    return "; ".join(shlex.join(masked_words(words, secrets)) for words in commands)


def _row(rollout: Rollout) -> list[Span]:
    tone: Tone = "dim" if rollout.action == "nothing" else "plain"
    image = short_image(rollout.image) if rollout.desired.digest else f"{rollout.desired.repository} {_TO_BE_BUILT}"
    running = _running_revision(rollout)
    return [
        *(Span(text, tone) for text in (str(rollout.target), rollout.action, rollout.reason)),
        Span(image, tone, brief=image.rpartition("sha256:")[2]),
        Span(_change(running, rollout), tone, brief=_change(revision_number(running), rollout)),
    ]


def _change(running: str, rollout: Rollout) -> str:
    if rollout.revision:
        return f"{running} → {revision_number(rollout.revision)}"
    if rollout.request is None:
        return running
    return f"{running} → new" if running else "new"


def _running_revision(rollout: Rollout) -> str:
    primary = rollout.live.primary if rollout.live else None
    return revision_name(primary.revision) if primary else ""
