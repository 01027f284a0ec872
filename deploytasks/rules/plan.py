"""The plan, from what is desired and what was observed: which tags to put, which targets to roll out, in which waves.

Nothing here asks AWS, git or the clock; a dry run shows the same plan and doesn't carry it out.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.errors import listed
from deploytasks.model import (
    Action,
    Definition,
    DesiredImage,
    EcrImage,
    Fallback,
    JobSchedule,
    Live,
    Rollout,
    Steps,
    TagStep,
    Target,
    Tier,
)
from deploytasks.rules import order
from deploytasks.rules.observed import has_arrived, is_inactive, named_by, record, tagged, what_runs
from deploytasks.rules.schedule import changes

_MOVED = "the tag names another image than runs here"


class Candidate(Struct, frozen=True):
    """One target with everything that decides its rollout. `same`: the rendered definition equals the live one."""

    target: Target
    desired: DesiredImage
    images: Mapping[str, str]
    live: Live
    same: bool
    request: Definition
    create: Definition | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    steps: Steps | None = None
    schedule: JobSchedule | None = None


def tag_steps(
    tier: Tier,
    desired_images: Sequence[DesiredImage],
    present: Mapping[str, EcrImage],
    now: datetime,
    spent: str | None = None,
) -> tuple[TagStep, ...]:
    """Return the steps that point the tier at the desired images; `present` is what its tier tag names now, by image.

    All images that move share one release tag. A release tag that was minted earlier but not reached is reused, unless
    it is `spent`.
    """
    release = _release(tier, desired_images, present, now, spent)
    return tuple(_tag_step(tier, desired, present.get(desired.name), release) for desired in desired_images)


def with_releases(desired_images: Iterable[DesiredImage], steps: Iterable[TagStep]) -> tuple[DesiredImage, ...]:
    """Return the desired images, each with the release tag of its step."""
    release = {step.image: step.release for step in steps}
    return tuple(replace(desired, release=release[desired.name]) for desired in desired_images)


def _tag_step(tier: Tier, desired: DesiredImage, present: EcrImage | None, release: str) -> TagStep:
    there = is_there(desired, present)
    carried = tags.newest_release(desired.image.tags, tier.name) if desired.image and there else None
    chosen = carried or release
    before = present.commits if present else ()
    return TagStep(
        image=desired.name,
        repository=desired.repository,
        digest=desired.digest,
        commit_tag=desired.commit_tag,
        release=chosen,
        tier_tag=tier.name,
        mint=desired.image is None or chosen not in desired.image.tags,
        move=not there,
        before=next(iter(before), present.digest if present else None),
    )


def _release(
    tier: Tier,
    desired_images: Sequence[DesiredImage],
    present: Mapping[str, EcrImage],
    now: datetime,
    spent: str | None,
) -> str:
    moving = [desired for desired in desired_images if not is_there(desired, present.get(desired.name))]
    commits = {desired.commit_tag for desired in moving}
    minted = _newest(tier, (desired.image for desired in desired_images if desired.commit_tag in commits))
    reached = _newest(tier, (present.get(desired.name) for desired in moving))
    if minted and minted > (reached or "") and minted != spent:
        return minted
    return tags.next_release(tier.name, now, max(filter(None, (minted, reached)), default=None))


def _newest(tier: Tier, images: Iterable[EcrImage | None]) -> str | None:
    return tags.newest_release((tag for image in images if image for tag in image.tags), tier.name)


def is_there(desired: DesiredImage, present: EcrImage | None) -> bool:
    """Return whether the tier tag already names the desired image; `present` is what it names."""
    return present is not None and present.digest == desired.digest


def rollout(candidate: Candidate, *, force: bool) -> Rollout:
    """Return the rollout of one target."""
    action, reason = _usable(candidate.live, *_decide(candidate, force=force))
    kept = _kept(candidate) if action == "update" else ""
    return Rollout(
        target=candidate.target,
        action=action,
        reason=reason,
        desired=candidate.desired,
        images=candidate.images,
        request=candidate.request if action in ("create", "update") and not kept else None,
        create=candidate.create if action == "create" else None,
        tags=candidate.tags,
        live=candidate.live,
        revision=kept,
        fallback=None if candidate.target.job else fallback(candidate.live),
        steps=candidate.steps if action in ("create", "update", "force") else None,
        schedule=candidate.schedule,
    )


def _kept(candidate: Candidate) -> str:
    """Return the ARN of the job's revision if only its schedule changes."""
    live = candidate.live
    if not candidate.target.job or not candidate.same or live.primary is None or is_inactive(live.definition):
        return ""
    return live.primary.revision


def _usable(live: Live, action: Action, reason: str) -> tuple[Action, str]:
    """Return the action and reason, adjusted for a running revision that can no longer be rolled out."""
    if action != "force" or not is_inactive(live.definition):
        return action, reason
    return "update", f"{reason}; a copy is registered, since the revision that runs is inactive"


def fallback(live: Live) -> Fallback | None:
    """Return what to restore if the target's rollout fails: what last ran steadily; None if nothing did.

    A definition that names a tag is pinned to the digest that ran, if there was just one of each and it is known.
    """
    steady = next((each for each in live.deployments if each.rollout_state in ("COMPLETED", "")), None)
    if steady is None:
        return None
    named = {image: tagged(live, image) for image in live.target.images}
    ran = {image: what_runs(live, image)[0] for image, names in named.items() if names}
    if not live.definition or not ran or steady is not live.primary or any(len(each) != 1 for each in ran.values()):
        return Fallback(steady.revision)
    pins = {name: f"{live.target.images[image]}@{ran[image][0]}" for image in ran for name in named[image]}
    return Fallback(steady.revision, live.definition, pins, record(live))


def steps(target: Target, commands: tuple[tuple[str, ...], ...], desired: DesiredImage) -> Steps | None:
    """Return the one-off tasks to run before the service is touched, None if there are none.

    Their id is a hash of environment, service, digest and commands.
    """
    if not commands:
        return None
    identity = json.dumps([str(target.environment), target.name, desired.digest, commands])
    return Steps(hashlib.sha256(identity.encode()).hexdigest()[:32], commands)


def back(rollout: Rollout, revision: str, *, moves: bool = False) -> Rollout:
    """Return the rollout as one back to the revision, unless that runs already or is under way.

    `moves` says whether the revision names a tag that moves.
    """
    primary = rollout.live.primary if rollout.live else None
    if primary and primary.revision == revision and primary.rollout_state == "FAILED":
        return replace(rollout, action="force", reason="its last rollout failed")
    if primary is None or primary.revision != revision:
        number = revision.rpartition("/")[2]
        return replace(rollout, action="update", reason=f"back to {number}", revision=revision)
    under_way = primary.rollout_state == "IN_PROGRESS"
    moves = moves and not rollout.target.job  # each run of a job takes the image that the tag names
    if moves and rollout.live and not _brings(rollout.live, rollout.desired, under_way=under_way):
        return replace(rollout, action="force", reason=_MOVED)
    if under_way:
        return replace(rollout, action="follow", reason="this rollout is already under way")
    return replace(rollout, action="nothing", reason="it runs this already")


def waves(rollouts: Iterable[Rollout]) -> tuple[tuple[Rollout, ...], ...]:
    """Return the rollouts grouped and ordered by their targets' waves, in file order within each.

    Those that touch their target wait for those of its environment that go first, unless these have nothing to do.
    """
    ordered = sorted(rollouts, key=lambda each: each.target.wave)
    idle = {each.target for each in ordered if each.action == "nothing"}
    first = order.earlier(each.target for each in ordered)
    placed = (
        each
        if each.action in ("follow", "nothing")
        else replace(each, after=tuple(other.name for other in first[each.target] if other not in idle))
        for each in ordered
    )
    return tuple(tuple(members) for _, members in groupby(placed, key=lambda each: each.target.wave))


def _decide(candidate: Candidate, *, force: bool) -> tuple[Action, str]:
    live, desired = candidate.live, candidate.desired
    if not live.exists:
        return "create", f"the {candidate.target.kind} is not there yet"
    if not candidate.same:
        return "update", _what_changes(live, desired)
    if candidate.target.job:
        return _decide_job(live, desired, candidate.schedule)
    primary = live.primary
    under_way = primary is not None and primary.rollout_state == "IN_PROGRESS"
    if force and not (under_way and _is_promised(live, desired)):
        return "force", "--force"
    if primary is None or primary.rollout_state == "FAILED":
        return "force", "its last rollout failed"
    if not _brings(live, desired, under_way=under_way):
        return "force", _MOVED
    return ("follow", "this rollout is already under way") if under_way else ("nothing", "it runs this already")


def _decide_job(live: Live, desired: DesiredImage, wanted: JobSchedule | None) -> tuple[Action, str]:
    if is_inactive(live.definition):
        return "update", "a copy is registered, since its revision is inactive"
    if wanted and live.schedule is None:
        return "update", "the schedule is not there yet"
    if keys := changes(wanted, live.schedule) if wanted else ():
        return "update", f"its {'rule' if live.schedule and live.schedule.is_rule else 'schedule'}: {listed(keys)}"
    if not has_arrived(live, desired):
        return "nothing", "each of its runs takes the image that the tag names"
    return "nothing", "it runs this already"


def _brings(live: Live, desired: DesiredImage, *, under_way: bool) -> bool:
    """Return whether the target runs the desired images, or its rollout under way brings them."""
    return _is_promised(live, desired) if under_way else has_arrived(live, desired)


def _is_promised(live: Live, desired: DesiredImage) -> bool:
    """Return whether a rollout under way brings the desired images; running tasks may still be the previous ones."""
    unread = replace(live, digests={})
    return all(each.is_met_by(what_runs(unread, each.name)[0]) for each in named_by(live, desired))


def _what_changes(live: Live, desired: DesiredImage) -> str:
    before = record(live).get("commit", "")
    if before == desired.commit_tag:
        return "the definition changes"
    return f"{tags.short(before)} → {tags.short(desired.commit_tag)}" if before else "the definition changes"
