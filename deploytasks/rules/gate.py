"""The gate of a tier: an image enters only once the tier before has proved it.

It is proved if every selected tenant's target there runs the image and the rollout that brought it is complete.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from deploytasks import tags
from deploytasks.errors import Complaint
from deploytasks.model import DesiredImage, Live, Tier
from deploytasks.rules.observed import images_of, is_alone, record, what_runs

_NONE: Mapping[str, str] = MappingProxyType({})
_OVERRIDE = '--override "reason"'


def gate(
    tier: Tier,
    desired_images: Iterable[DesiredImage],
    upstream: Sequence[Live],
    commits: Mapping[str, str] = _NONE,
) -> list[Complaint]:
    """Return the complaints against letting the images into the tier; empty if there are none.

    An image that already carries one of the tier's release tags has passed. `upstream` are the targets that must
    run it, `commits` maps known digests to commit tags.
    """
    if tier.after is None:
        return []
    unpassed = [desired for desired in desired_images if not passed(tier, desired)]
    return [complaint for desired in unpassed for complaint in _gated(tier, desired, upstream, commits)]


def passed(tier: Tier, desired: DesiredImage) -> bool:
    """Return whether the image already carries one of the tier's release tags."""
    return desired.image is not None and bool(tags.releases(desired.image.tags, tier.name))


def _gated(tier: Tier, desired: DesiredImage, upstream: Sequence[Live], commits: Mapping[str, str]) -> list[Complaint]:
    before = [live for live in upstream if _runs(live, desired.name)]
    commit = tags.short(desired.commit_tag) or _short_digest(desired.digest or "")
    if not before:
        what = f"no selected tenant runs {desired.name} in {tier.after} or before: nothing has tried {commit}"
        return [
            Complaint(f"{tier.name}/{desired.name}", what, f"{_release(tier.after or '', desired)}, or {_OVERRIDE}")
        ]
    doubts = ((live, _doubt(live, desired, commits)) for live in before)
    return [
        Complaint(str(live.target), f"{why}, so {commit} may not go to {tier.name}", f"{to_do}, or {_OVERRIDE}")
        for live, (why, to_do) in doubts
        if why
    ]


def _runs(live: Live, image: str) -> bool:
    """Return whether the target should run the image; a further one only if its definition names it, where known."""
    return image in (live.target.images if live.definition is None else images_of(live))


def _doubt(live: Live, desired: DesiredImage, commits: Mapping[str, str]) -> tuple[str, str]:
    """Return why the upstream target does not prove the image, and what to do; two empty strings if it proves it."""
    again = _release(live.target.environment.tier, desired)
    if live.complaint:
        return f"it cannot be seen ({live.complaint.what})", live.complaint.to_do or "fix that"
    if not live.exists:
        return f"the {live.target.kind} is not there", again
    digests, evidence = what_runs(live, desired.name)
    unsure = bool(live.failure) and evidence == "recorded"  # the record may be of the rollout that failed
    if unsure or not desired.is_met_by(digests):
        failed = f"; its last rollout failed: {live.failure.rstrip('.')}" if live.failure else ""
        return f"it runs {'nothing known' if unsure else _named(live, desired, digests, commits)}{failed}", again
    return _unfinished(live)


def _release(tier: str, desired: DesiredImage) -> str:
    """Return the command that brings the image to the tier; by default that takes what the tier before names."""
    is_clean = desired.commit_tag and not tags.is_dirty(desired.commit_tag)
    return f"inv release.{tier}" + (f" --commit {tags.short(desired.commit_tag)}" if is_clean else "")


def _named(live: Live, desired: DesiredImage, digests: Sequence[str], commits: Mapping[str, str]) -> str:
    """Return what the target runs, by commit where known or recorded, but never by the desired commit."""
    recorded = record(live).get("commit", "") if len(set(digests)) == 1 else ""
    recorded = recorded if recorded != desired.commit_tag else ""
    names = (tags.short(commits.get(digest) or recorded) or _short_digest(digest) for digest in digests)
    return ", ".join(dict.fromkeys(names)) or "nothing known"


def _short_digest(digest: str) -> str:
    return digest[: len("sha256:") + 12]


def _unfinished(live: Live) -> tuple[str, str]:
    """Return what is incomplete about the running rollout, and what to do. Zero desired tasks count as complete."""
    tier, primary = live.target.environment.tier, live.primary
    if primary is None or primary.rollout_state == "FAILED":
        return "its last rollout failed", f"inv deploy.{tier} tries again"
    if primary.rollout_state == "IN_PROGRESS" or not (primary.rollout_state or is_alone(live)):
        return "a rollout is under way there", f"inv deploy.wait {tier}"
    if primary.running < primary.desired:
        return f"only {primary.running} of {primary.desired} tasks run there", f"inv deploy.wait {tier}"
    return "", ""
