"""Build and push the images that are missing in ECR, one per image and commit."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.commands import build_context, ownership
from deploytasks.commands.context import Context, begin, quiet, say
from deploytasks.commands.outcome import report
from deploytasks.commands.resume import resumable
from deploytasks.commands.reuse import put, reuses
from deploytasks.commands.situation import looked
from deploytasks.errors import AwsError, BuildFailed, NotReady, unwritable
from deploytasks.model import (
    Build,
    Command,
    DesiredImage,
    EcrImage,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Report,
    Scope,
)

if TYPE_CHECKING:
    from deploytasks.builders import BuildRequest


def builds(context: Context, desired_images: Iterable[DesiredImage]) -> tuple[Build, ...]:
    """Return the builds of the missing images, and report the others as present; empty if the command never builds."""
    if context.command is not Command.BUILD and context.tier.after is not None:
        return ()
    missing = []
    for desired in desired_images:
        if desired.image is None:
            image = context.project.image(desired.name)
            missing.append(Build(image, desired.commit_tag[:40], desired.commit_tag))
        elif not desired.reuse:
            say(context, "build", f"{tags.short(desired.asked or desired.commit_tag)} is already in ECR", desired.name)
    return tuple(missing)


def build_all(
    context: Context, desired_images: Iterable[DesiredImage], missing: Iterable[Build]
) -> tuple[DesiredImage, ...]:
    """Build and push the missing images; return the desired images, all of them with an image.

    Raises:
        BuildFailed: a build or a push failed, and no other run pushed that commit in the meantime.
        NotReady: there is no room for a temporary file; no tag and no service was touched.

    """
    to_build = {build.image.name: build for build in missing}
    return tuple(_made(context, desired, to_build.get(desired.name)) for desired in desired_images)


def _made(context: Context, desired: DesiredImage, build: Build | None) -> DesiredImage:
    if build:
        return _built(context, desired, build)
    return put(context, desired, desired.reuse) if desired.reuse else desired


def _built(context: Context, desired: DesiredImage, build: Build) -> DesiredImage:
    from deploytasks.builders import Login, build_and_push  # requests and docker, which only a build needs

    user, password = ecr.login(context.ecr, desired.repository)
    login = Login(context.project.registry.host, user, password)
    try:
        with build_context.laid_out(context, build) as laid:
            digest = build_and_push(_request(context, build, laid), login, context.tell)
    except OSError as error:
        raise NotReady(unwritable(error)) from error
    except BuildFailed:
        if not _there(context, desired):
            raise
        digest = ""
    image = _there(context, desired)
    if image is None:
        raise AwsError.of(desired.name, f"{desired.commit_tag} was pushed, but ECR does not know it", "run it again")
    return _adopted(context, replace(desired, image=image, digest=image.digest), digest)


def _adopted(context: Context, desired: DesiredImage, built: str) -> DesiredImage:
    """Return the image that the commit tag names in ECR, which is released; report if another run built it."""
    if desired.digest != built:
        ours = f", and not {built}, which was built here" if built else ""
        what = f"another build pushed {tags.short(desired.commit_tag)} first; its image is used: {desired.digest}{ours}"
        say(context, "build", what, desired.name)
    return desired


def _request(context: Context, build: Build, laid: build_context.LaidOut) -> "BuildRequest":
    from deploytasks.builders import BuildRequest, labels

    project = context.project
    created = git.committed_at(project.root, build.commit)
    made = {build_context.ARTIFACTS_LABEL: laid.artifacts} if laid.artifacts else {}
    return BuildRequest(
        build=build,
        context=laid.context,
        ref=f"{project.uri(build.image)}:{build.commit_tag}",
        labels={
            **labels(build.commit_tag, created, git.origin_url(project.root)),
            ownership.LABEL: project.name,
            **made,
        },
        laid_at=laid.dockerfile,
    )


def _there(context: Context, desired: DesiredImage) -> EcrImage | None:
    return ecr.find(context.ecr, desired.repository, [desired.commit_tag]).get(desired.commit_tag)


def build(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Build each selected image and push it under its commit tag, unless ECR has it already.

    Raises:
        Refusal: a check failed; nothing was changed. The complaints list every problem.
        Failure: a build or a push failed.

    """
    context = begin(Command.BUILD, project, scope, options, tell)
    found = looked(context)
    whole = Plan(context.tier, builds(context, found.desired), notes=found.notes, reuses=reuses(found.desired))
    build_missing(context, whole, found.desired)
    return report(context, whole)


def build_missing(context: Context, whole: Plan, wanted: Sequence[DesiredImage]) -> tuple[DesiredImage, ...]:
    """Build or reuse the plan's images; return the desired images with them. In a dry run, those to be built lack one.

    Only a plan with builds is shown: a commit tag on an image that is there already is put beside other steps.
    """
    if context.options.dry_run or not (whole.builds or whole.reuses):
        return tuple(wanted)
    if whole.builds:
        context.tell(Planned(whole))
    with resumable(context, "the tier is unchanged"):
        return build_all(context, wanted, whole.builds)
