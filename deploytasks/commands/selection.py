"""The targets that a command leaves out, by what they run: `--only-behind` and `--only-failed`."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.commands.context import Context
from deploytasks.model import DesiredImage, Live, Target, desired_by, tenants_of
from deploytasks.rules.observed import has_arrived, has_failed


class Selecting(Struct, frozen=True):
    """What a flag selects: the `rule` is true of it, and `left_out` tells what is true of the other targets.

    The rule gets a target and the image that it should run; `left_out` may name the `{commits}` that should run.
    """

    rule: Callable[[Live, DesiredImage], bool]
    left_out: str


SELECTING: dict[str, Selecting] = {
    "only-behind": Selecting(lambda live, desired: not has_arrived(live, desired), "on {commits} already"),
    "only-failed": Selecting(lambda live, *_: has_failed(live), "without a failed rollout"),
}
"""The flags that select targets by what they run; each is a field of `Options`."""


def selected(
    context: Context, desired_images: Sequence[DesiredImage], lives: Sequence[Live]
) -> tuple[tuple[Live, ...], tuple[str, ...]]:
    """Return the targets that one of the given flags selects, and a note if they left out any.

    A target that can't be seen is neither behind nor fine: it is selected, and its complaint is reported.
    """
    given = [flag for flag in SELECTING if getattr(context.options, flag.replace("-", "_"))]
    if not given:
        return tuple(lives), ()

    def is_meant(live: Live) -> bool:
        return any(SELECTING[flag].rule(live, desired_by(live.target, desired_images)) for flag in given)

    kept = tuple(live for live in lives if live.complaint or is_meant(live))
    left_out = len(lives) - len(kept)
    return kept, ((_note(given, desired_images, left_out),) if left_out else ())


def kept_in_mind(context: Context, targets: Iterable[Target]) -> Context:
    """Return the context for a printed command that resumes with these targets.

    A rollout that has begun has not failed, so `--only-failed` alone would not select it again.
    """
    if not context.options.only_failed:
        return context
    scope = context.scope.narrowed(tenants_of(targets))
    return replace(context, scope=scope, options=replace(context.options, only_behind=True))


def _note(given: Iterable[str], desired_images: Iterable[DesiredImage], left_out: int) -> str:
    commits = " and ".join(dict.fromkeys(tags.short(desired.commit_tag) for desired in desired_images))
    flags, why = " ".join(f"--{flag}" for flag in given), " and ".join(SELECTING[flag].left_out for flag in given)
    return f"left out by {flags}: {left_out} target{'s' * (left_out > 1)} {why.format(commits=commits)}"
