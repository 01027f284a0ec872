"""What the commands that change a tier share: looking at its targets, moving its tags, rolling out, reporting."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from deploytasks import fleet, lengths
from deploytasks.aws import audit, ecr, overrides
from deploytasks.journey import preflight, rolling, service_notes
from deploytasks.journey.errand import Errand, again, registry_ssm, resumable, say, shown_command, spelled
from deploytasks.journey.observe import observe
from deploytasks.journey.selecting import kept_in_mind
from deploytasks.model import GOOD_OUTCOMES, Live, Options, Override, Plan, Reading, Report, Result, Wish
from deploytasks.template.render import Renderer


def about_targets(
    errand: Errand, renderer: Renderer, lives: Sequence[Live], wanted: Sequence[Wish]
) -> tuple[preflight.Check, ...]:
    """The checks of every command that rolls out."""
    return (
        lambda: preflight.ready(errand, lives),
        lambda: rolling.renders(errand, renderer, wanted),
        lambda: rolling.unfit_for_steps(errand, renderer, wanted),
        lambda: preflight.wave_rules(errand),
        lambda: service_notes.of_all(errand, renderer, lives, wanted),
    )


def look(errand: Errand, reading: Reading | None = None) -> tuple[Live, ...]:
    """The selected targets as they are; unless told, their tasks only where else nobody knows what they run."""
    say(
        errand, "observe", f"{len(errand.targets)} target{'s' if len(errand.targets) > 1 else ''} of {errand.tier.name}"
    )
    usual: Reading = "unpinned" if errand.tier.pin == "tag" or errand.options.only_behind else "vague"
    return observe(errand.clients, errand.targets, errand.images, reading=reading or usual)


def put_tags(errand: Errand, whole: Plan) -> None:
    """The release tag first, the record; then the tier tag, the wanted state."""
    if errand.options.dry_run:
        return
    with resumable(errand, "some tags may have moved, no target was touched"):
        _record_override(errand, whole)
        for step in whole.tag_steps:
            names = [step.release] * step.mint + [step.tier_tag] * step.move
            if names and step.digest:
                errand.fence.check()
                ecr.point(errand.ecr, step.repository, step.digest, names)
                say(errand, "tag", f"{' and '.join(names)} → {step.digest[:19]}", step.service)


def _record_override(errand: Errand, whole: Plan) -> None:
    """Why the gate is passed is on record before the release is; only where there is a gate, and a release to mint."""
    minted = {step.release: step.commit_tag for step in whole.tag_steps if step.mint}
    reason, author = errand.options.override, errand.author
    if not (reason and errand.tier.after):
        return
    client, at = registry_ssm(errand.project, errand.clients), audit.stamp(datetime.now(UTC))
    for release, commit in minted.items():
        override = Override(errand.tier.name, release, author.by, at, reason, commit, author.ci)
        overrides.put(client, errand.project.name, override)


def roll_out(errand: Errand, whole: Plan, before_wave: fleet.Leave | None = None) -> tuple[Result, ...]:
    """How every rollout of the plan ended; whatever stops them says what goes on."""
    if errand.options.dry_run:
        return ()
    means = fleet.Means(
        errand.clients,
        errand.images,
        errand.tell,
        restore=errand.options.restore,
        before_wave=before_wave,
        fence=errand.fence,
    )
    going_on = kept_in_mind(errand, (rollout.target for rollout in whole.rollouts))
    with resumable(
        going_on, f"the tag {errand.tier.name} stands, its targets may differ from it", command=_goes_on(errand)
    ):
        return fleet.carry_out(whole, means, wait=errand.options.wait)


def _goes_on(errand: Errand) -> str:
    """The command that finishes rollouts once the tags stand: only a rollback knows the definitions of then."""
    return errand.command if errand.command == "rollback" else "deploy"


def report(errand: Errand, whole: Plan, results: tuple[Result, ...] = (), notes: tuple[str, ...] = ()) -> Report:
    """What the command came to."""
    return Report(
        command=shown_command(errand.command, errand.tier.name),
        plan=whole,
        results=results,
        notes=(*notes, *_left_behind(errand, whole), *_not_followed(errand, results)),
        resume=_resume(errand, results),
        dry_run=errand.options.dry_run,
    )


def _left_behind(errand: Errand, whole: Plan) -> tuple[str, ...]:
    """Who does not follow a tag that moved for everybody."""
    moved = {step.service for step in whole.tag_steps if step.move}
    everybody = [target for target in errand.project.targets if target.environment.tier == errand.tier.name]
    behind = [target for target in everybody if target.service in moved and target not in errand.targets]
    if not behind or errand.command == "tag":
        return ()
    names = ", ".join(dict.fromkeys(str(target.environment) for target in behind))
    return (f"stay behind until `inv deploy.{errand.tier.name}`: {names}",)


def _not_followed(errand: Errand, results: Sequence[Result]) -> tuple[str, ...]:
    """What follows the rollouts that were only started."""
    if all(result.outcome != "started" for result in results):
        return ()
    skipped = f", and the soak of {lengths.spelled(errand.tier.soak_s)} is skipped" if errand.tier.soak_s else ""
    return (f"not waited for{skipped}; to follow: {spelled(_bare(errand), 'wait')}",)


def _bare(errand: Errand) -> Errand:
    """The errand without its flags, which other commands do not take."""
    return replace(errand, options=Options())


def _resume(errand: Errand, results: Sequence[Result]) -> str:
    """What goes on where these results ended; nothing, where all ended well."""
    open_ends = [result for result in results if result.outcome not in GOOD_OUTCOMES]
    if not open_ends:
        return ""
    go_on = partial(again, kept_in_mind(errand, ()), _goes_on(errand))
    if paused := [result for result in open_ends if result.outcome == "paused"]:
        rest = [result for result in open_ends if result.outcome != "paused"]
        return from_the_hook(errand, paused) + (f"\nthen, for the others: {go_on(rest)}" if rest else "")
    if any(result.outcome in ("rolled back", "unhealthy") for result in open_ends):
        return f"mend the image and release it; to try this one again: {go_on(open_ends)}"
    return f"to go on: {go_on(open_ends)}"


def from_the_hook(errand: Errand, paused: Sequence[Result]) -> str:
    """What continues rollouts that wait on a hook, and what ends them."""
    goes_on, ends, follows = (again(_bare(errand), command, paused) for command in ("continue", "stop", "wait"))
    return f"to go on: {goes_on}\nto go back: {ends}\nto follow either: {follows}"
