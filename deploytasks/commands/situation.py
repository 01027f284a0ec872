"""What a command found before its first write, and every check of it.

Everything is read in parallel. If a read fails, what the others found is checked nevertheless; what can't be checked
then is named.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import concurrency
from deploytasks.commands import (
    build_context,
    config_rules,
    desired_images,
    drift,
    ownership,
    platforms,
    preflight,
    references,
    rollouts,
    schedules,
)
from deploytasks.commands.context import Context, before_any_change, say
from deploytasks.commands.lock import hold_of
from deploytasks.commands.observe import observe
from deploytasks.commands.ownership import Ownership
from deploytasks.commands.selection import selected
from deploytasks.errors import AwsError, Complaint, DeployError, NotBuilt, once
from deploytasks.model import Command, DesiredImage, EcrImage, Live, LockState, Reading, placeholder


class Situation(Struct, frozen=True):
    """What a command found. What it does not read is empty.

    `chosen` is the context with the targets that `--only-behind` and `--only-failed` leave; `lives` are theirs.
    """

    context: Context
    chosen: Context
    ownership: Ownership = field(default_factory=Ownership)
    desired: tuple[DesiredImage, ...] = ()
    present: Mapping[str, EcrImage] = field(default_factory=dict)
    """Image → what the tier tag names of it."""
    hold: LockState | None = None
    lives: tuple[Live, ...] = ()
    policies: Mapping[str, Any] = field(default_factory=dict)
    """Image → its repository's policy, or the error if that may not be read."""
    movable: Mapping[str, bool | AwsError] = field(default_factory=dict)
    """Image → whether its repository lets the tier tag move, or the error if that may not be read."""
    notes: tuple[str, ...] = ()
    """What the checks found that refuses nothing."""
    left_out: tuple[str, ...] = ()
    """How many targets were left out, and by which flag."""

    @property
    def pointed(self) -> Mapping[str, EcrImage | None]:
        """Return image → what the tier tag names of it; a deploy of that very tag need not ask for it."""
        return self.present if _chooses(self.context) else {desired.name: desired.image for desired in self.desired}


def looked(context: Context) -> Situation:
    """Return what the command found, once every check has passed.

    Raises:
        NotReady: with every complaint of every check.

    """
    with before_any_change():
        found = _look(context)
        return replace(found, notes=_check(found))


def look_at_targets(context: Context, reading: Reading | None = None) -> tuple[Live, ...]:
    """Return the selected targets as observed; by default, read tasks only if nothing else tells the image."""
    count = len(context.targets)
    say(context, "observe", f"{count} target{'s' * (count > 1)} of {context.tier.name}")
    usual: Reading = "unpinned" if context.tier.pin == "tag" or context.options.only_behind else "vague"
    return observe(context.clients, context.targets, renderer=context.renderer, reading=reading or usual, newest=True)


def target_checks(
    context: Context, lives: Sequence[Live], desired: Sequence[DesiredImage]
) -> tuple[preflight.Check, ...]:
    """Return the checks of every command that rolls out."""
    return (
        lambda: preflight.ready(context, lives),
        lambda: rollouts.renders(context, desired),
        lambda: rollouts.unfit_for_steps(context, desired),
        lambda: schedules.unstartable(context, lives, desired),
        lambda: preflight.wave_rules(context),
        lambda: drift.service_template_notes(context, lives, desired),
    )


def _chooses(context: Context) -> bool:
    """Return whether the command chooses images, instead of taking those that the tier tag names."""
    return context.command.row.tags or bool(context.options.to)


def _look(context: Context) -> Situation:
    looks = _looks(context)
    answers = dict(zip(looks, concurrency.attempts(*looks.values()), strict=True))
    errors = [answer for answer in answers.values() if isinstance(answer, DeployError)]
    found = Situation(
        context, context, **{name: answer for name, answer in answers.items() if not isinstance(answer, DeployError)}
    )
    if errors:
        raise _failed(found, errors) from errors[0]
    lives, left_out = selected(context, found.desired, found.lives)
    chosen = replace(context, targets=tuple(live.target for live in lives)) if left_out else context
    return replace(found, chosen=chosen, lives=lives, left_out=left_out)


def _looks(context: Context) -> dict[str, Callable[[], Any]]:
    """Return the reads that the command needs, by the field of the situation that each fills."""
    row = context.command.row
    looks: dict[str, Callable[[], Any]] = {
        "ownership": lambda: ownership.look(context),
        "desired": lambda: desired_images.of(context),
    }
    if _chooses(context):
        looks["present"] = lambda: desired_images.present(context)
    if row.tags or row.renders:
        looks["hold"] = lambda: hold_of(context)
    if row.renders:
        looks["lives"] = lambda: look_at_targets(context)
        looks["policies"] = lambda: preflight.policies(context)
    if row.tags:
        looks["movable"] = lambda: preflight.movable(context)
    return looks


def _check(found: Situation) -> tuple[str, ...]:
    context, chosen, row = found.context, found.chosen, found.context.command.row
    lives, desired = found.lives, found.desired
    held = preflight.held(context, found.hold, desired, found.pointed)
    checks: list[preflight.Check] = [found.ownership.found]
    asking: list[preflight.Check] = []
    if _chooses(context):
        asking.append(lambda: preflight.gated(context, desired))
    if row.renders:
        checks += target_checks(chosen, lives, desired)
        checks.append(lambda: preflight.unpullable(chosen, found.policies))
        checks += config_rules.checks(chosen, lives, desired, found.hold, held)
        checks.append(lambda: rollouts.pin_rules(context, desired))
        asking.append(lambda: references.missing(chosen, lives, desired))
        asking.append(lambda: platforms.misfits(chosen, lives, desired))
    else:
        checks.append(lambda: held)
    if row.tags:
        checks.append(lambda: preflight.taggable(context, desired, found.present, found.movable))
    elif row.renders:
        checks.append(lambda: preflight.dirty(context, desired))
    if row.builds or row.tags:
        checks.append(lambda: build_context.complaints(context, desired))
    return preflight.check_all(*checks, asking=asking)


def _failed(found: Situation, errors: Sequence[DeployError]) -> DeployError:
    """Return the first read's error with all complaints, and those about what the other reads found."""
    context = found.context
    complaints = [complaint for error in errors for complaint in error.complaints]
    complaints += found.ownership.complaints
    complaints += _about_targets(context, found.lives)
    complaints += preflight.complaints_in(preflight.gathered(lambda: build_context.complaints(context, ())))
    if any(isinstance(error, AwsError) for error in errors):
        complaints = ownership.with_former(context, complaints)
    if not all(isinstance(error, NotBuilt) for error in errors):  # NotBuilt already advises to run this again
        complaints.append(_unseen(context))
    return type(errors[0])(*once(complaints))


def _unseen(context: Context) -> Complaint:
    if context.command is Command.BUILD:
        return Complaint("build", "not checked yet: the contexts of the images that ECR may lack")
    unseen = "not checked yet: the gate, and what needs the images"
    return Complaint(context.tier.name, unseen)


def _about_targets(context: Context, lives: Sequence[Live]) -> Iterable[Complaint]:
    """Return complaints about the targets as observed, and about their templates, tried with a placeholder image."""
    if not lives:
        return []
    tried = [placeholder(image) for image in context.images]
    templates = preflight.gathered(lambda: rollouts.renders(context, tried))
    names = preflight.gathered(lambda: references.missing(context, lives, tried))
    found = [*preflight.ready(context, lives), *templates, *preflight.wave_rules(context), *names]
    return preflight.complaints_in(found)
