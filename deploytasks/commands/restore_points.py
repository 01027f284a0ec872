"""Where a rollback may go: the releases that ECR holds, and the revisions that each target ran them with."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import concurrency, tags
from deploytasks.commands import desired_images, ran_at, unfinished
from deploytasks.commands.context import Context, say
from deploytasks.commands.images import Sweep, sweep
from deploytasks.commands.lock import hold_of
from deploytasks.commands.ran_at import Then
from deploytasks.commands.situation import look_at_targets
from deploytasks.errors import Complaint, DeployError
from deploytasks.model import DesiredImage, EcrImage, Live, LockState, Target, desired_by, joined
from deploytasks.rules import releases
from deploytasks.rules.image_index import ImageIndex, index_images
from deploytasks.rules.observed import digest_key, ours, what_runs
from deploytasks.rules.releases import past_of


class RestorePoint(Struct, frozen=True):
    """A point to roll back to: what each image was, what tells each target's revision then, or complaints.

    It `is_unfinished` if an earlier rollback to it was not finished.

    `others` are the targets that ran other images then than `desired_images` has of theirs.
    """

    name: str = ""
    at: datetime | None = None
    is_unfinished: bool = False
    desired_images: tuple[DesiredImage, ...] = ()
    thens: Mapping[Target, Then] = field(default_factory=dict)
    others: Mapping[Target, DesiredImage] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()


class Found(Struct, frozen=True):
    """What the point is chosen from; `present` is what is rolled back from, `pointed` what the tier tag names.

    Both are by image, as is what ECR holds. `lock` is the lock as it was before ours. `complaints` say what could not
    be read.
    """

    swept: Sweep
    indexes: Mapping[str, ImageIndex]
    present: Mapping[str, EcrImage]
    pointed: Mapping[str, EcrImage]
    lives: tuple[Live, ...]
    hold: LockState | None
    lock: LockState | None
    complaints: tuple[Complaint, ...] = ()


def found_by(context: Context, before: LockState | None) -> Found:
    """Return everything that a rollback reads, in parallel, with complaints about what could not be read.

    `before` is the tier's lock as it was when the command began.
    """
    answers = concurrency.attempts(
        lambda: sweep(context.project, context.clients, context.images),
        lambda: desired_images.present(context),
        lambda: look_at_targets(context, "all"),
        lambda: hold_of(context),
    )
    complaints = [each for answer in answers if isinstance(answer, DeployError) for each in answer.complaints]
    swept, pointed, lives, hold = (None if isinstance(answer, DeployError) else answer for answer in answers)
    swept, lives = swept or Sweep({}), lives or ()
    if pointed is None:  # then as far as the repositories could be listed
        held, tier = swept.images.items(), context.tier.name
        pointed = {name: image for name, images in held for image in images if tier in image.tags}
    indexes = {image.name: index_images(swept.images.get(image.name, ())) for image in context.images}
    present = _running(context, indexes, lives) if is_partial(context) else pointed
    return Found(swept, indexes, present, pointed, lives, hold, before, (*complaints, *swept.unread.values()))


def is_partial(context: Context) -> bool:
    """Return whether only some of the tier's targets are selected: then the tier tag, which all share, stays."""
    scope = context.scope
    return bool(scope.tenants or scope.services or scope.exclude)


def _running(context: Context, indexes: Mapping[str, ImageIndex], lives: Sequence[Live]) -> dict[str, EcrImage]:
    """Return what the selected targets run of each image; of several, the one with the newest release."""
    running: dict[str, list[EcrImage]] = {}
    for live in lives:
        for name in live.target.images:
            known = (indexes[name].by_digest.get(digest) for digest in what_runs(live, name)[0])
            running.setdefault(name, []).extend(image for image in known if image)
    newest = {name: releases.newest_of(images, context.tier.name) for name, images in running.items()}
    return {name: image for name, image in newest.items() if image}


def restore_points(context: Context, found: Found) -> Iterator[RestorePoint]:
    """Yield the points that the tier may be rolled back to, best first; skip releases known to have failed.

    `--to` and `--at` yield the point asked for, even if it failed. Otherwise an unfinished rollback's point comes
    first, then the one that the hold of a finished rollback names. The caller checks whether all targets are there
    already.

    Raises:
        NotReady: several unfinished rollbacks went to different points.

    """
    to, at, hold = context.options.to, context.options.at, found.hold
    minted = past_of(context.tier.name, found.swept.images, ()).minted
    if to:
        yield from _to(context, found, minted, to)
    elif at:
        stood = releases.until(minted, context.tier.name, at)
        yield from (_to_release(context, found, minted, release, at) for release in stood[:1])
    else:
        for each in unfinished.of(context, hold, found.lock):
            taken_up = _to(context, found, minted, each.release, tags.time_told(each.at))
            yield from (replace(point, is_unfinished=True) for point in taken_up)
        if hold and hold.release in minted:
            yield _to_release(context, found, minted, hold.release, tags.time_told(hold.at))
        yield from _before(context, found, minted)


def _to(
    context: Context, found: Found, minted: releases.Minted, to: str, at: datetime | None = None
) -> Iterator[RestorePoint]:
    """Yield the point of that release or commit; none if the release no longer exists."""
    if not tags.is_release(to, context.tier.name):
        wanted = desired_images.to_deploy(replace(context, options=replace(context.options, to=to)))
        then = {desired.name: (desired.release or "", desired.image) for desired in wanted if desired.image}
        yield _with_thens(context, found, RestorePoint(wanted[0].commit_tag, desired_images=wanted), then)
    elif to in minted:
        yield _to_release(context, found, minted, to, at)


def _before(context: Context, found: Found, minted: releases.Minted) -> Iterator[RestorePoint]:
    """Yield the releases before the present one; skip, and say so, those whose every known rollout failed."""
    stays = found.pointed if is_partial(context) else None
    for release in releases.before(context.tier.name, minted, found.present, held=found.hold is not None, stays=stays):
        point = _to_release(context, found, minted, release)
        if not _failed(point):
            yield point
        else:
            say(context, "choose", f"{release} is skipped: its rollouts failed")


def nowhere(context: Context) -> Complaint:
    """Return the complaint that there is nothing to roll back to, and what to do."""
    what = "there is no release before the present one"
    if context.options.to:
        what = f"there is no {context.options.to} in ECR"
    elif context.options.at:
        what = f"there was no release at {context.options.at:%Y-%m-%dT%H:%M:%SZ}"
    to_do = f"inv release.history {context.tier.name} shows what there is; --to takes any commit that is in ECR, too"
    return Complaint(context.tier.name, what, to_do)


def _to_release(
    context: Context, found: Found, minted: releases.Minted, release: str, at: datetime | None = None
) -> RestorePoint:
    """Return the point of that release; an image without a release by then stays as it is."""
    then, wanted = releases.state(minted, release, found.swept.images), []
    for image in context.images:
        own, held = then.get(image.name, ("", found.present.get(image.name)))
        if held:
            wanted.append(replace(desired_images.of_image(context, image, held), release=own or None))
    return _with_thens(context, found, RestorePoint(release, at, desired_images=tuple(wanted)), then)


def _with_thens(
    context: Context, found: Found, point: RestorePoint, then: Mapping[str, tuple[str, EcrImage]]
) -> RestorePoint:
    """Return the point with what tells each target's revision then, and complaints against going there."""
    targets = [live.target for live in found.lives if live.exists and live.target.image in then]
    answers = concurrency.each(partial(_asked, context, found, point, then), targets)
    thens = {target: answer for target, answer in zip(targets, answers, strict=True) if isinstance(answer, Then)}
    ran = [(target, _other(context, found, point, target, each)) for target, each in thens.items() if each.how]
    complaints = [each for answer in answers if isinstance(answer, DeployError) for each in answer.complaints]
    complaints += [each for _, each in ran if isinstance(each, Complaint)]
    others = {target: each for target, each in ran if isinstance(each, DesiredImage)}
    return replace(point, thens=thens, others=others, complaints=tuple(dict.fromkeys(complaints)))


def _asked(
    context: Context, found: Found, point: RestorePoint, then: Mapping[str, tuple[str, EcrImage]], target: Target
) -> Then | DeployError:
    try:
        return _then(context, found.indexes, point, _newest(then, target), target)
    except DeployError as error:
        return error


def _newest(then: Mapping[str, tuple[str, EcrImage]], target: Target) -> tuple[str, str, EcrImage]:
    """Return the image of the target that was released last, with its release: that is when its revision began."""
    return max(
        ((then[name][0], name, then[name][1]) for name in target.images if name in then), key=lambda each: each[0]
    )


def _then(
    context: Context,
    indexes: Mapping[str, ImageIndex],
    point: RestorePoint,
    ran: tuple[str, str, EcrImage],
    target: Target,
) -> Then:
    """Return what the target ran: at the point's time, or with the image of its release.

    A release's own time stands for the release, whose rollouts begin a little later. If a definition names the tier
    tag, a new image needs no new revision, so revisions do not tell which release they ran.
    """
    (release, name, image), tier = ran, context.tier
    held = indexes[name]
    began = point.at == tags.certified_at(release, tier.name)
    if point.at and not began:
        return ran_at.at_time(context, target, point.at)
    moves = tier.pin == "tag" and tier.tag == "mutable"
    told = None
    if moves or point.at:
        told = ran_at.with_image(context, target, lambda digest: held.whole(digest) == image.digest, point.at)
    if told is None and moves:
        return ran_at.up_to(context, target, release)
    return told or ran_at.with_releases(context, target, tags.releases(image.tags, tier.name))


def _other(
    context: Context, found: Found, point: RestorePoint, target: Target, then: Then
) -> DesiredImage | Complaint | None:
    """Return the images of the revision then if they are not the point's, or a complaint if ECR does not hold one."""
    if then.revision is None:
        return None
    desired, ran = desired_by(target, point.desired_images), []
    for each in desired.with_uses:
        digest = _digest(context, found.indexes[each.name], each, then, target)
        image = found.indexes[each.name].by_digest.get(digest)
        if image is None and not (digest == "" and each.name != target.image):
            return _not_held(target, then)
        is_other = image is not None and image.digest != each.digest
        ran.append(desired_images.of_image(context, context.project.image(each.name), image) if is_other else each)
    other = joined(ran)
    return other if other != desired else None


def _not_held(target: Target, then: Then) -> Complaint:
    number = then.revision.arn.rpartition("/")[2] if then.revision else ""
    how = "which ran then" if then.how == ran_at.ECS_SAYS else then.how
    what = f"ECR does not hold the image of {number}, {how}"
    to_do = f"leave it out: --exclude {target.environment.tenant}; or name a release or commit: --to"
    return Complaint(str(target), what, to_do)


def _digest(context: Context, held: ImageIndex, desired: DesiredImage, then: Then, target: Target) -> str:
    """Return the image's digest that the revision ran, or will run: a tier tag will name the desired image.

    Empty if no container of the revision runs the image.
    """
    tier, revision, uri = context.tier, then.revision, target.images[desired.name]
    record, definition = (revision.record, revision.definition) if revision else ({}, {})
    containers: Sequence[Mapping[str, Any]] = definition.get("containerDefinitions", [])
    for container in ours(containers, uri, tier.name, record.get(digest_key(desired.name, target.image), "")):
        name, _, digest = str(container["image"]).partition("@")
        tag = name.removeprefix(f"{uri}:")
        if tag == tier.name and not digest and tier.tag == "mutable":
            return desired.digest or ""
        ran = then.digests.get(str(container["name"]), "")
        return digest or (held.by_tag[tag].digest if tag in held.by_tag else ran)
    return ""


def _failed(point: RestorePoint) -> bool:
    known = [then.revision for then in point.thens.values() if then.revision]
    never_began = any(then.never_began for then in point.thens.values())
    return bool(known or never_began) and all(revision.record.get("ended") for revision in known)
