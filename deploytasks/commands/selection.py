"""The targets that a command leaves out: `--only-behind` and `--only-failed`."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from deploytasks import tags
from deploytasks.commands.context import Context
from deploytasks.model import DesiredImage, Live, Target, tenants_of
from deploytasks.rules.observed import has_arrived, has_failed


def selected(
    context: Context, desired_images: Sequence[DesiredImage], lives: Sequence[Live]
) -> tuple[tuple[Live, ...], tuple[str, ...]]:
    """Return the targets that `--only-behind` or `--only-failed` selects, and a note if it left out any.

    With both flags, those that match either. A target that can't be seen is neither behind nor fine: it is selected,
    and its complaint is reported.
    """
    if not (context.options.only_behind or context.options.only_failed):
        return tuple(lives), ()
    by_service = {desired.service: desired for desired in desired_images}
    kept = tuple(live for live in lives if live.complaint or _is_meant(context, live, by_service[live.target.service]))
    left_out = len(lives) - len(kept)
    return kept, ((_note(context, desired_images, left_out),) if left_out else ())


def kept_in_mind(context: Context, targets: Iterable[Target]) -> Context:
    """Return the context for a printed command that resumes with these targets.

    A rollout that has begun has not failed, so `--only-failed` alone would not select it again.
    """
    if not context.options.only_failed:
        return context
    scope = context.scope.narrowed(tenants_of(targets))
    return replace(context, scope=scope, options=replace(context.options, only_behind=True))


def _is_meant(context: Context, live: Live, desired: DesiredImage) -> bool:
    behind = context.options.only_behind and not has_arrived(live, desired, context.images[desired.service])
    return behind or (context.options.only_failed and has_failed(live))


def _note(context: Context, desired_images: Iterable[DesiredImage], left_out: int) -> str:
    commits = " and ".join(dict.fromkeys(tags.short(desired.commit_tag) for desired in desired_images))
    given = [("--only-behind", f"on {commits} already")] if context.options.only_behind else []
    given += [("--only-failed", "without a failed rollout")] if context.options.only_failed else []
    flags, why = zip(*given, strict=True)
    return f"left out by {' '.join(flags)}: {left_out} target{'s' * (left_out > 1)} {' and '.join(why)}"
