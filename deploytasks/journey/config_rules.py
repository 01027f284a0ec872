"""What speaks against the config of a rollout: it is uncommitted, newer config runs, or the tier is on hold.

Only targets whose definition would change are asked.
"""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks.aws.locks import freeing
from deploytasks.errors import Complaint, listed
from deploytasks.git import Relation
from deploytasks.journey import rolling
from deploytasks.journey.config import Config, read_for
from deploytasks.journey.errand import Errand
from deploytasks.journey.preflight import Check
from deploytasks.journey.selecting import Taken
from deploytasks.model import Live, LockState, Named, Target, Wish
from deploytasks.running import record
from deploytasks.template.canonical import canonical
from deploytasks.template.differing import differing
from deploytasks.template.render import Renderer

_FETCH = "git fetch, and where the clone is shallow all of it (fetch-depth: 0 in CI, git fetch --unshallow)"
_NOT_OURS = ("older", "diverged", "unknown")


def checks(
    only: Taken, renderer: Renderer, wishes: Sequence[Wish], hold: LockState | None, told: Sequence[Complaint]
) -> tuple[Check, ...]:
    """Return the checks of the targets taken: of a hold, unless it is `told` already, and of the config."""
    return (
        lambda: told or held(only.errand, hold, renderer, only.lives, wishes),
        lambda: rules(only.errand, renderer, only.lives, wishes),
    )


def rules(errand: Errand, renderer: Renderer, lives: Sequence[Live], wishes: Sequence[Wish]) -> Iterator[Complaint]:
    """Yield what speaks against the config that changes a target: it is uncommitted, or older than what runs."""
    config = errand.config
    if config is None or (errand.options.allow_dirty and errand.options.allow_older):
        return
    named = config.named(read_for(errand.targets, renderer))
    suspects = [live for live in lives if _is_strict(errand) or (of(live) or named).hash != named.hash]
    changed = rolling.changed(errand, renderer, suspects, wishes)
    if not errand.options.allow_dirty and _is_strict(errand) and changed:
        yield from _dirty(errand, renderer, config, changed)
    if not errand.options.allow_older and (config.commits or errand.options.allow_dirty or not _is_strict(errand)):
        yield from _older(errand, config, named, changed)


def of(live: Live) -> Named | None:
    """Return the config that the target's record names; None where it names none."""
    return Named.parse(record(live).get("config", "")) or Named.parse(live.revision_tags.get("config", ""))


def newer(config: Config, named: Named, lives: Iterable[Live]) -> Iterator[tuple[Named, Relation, Sequence[Live]]]:
    """Yield each config that is newer than this checkout's, or whose age git does not tell, and who runs it."""
    running: dict[Named, list[Live]] = {}
    for live in lives:
        if (found := of(live)) and found.hash != named.hash:
            running.setdefault(found, []).append(live)
    for found, members in running.items():
        if (relation := config.relation(found)) in _NOT_OURS:
            yield found, relation, members


def ages(config: Config, renderer: Renderer, lives: Sequence[Live]) -> dict[Target, str]:
    """Return a note on each target, already rendered, that runs config newer than this checkout's or of unknown age."""
    named = config.named(read_for((live.target for live in lives), renderer))
    notes: dict[Target, str] = {}
    for found, relation, members in newer(config, named, lives):
        what, to_do = _told(config, named, found, relation)
        head = "your checkout is older" if relation == "older" else "your checkout may be older"
        notes |= dict.fromkeys((live.target for live in members), f"{head}: {what} ({to_do})")
    return notes


def held(
    errand: Errand, hold: LockState | None, renderer: Renderer, lives: Sequence[Live], wishes: Sequence[Wish]
) -> Iterator[Complaint]:
    """Yield what a rollout of the tier's own image would change on a tier that is on hold, with the keys.

    A hold on some tenants keeps those from every deploy already.
    """
    if hold is None or hold.tenants:
        return
    by_service = {wish.service: wish for wish in wishes}
    keys: dict[str, list[str]] = {}
    for live in rolling.changed(errand, renderer, lives, wishes):
        found = _keys(errand, renderer, live, by_service[live.target.service])
        keys.setdefault(found, []).append(str(live.target))
    for found, targets in keys.items():
        what = f"the tier is on hold since {hold.since} ({hold.reason}), and this would {found}"
        yield Complaint(listed(targets), what, f"when this is meant: {freeing(errand.tier.name, errand.author.run)}")


def _keys(errand: Errand, renderer: Renderer, live: Live, wish: Wish) -> str:
    if not live.exists or live.definition is None:
        return "create the service"
    request = rolling.render(errand, renderer, live.target, wish)[0]
    return f"change the definition: {listed(differing(canonical(live.definition, request), canonical(request)))}"


def _is_strict(errand: Errand) -> bool:
    return errand.tier.after is not None or errand.tier.tag == "immutable"


def _dirty(errand: Errand, renderer: Renderer, config: Config, changed: Iterable[Live]) -> Iterator[Complaint]:
    to_do = "commit it; --allow-dirty takes it as it is, and records that"
    if not config.commits:
        clone = "run in a clone of the repository; --allow-dirty takes it as it is, and records that"
        yield Complaint(errand.tier.name, f"the config has no commit: {config.why}", clone)
    elif dirty := config.dirty(read_for((live.target for live in changed), renderer)):
        files = listed([f"{file} ({state})" for file, state in dirty.items()])
        yield Complaint(errand.tier.name, f"uncommitted config: {files}", to_do)


def _older(errand: Errand, config: Config, named: Named, changed: Iterable[Live]) -> Iterator[Complaint]:
    for found, relation, lives in newer(config, named, changed):
        what, to_do = _told(config, named, found, relation)
        yield Complaint(listed([str(live.target) for live in lives]), what, f"{to_do}; --allow-older, if it is meant")


def _told(config: Config, named: Named, found: Named, relation: Relation) -> tuple[str, str]:
    """Return how this checkout's config stands to newer or unknown config that runs, and what to do."""
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
