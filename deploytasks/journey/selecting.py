"""Of the targets that a command names only some: those that are behind, those whose last rollout failed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from deploytasks import tags
from deploytasks.journey.errand import Errand
from deploytasks.model import Live, Target, Wish
from deploytasks.running import has_arrived, has_failed


@dataclass(frozen=True, slots=True)
class Taken:
    """The errand with the targets that are taken, as they are; `notes` say how many were left out, and why."""

    errand: Errand
    lives: tuple[Live, ...]
    notes: tuple[str, ...] = ()


def taken(errand: Errand, wishes: Sequence[Wish], lives: Sequence[Live]) -> Taken:
    """The targets that `--only-behind` or `--only-failed` takes: with both, those of which either is true.

    One that cannot be seen is neither behind nor fine: it is taken, and its complaint is told.
    """
    if not (errand.options.only_behind or errand.options.only_failed):
        return Taken(errand, tuple(lives))
    by_service = {wish.service: wish for wish in wishes}
    kept = tuple(live for live in lives if live.complaint or _is_meant(errand, live, by_service[live.target.service]))
    narrowed, left_out = replace(errand, targets=tuple(live.target for live in kept)), len(lives) - len(kept)
    return Taken(narrowed, kept, (_note(errand, wishes, left_out),) if left_out else ())


def kept_in_mind(errand: Errand, targets: Iterable[Target]) -> Errand:
    """The errand as its printed command goes on with these targets.

    A rollout that was begun has not failed, so that `--only-failed` alone would not choose it again.
    """
    if not errand.options.only_failed:
        return errand
    tenants = tuple(dict.fromkeys(target.environment.tenant for target in targets))
    scope = replace(errand.scope, tenants=tenants, exclude=()) if tenants else errand.scope
    return replace(errand, scope=scope, options=replace(errand.options, only_behind=True))


def _is_meant(errand: Errand, live: Live, wish: Wish) -> bool:
    behind = errand.options.only_behind and not has_arrived(live, wish, errand.images[wish.service])
    return behind or (errand.options.only_failed and has_failed(live))


def _note(errand: Errand, wishes: Iterable[Wish], left_out: int) -> str:
    commits = " and ".join(dict.fromkeys(tags.short(wish.commit_tag) for wish in wishes))
    given = [("--only-behind", f"on {commits} already")] if errand.options.only_behind else []
    given += [("--only-failed", "without a failed rollout")] if errand.options.only_failed else []
    flags, why = zip(*given, strict=True)
    return f"left out by {' '.join(flags)}: {left_out} target{'s' * (left_out > 1)} {' and '.join(why)}"
