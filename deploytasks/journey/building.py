"""Images that do not exist yet come to exist, once for each commit."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.errors import AwsError, BuildFailed, unwritable
from deploytasks.journey import artifacts, ownership, sources
from deploytasks.journey.errand import Errand, say
from deploytasks.model import Build, Image, Wish

if TYPE_CHECKING:
    from deploytasks.builders import Job


def builds(errand: Errand, wishes: Iterable[Wish]) -> tuple[Build, ...]:
    """The images that are missing, where the command builds at all; says of the others that they are there."""
    if errand.command != "build" and errand.tier.after is not None:
        return ()
    missing = []
    for wish in wishes:
        if wish.image is None:
            service = errand.project.service(wish.service)
            missing.append(Build(service, wish.commit_tag[:40], wish.commit_tag))
        else:
            say(errand, "build", f"{tags.short(wish.commit_tag)} is already in ECR", wish.service)
    return tuple(missing)


def build_all(errand: Errand, wishes: Iterable[Wish], missing: Iterable[Build]) -> tuple[Wish, ...]:
    """The wishes with their images, the missing ones built and pushed.

    Raises:
        BuildFailed: a build or a push failed, and nobody else pushed that commit in the meantime.

    """
    to_build = {build.service.name: build for build in missing}
    return tuple(_built(errand, wish, to_build[wish.service]) if wish.service in to_build else wish for wish in wishes)


def _built(errand: Errand, wish: Wish, build: Build) -> Wish:
    from deploytasks.builders import Login, build_and_push  # docker takes 125 ms, which only a build needs

    user, password = ecr.login(errand.ecr, wish.repository)
    login = Login(errand.project.registry.host, user, password)
    try:
        with sources.laid_out(errand, build) as laid:
            digest = build_and_push(_job(errand, build, laid), login, errand.tell, builder=build.service.builder)
    except OSError as error:
        raise BuildFailed(unwritable(error)) from error
    except BuildFailed:
        if not _there(errand, wish):
            raise
        digest = ""
    return _adopted(errand, _pushed(errand, wish), digest)


def _adopted(errand: Errand, wish: Wish, built: str) -> Wish:
    """What the commit tag names in ECR is what is released, which is said where it is not what was built here."""
    if wish.digest != built:
        ours = f", and not {built}, which was built here" if built else ""
        what = f"somebody else pushed {tags.short(wish.commit_tag)} first; theirs is taken: {wish.digest}{ours}"
        say(errand, "build", what, wish.service)
    return wish


def _job(errand: Errand, build: Build, laid: sources.LaidOut) -> "Job":
    from deploytasks.builders import Job, labels

    project = errand.project
    created = git.committed_at(project.root, build.commit)
    made = {artifacts.LABEL: laid.artifacts} if laid.artifacts else {}
    return Job(
        build=build,
        context=laid.context,
        ref=f"{project.registry.host}/{build.service.repository}:{build.commit_tag}",
        labels={
            **labels(build.commit_tag, created, git.origin_url(project.root)),
            ownership.LABEL: project.name,
            **made,
        },
        laid_at=laid.dockerfile,
    )


def _pushed(errand: Errand, wish: Wish) -> Wish:
    image = _there(errand, wish)
    if image is None:
        raise AwsError.of(wish.service, f"{wish.commit_tag} was pushed, but ECR does not know it", "run it again")
    return replace(wish, image=image, digest=image.digest)


def _there(errand: Errand, wish: Wish) -> Image | None:
    return ecr.find(errand.ecr, wish.repository, [wish.commit_tag]).get(wish.commit_tag)
