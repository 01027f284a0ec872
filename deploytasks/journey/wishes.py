"""What a tier shall run: the one digest a service, resolved once, before anything is changed."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.errors import Complaint, NotBuilt, raise_all
from deploytasks.fleet import together
from deploytasks.journey import sources
from deploytasks.journey.errand import Errand, say
from deploytasks.model import Image, Service, Wish
from deploytasks.project.select import tiers_before


def to_build(errand: Errand) -> tuple[Wish, ...]:
    """Each service at the commit that is asked for, HEAD by default; its digest None where ECR has no such image."""
    commit_tag = sources.commit_tag(errand)
    return tuple(_each(errand, _at_commit, commit_tag))


def to_release(errand: Errand) -> tuple[Wish, ...]:
    """What a release takes: in the first tier a commit that may have to be built, elsewhere only what there is."""
    return to_build(errand) if errand.tier.after is None else to_tag(errand)


def to_tag(errand: Errand) -> tuple[Wish, ...]:
    """Each service at what the tier is to be moved to: the commit asked for, else HEAD, else what `after` names.

    Raises:
        NotBuilt: an image that does not exist, for every service that misses one.

    """
    after = errand.tier.after
    if errand.options.commit:
        return _built(errand, _as_asked(errand, "--commit", errand.options.commit))
    if after is None:
        return _built(errand, to_build(errand))
    wishes = tuple(_each(errand, named, after))
    for wish in _built(errand, wishes):
        say(errand, "commit", f"{tags.short(wish.commit_tag)}, which {after} names", wish.service)
    return wishes


def to_deploy(errand: Errand) -> tuple[Wish, ...]:
    """Each service at what the tier tag names, or at the release or commit that is asked for.

    Raises:
        NotBuilt: a tag that names nothing, for every service.

    """
    to = errand.options.to
    if to is None:
        return _built(errand, tuple(_each(errand, named, errand.tier.name)))
    if tags.is_release(to, errand.tier.name):
        return _built(errand, tuple(_each(errand, named, to)))
    return _built(errand, _as_asked(errand, "--to", to))


def present(errand: Errand) -> dict[str, Image]:
    """What the tier's tag names now, by service; a service that it names nothing of is left out."""

    def find(service: Service) -> dict[str, Image]:
        return ecr.find(errand.ecr, service.repository, [errand.tier.name])

    found = together(*(partial(find, service) for service in errand.services))
    return {
        service.name: images[errand.tier.name] for service, images in zip(errand.services, found, strict=True) if images
    }


def _each(errand: Errand, find: Callable[[Errand, Service, str], Wish], tag: str) -> list[Wish]:
    """Return what is found of each service; of several that can't be looked at every complaint is raised."""
    return together(*(partial(find, errand, service, tag) for service in errand.services))


def _as_asked(errand: Errand, flag: str, rev: str) -> tuple[Wish, ...]:
    """Each service at a commit that the user gave with the flag: a full commit tag needs no git."""
    commit_tag = rev if tags.is_commit(rev) else git.resolve(errand.project.root, rev, flag)
    return tuple(_each(errand, _at_commit, commit_tag))


def _at_commit(errand: Errand, service: Service, commit_tag: str) -> Wish:
    image = ecr.find(errand.ecr, service.repository, [commit_tag]).get(commit_tag)
    return _wish(errand, service, commit_tag, image)


def named(errand: Errand, service: Service, tag: str) -> Wish:
    """The service at what the tag names; without an image, if that is nothing."""
    wish = of_image(errand, service, ecr.find(errand.ecr, service.repository, [tag]).get(tag))
    return replace(wish, release=tag) if tags.is_release(tag, errand.tier.name) else wish


def of_image(errand: Errand, service: Service, image: Image | None) -> Wish:
    """The service at the image, with the commit and the newest release that it carries."""
    return _wish(errand, service, next(iter(tags.commits(image.tags)), "") if image else "", image)


def _wish(errand: Errand, service: Service, commit_tag: str, image: Image | None) -> Wish:
    return Wish(
        service=service.name,
        repository=service.repository,
        commit_tag=commit_tag,
        digest=image.digest if image else None,
        release=tags.newest_release(image.tags, errand.tier.name) if image else None,
        image=image,
    )


def _built(errand: Errand, wishes: tuple[Wish, ...]) -> tuple[Wish, ...]:
    raise_all(NotBuilt, list(missing(errand, wishes)))
    return wishes


def missing(errand: Errand, wishes: Iterable[Wish]) -> Iterable[Complaint]:
    """One complaint for each that names no image, with what makes one."""
    tier = errand.tier
    for wish in wishes:
        if wish.image is not None:
            continue
        if wish.commit_tag:
            what = f"commit {tags.short(wish.commit_tag)} is not in ECR"
            yield Complaint(wish.service, what, _how_to_build(errand, wish.commit_tag))
        elif errand.options.to:
            what = f"there is no {errand.options.to} in ECR"
            yield Complaint(wish.service, what, "inv tag.list shows what there is")
        elif errand.command == "deploy":
            yield Complaint(wish.service, f"{tier.name} names no image yet", f"inv release.{tier.name}")
        else:
            what = f"{tier.after} names no image yet, so there is nothing for {tier.name} to take"
            yield Complaint(wish.service, what, f"inv release.{tier.after}")


def _how_to_build(errand: Errand, commit_tag: str) -> str:
    """The commands that make the image, and bring it up to the tier; a rollback goes only to what there is."""
    if errand.command == "rollback":
        return f"inv release.history {errand.tier.name} shows what there is"
    flag = "--allow-dirty" if tags.is_dirty(commit_tag) else f"--commit {commit_tag}"
    first, *between = reversed((errand.tier.name, *tiers_before(errand.project, errand.tier)))
    if not between:
        return f"inv build {flag}"
    then = [*(f"inv release.{name}" for name in between[:-1]), "this again"]
    return f"only {first} builds: inv release.{first} {flag}\nthen {', then '.join(then)}"
