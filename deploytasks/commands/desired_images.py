"""Desired images: for each image the one digest to run, resolved once, before any change."""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.commands import build_context, origins, reuse
from deploytasks.commands.context import Context, say
from deploytasks.concurrency import together
from deploytasks.config.select import tiers_before
from deploytasks.errors import Complaint, NotBuilt, raise_all
from deploytasks.model import Command, DesiredImage, EcrImage, Image


def of(context: Context) -> tuple[DesiredImage, ...]:
    """Return the command's desired images, one per image."""
    match context.command:
        case Command.BUILD:
            return to_build(context)
        case Command.TAG:
            return to_tag(context)
        case Command.RELEASE | Command.MATRIX:
            return to_release(context)
        case _:
            return to_deploy(context)


def to_build(context: Context) -> tuple[DesiredImage, ...]:
    """Return the images of --commit, HEAD by default; `digest` is None if ECR has none that could be reused either."""
    commit_tag = build_context.commit_tag(context)
    return tuple(_each(context, _at_commit_or_earlier, commit_tag))


def to_release(context: Context) -> tuple[DesiredImage, ...]:
    """Return the images to release: in the first tier possibly not built yet, in other tiers existing ones only."""
    return to_build(context) if context.tier.after is None else to_tag(context)


def to_tag(context: Context) -> tuple[DesiredImage, ...]:
    """Return the images to point the tier at: those of --commit, else of HEAD in the first tier, else of `after`.

    Raises:
        NotBuilt: images do not exist; lists all of them.

    """
    after = context.tier.after
    if context.options.commit:
        find = _at_commit if after else _at_commit_or_earlier
        return _built(context, _as_asked(context, "--commit", context.options.commit, find))
    if after is None:
        return _built(context, to_build(context))
    desired_images = tuple(_each(context, named, after))
    for desired in _built(context, desired_images):
        say(context, "commit", f"{tags.short(desired.commit_tag)}, which {after} names", desired.name)
    return desired_images


def to_deploy(context: Context) -> tuple[DesiredImage, ...]:
    """Return the images that the tier tag names, or the release or commit of --to.

    Raises:
        NotBuilt: a tag names no image; lists every such image.

    """
    to = context.options.to
    if to is None:
        return _built(context, tuple(_each(context, named, context.tier.name)))
    if tags.is_release(to, context.tier.name):
        return _built(context, tuple(_each(context, named, to)))
    return _built(context, _as_asked(context, "--to", to))


def present(context: Context) -> dict[str, EcrImage]:
    """Return image → what the tier tag names now, without images for which it names nothing."""
    tag, images = context.tier.name, context.images
    found = together(*(partial(ecr.image_of, context.ecr, image.repository, tag) for image in images))
    there = {image.name: one for image, one in zip(images, found, strict=True) if one}
    return dict(zip(there, origins.known_origins(context.project.root, there.values()), strict=True))


Find = Callable[[Context, Image, str], DesiredImage]


def _each(context: Context, find: Find, tag: str) -> list[DesiredImage]:
    """Return what `find` returns for each image; if several fail, raise with the complaints of all."""
    return together(*(partial(find, context, image, tag) for image in context.images))


def _as_asked(context: Context, flag: str, rev: str, find: Find | None = None) -> tuple[DesiredImage, ...]:
    """Return the images of the commit given with the flag; a full commit tag needs no git."""
    commit_tag = rev if tags.is_commit(rev) else git.resolve(context.project.root, rev, flag)
    return tuple(_each(context, find or _at_commit, commit_tag))


def _at_commit(context: Context, image: Image, commit_tag: str) -> DesiredImage:
    found = origins.find(context, image.repository, [commit_tag]).get(commit_tag)
    desired = _desired(image, found, commit_tag, context.tier.name)
    if found is None or found.origin in ("", commit_tag):
        return desired
    return replace(desired, commit_tag=found.origin, asked=commit_tag)


def _at_commit_or_earlier(context: Context, image: Image, commit_tag: str) -> DesiredImage:
    desired = _at_commit(context, image, commit_tag)
    return desired if desired.image else reuse.nearest(context, image, desired)


def named(context: Context, image: Image, tag: str) -> DesiredImage:
    """Return what the tag names of the image; without a digest if it names nothing."""
    desired = of_image(context, image, ecr.image_of(context.ecr, image.repository, tag))
    return replace(desired, release=tag) if tags.is_release(tag, context.tier.name) else desired


def of_image(context: Context, image: Image, found: EcrImage | None) -> DesiredImage:
    """Return what was found of the image as desired, with the commit and the newest release among its tags."""
    (found,) = origins.known_origins(context.project.root, [found]) if found else (None,)
    commit_tag = next(iter(found.commits), "") if found else ""
    return _desired(image, found, commit_tag, context.tier.name)


def _desired(image: Image, found: EcrImage | None, commit_tag: str, tier: str) -> DesiredImage:
    return DesiredImage(
        name=image.name,
        repository=image.repository,
        commit_tag=commit_tag,
        digest=found.digest if found else None,
        release=tags.newest_release(found.tags, tier) if found else None,
        image=found,
    )


def _built(context: Context, desired_images: tuple[DesiredImage, ...]) -> tuple[DesiredImage, ...]:
    raise_all(NotBuilt, list(missing(context, desired_images)))
    return desired_images


def missing(context: Context, desired_images: Iterable[DesiredImage]) -> Iterable[Complaint]:
    """Yield a complaint for each desired image that does not exist, with how to build it."""
    tier = context.tier
    for desired in desired_images:
        if desired.image is not None:
            continue
        if desired.commit_tag:
            what = f"commit {tags.short(desired.commit_tag)} is not in ECR"
            yield Complaint(desired.name, what, _how_to_build(context, desired.commit_tag))
        elif context.options.to:
            what = f"there is no {context.options.to} in ECR"
            yield Complaint(desired.name, what, "inv tag.list shows what there is")
        elif context.command is Command.DEPLOY:
            yield Complaint(desired.name, f"{tier.name} names no image yet", f"inv release.{tier.name}")
        else:
            what = f"{tier.after} names no image yet, so there is nothing for {tier.name} to take"
            yield Complaint(desired.name, what, f"inv release.{tier.after}")


def _how_to_build(context: Context, commit_tag: str) -> str:
    """Return the commands that build the image and promote it to the tier; a rollback needs an existing one."""
    if context.command is Command.ROLLBACK:
        return f"inv release.history {context.tier.name} shows what there is"
    flag = "--allow-dirty" if tags.is_dirty(commit_tag) else f"--commit {commit_tag}"
    first, *between = reversed((context.tier.name, *tiers_before(context.project, context.tier)))
    if not between:
        return f"inv build {flag}"
    then = [*(f"inv release.{name}" for name in between[:-1]), "this again"]
    return f"only {first} builds: inv release.{first} {flag}\nthen {', then '.join(then)}"
