"""What a tier shall run: the one digest a service, resolved once, before anything is changed."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.commands import build_context
from deploytasks.commands.context import Context, say
from deploytasks.concurrency import together
from deploytasks.config.select import tiers_before
from deploytasks.errors import Complaint, NotBuilt, raise_all
from deploytasks.model import Command, DesiredImage, Image, Service


def of(context: Context) -> tuple[DesiredImage, ...]:
    """Return the images that the command is about, one a service."""
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
    """Each service at the commit that is asked for, HEAD by default; its digest None where ECR has no such image."""
    commit_tag = build_context.commit_tag(context)
    return tuple(_each(context, _at_commit, commit_tag))


def to_release(context: Context) -> tuple[DesiredImage, ...]:
    """What a release takes: in the first tier a commit that may have to be built, elsewhere only what there is."""
    return to_build(context) if context.tier.after is None else to_tag(context)


def to_tag(context: Context) -> tuple[DesiredImage, ...]:
    """Each service at what the tier is to be moved to: the commit asked for, else HEAD, else what `after` names.

    Raises:
        NotBuilt: an image that does not exist, for every service that misses one.

    """
    after = context.tier.after
    if context.options.commit:
        return _built(context, _as_asked(context, "--commit", context.options.commit))
    if after is None:
        return _built(context, to_build(context))
    desired_images = tuple(_each(context, named, after))
    for desired in _built(context, desired_images):
        say(context, "commit", f"{tags.short(desired.commit_tag)}, which {after} names", desired.service)
    return desired_images


def to_deploy(context: Context) -> tuple[DesiredImage, ...]:
    """Each service at what the tier tag names, or at the release or commit that is asked for.

    Raises:
        NotBuilt: a tag that names nothing, for every service.

    """
    to = context.options.to
    if to is None:
        return _built(context, tuple(_each(context, named, context.tier.name)))
    if tags.is_release(to, context.tier.name):
        return _built(context, tuple(_each(context, named, to)))
    return _built(context, _as_asked(context, "--to", to))


def present(context: Context) -> dict[str, Image]:
    """What the tier's tag names now, by service; a service that it names nothing of is left out."""

    def find(service: Service) -> dict[str, Image]:
        return ecr.find(context.ecr, service.repository, [context.tier.name])

    found = together(*(partial(find, service) for service in context.services))
    return {
        service.name: images[context.tier.name]
        for service, images in zip(context.services, found, strict=True)
        if images
    }


def _each(context: Context, find: Callable[[Context, Service, str], DesiredImage], tag: str) -> list[DesiredImage]:
    """Return what is found of each service; of several that can't be looked at every complaint is raised."""
    return together(*(partial(find, context, service, tag) for service in context.services))


def _as_asked(context: Context, flag: str, rev: str) -> tuple[DesiredImage, ...]:
    """Each service at a commit that the user gave with the flag: a full commit tag needs no git."""
    commit_tag = rev if tags.is_commit(rev) else git.resolve(context.project.root, rev, flag)
    return tuple(_each(context, _at_commit, commit_tag))


def _at_commit(context: Context, service: Service, commit_tag: str) -> DesiredImage:
    image = ecr.find(context.ecr, service.repository, [commit_tag]).get(commit_tag)
    return _desired(context, service, commit_tag, image)


def named(context: Context, service: Service, tag: str) -> DesiredImage:
    """The service at what the tag names; without an image, if that is nothing."""
    desired = of_image(context, service, ecr.find(context.ecr, service.repository, [tag]).get(tag))
    return replace(desired, release=tag) if tags.is_release(tag, context.tier.name) else desired


def of_image(context: Context, service: Service, image: Image | None) -> DesiredImage:
    """The service at the image, with the commit and the newest release that it carries."""
    return _desired(context, service, next(iter(tags.commits(image.tags)), "") if image else "", image)


def _desired(context: Context, service: Service, commit_tag: str, image: Image | None) -> DesiredImage:
    return DesiredImage(
        service=service.name,
        repository=service.repository,
        commit_tag=commit_tag,
        digest=image.digest if image else None,
        release=tags.newest_release(image.tags, context.tier.name) if image else None,
        image=image,
    )


def _built(context: Context, desired_images: tuple[DesiredImage, ...]) -> tuple[DesiredImage, ...]:
    raise_all(NotBuilt, list(missing(context, desired_images)))
    return desired_images


def missing(context: Context, desired_images: Iterable[DesiredImage]) -> Iterable[Complaint]:
    """One complaint for each that names no image, with what makes one."""
    tier = context.tier
    for desired in desired_images:
        if desired.image is not None:
            continue
        if desired.commit_tag:
            what = f"commit {tags.short(desired.commit_tag)} is not in ECR"
            yield Complaint(desired.service, what, _how_to_build(context, desired.commit_tag))
        elif context.options.to:
            what = f"there is no {context.options.to} in ECR"
            yield Complaint(desired.service, what, "inv tag.list shows what there is")
        elif context.command is Command.DEPLOY:
            yield Complaint(desired.service, f"{tier.name} names no image yet", f"inv release.{tier.name}")
        else:
            what = f"{tier.after} names no image yet, so there is nothing for {tier.name} to take"
            yield Complaint(desired.service, what, f"inv release.{tier.after}")


def _how_to_build(context: Context, commit_tag: str) -> str:
    """The commands that make the image, and bring it up to the tier; a rollback goes only to what there is."""
    if context.command is Command.ROLLBACK:
        return f"inv release.history {context.tier.name} shows what there is"
    flag = "--allow-dirty" if tags.is_dirty(commit_tag) else f"--commit {commit_tag}"
    first, *between = reversed((context.tier.name, *tiers_before(context.project, context.tier)))
    if not between:
        return f"inv build {flag}"
    then = [*(f"inv release.{name}" for name in between[:-1]), "this again"]
    return f"only {first} builds: inv release.{first} {flag}\nthen {', then '.join(then)}"
