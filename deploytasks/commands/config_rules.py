"""Checks of a rollout's config: it is uncommitted, newer config runs, or the tier is on hold.

Only targets whose definition would change are checked.
"""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks.aws.locks import despite_hold
from deploytasks.commands import rollouts
from deploytasks.commands.config_version import Config, read_for
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Check
from deploytasks.errors import Complaint, listed
from deploytasks.git import Relation
from deploytasks.model import DesiredImage, Live, LockState, Named, Target, desired_by
from deploytasks.rules.observed import record
from deploytasks.template.canonical import canonical, differing
from deploytasks.template.render import Renderer

_FETCH = "git fetch, and where the clone is shallow all of it (fetch-depth: 0 in CI, git fetch --unshallow)"
_NOT_OURS = ("older", "diverged", "unknown")


def checks(
    context: Context,
    lives: Sequence[Live],
    desired: Sequence[DesiredImage],
    hold: LockState | None,
    told: Sequence[Complaint],
) -> tuple[Check, ...]:
    """Return two checks: of the hold, or the complaints `told` about it already, and of the config."""
    return (
        lambda: told or held(context, hold, lives, desired),
        lambda: rules(context, lives, desired),
    )


def rules(context: Context, lives: Sequence[Live], desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield complaints about config that changes a target and is uncommitted or older than what runs."""
    config = context.config
    if config is None or (context.options.allow_dirty and context.options.allow_older):
        return
    named = config.named(read_for(context.targets, context.renderer))
    suspects = [live for live in lives if _is_strict(context) or (of(live) or named).hash != named.hash]
    changed = rollouts.changed(context, suspects, desired_images)
    if not context.options.allow_dirty and _is_strict(context) and changed:
        yield from _dirty(context, config, changed)
    if not context.options.allow_older and (config.commits or context.options.allow_dirty or not _is_strict(context)):
        yield from _older(context, config, named, changed)


def of(live: Live) -> Named | None:
    """Return the config that the target's record names, or None."""
    return Named.parse(record(live).get("config", "")) or Named.parse(live.revision_tags.get("config", ""))


def newer(config: Config, named: Named, lives: Iterable[Live]) -> Iterator[tuple[Named, Relation, Sequence[Live]]]:
    """Yield each running config that is newer than this checkout's, or of unknown age, and the targets that run it."""
    running: dict[Named, list[Live]] = {}
    for live in lives:
        if (found := of(live)) and found.hash != named.hash:
            running.setdefault(found, []).append(live)
    for found, members in running.items():
        if (relation := config.relation(found)) in _NOT_OURS:
            yield found, relation, members


def ages(config: Config, renderer: Renderer, lives: Sequence[Live]) -> dict[Target, str]:
    """Return a note for each target that runs config newer than this checkout's, or of unknown age.

    The targets must have been rendered: the renderer knows which templates were read.
    """
    named = config.named(read_for((live.target for live in lives), renderer))
    notes: dict[Target, str] = {}
    for found, relation, members in newer(config, named, lives):
        what, to_do = _told(config, named, found, relation)
        head = "your checkout is older" if relation == "older" else "your checkout may be older"
        notes |= dict.fromkeys((live.target for live in members), f"{head}: {what} ({to_do})")
    return notes


def held(
    context: Context,
    hold: LockState | None,
    lives: Sequence[Live],
    desired_images: Sequence[DesiredImage],
) -> Iterator[Complaint]:
    """Yield what a rollout of the tier's own image would change, key by key, if the whole tier is on hold.

    A hold on some tenants only is ignored here: it already excludes them from every deploy.
    """
    if hold is None or hold.tenants:
        return
    keys: dict[str, list[str]] = {}
    for live in rollouts.changed(context, lives, desired_images):
        found = _keys(context, live, desired_by(live.target, desired_images))
        keys.setdefault(found, []).append(str(live.target))
    for found, targets in keys.items():
        what = f"the tier is on hold since {hold.since} ({hold.reason}), and this would {found}"
        yield Complaint(listed(targets), what, despite_hold(context.tier.name, context.author.run))


def _keys(context: Context, live: Live, desired: DesiredImage) -> str:
    if not live.exists or live.definition is None:
        return f"create the {live.target.kind}"
    request = rollouts.render(context, live.target, desired)[0]
    keys = {
        "definition": differing(canonical(live.definition, request), canonical(request)),
        "schedule": rollouts.schedule_changes(context, live, desired, request),
    }
    return " and ".join(f"change the {what}: {listed(found)}" for what, found in keys.items() if found)


def _is_strict(context: Context) -> bool:
    return context.tier.after is not None or context.tier.tag == "immutable"


def _dirty(context: Context, config: Config, changed: Iterable[Live]) -> Iterator[Complaint]:
    to_do = "commit it; --allow-dirty takes it as it is, and records that"
    if not config.commits:
        clone = "run in a clone of the repository; --allow-dirty takes it as it is, and records that"
        yield Complaint(context.tier.name, f"the config has no commit: {config.why}", clone)
    elif dirty := config.dirty(read_for((live.target for live in changed), context.renderer)):
        files = listed([f"{file} ({state})" for file, state in dirty.items()])
        yield Complaint(context.tier.name, f"uncommitted config: {files}", to_do)


def _older(context: Context, config: Config, named: Named, changed: Iterable[Live]) -> Iterator[Complaint]:
    for found, relation, lives in newer(config, named, changed):
        what, to_do = _told(config, named, found, relation)
        yield Complaint(listed([str(live.target) for live in lives]), what, f"{to_do}; --allow-older, if it is meant")


def _told(config: Config, named: Named, found: Named, relation: Relation) -> tuple[str, str]:
    """Return the text on how this checkout's config relates to the running one, and what to do."""
    match relation:
        case "older":
            return f"the config that runs, {found.short}, is newer than this checkout's {named.short}", "git pull"
        case "diverged":
            what = f"the config that runs, {found.short}, and this checkout's {named.short} have diverged"
            return what, "merge or rebase"
        case _ if not config.commits:
            what = f"it is not known whether this config is newer than what runs, {found.short}: {config.why}"
            return what, "run in a clone of the repository"
        case _:
            what = f"history does not tell whether this checkout's config {named.short} is newer than what runs"
            return f"{what}, {found.short}", _FETCH
