"""Ownership of repositories: each belongs to one project, which its tag `deploytasks:project` names.

Refuse another project's. A repository without the tag (created by hand, or before deploytasks wrote tags) is
accepted: `inv envs.bootstrap` tags it. What may not be read refuses nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from msgspec import Struct

from deploytasks import tags
from deploytasks.aws import repositories
from deploytasks.aws.errors import is_denied, reason
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Note, unread
from deploytasks.concurrency import each
from deploytasks.config.images_of_services import default_repository
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import DesiredImage, Image, Project

LABEL = "deploytasks.project"
"""The image's label that records the project that built it."""


class Ownership(Struct, frozen=True):
    """The complaints against using the repositories, and notes on what could not be read."""

    complaints: tuple[Complaint, ...] = ()
    notes: tuple[Note, ...] = ()

    def found(self) -> Iterator[Complaint | Note]:
        """Yield both, as a check does."""
        yield from self.complaints
        yield from self.notes


class _Answer(Struct, frozen=True):
    """The project that a repository's tag names, None for no tag; or why it may not or could not be read."""

    owner: str | None = None
    denied: str = ""
    failed: tuple[Complaint, ...] = ()


def look(context: Context) -> Ownership:
    """Return the owners of the selected images' repositories, with one call each, in parallel.

    Source: ecr ListTagsForResource.
    """
    answers = each(partial(_owner, context), context.images)
    complaints = tuple(
        foreign(context.ecr, context.project, image.repository, answer.owner)
        for image, answer in zip(context.images, answers, strict=True)
        if answer.owner and answer.owner != context.project.name
    )
    failed = tuple(complaint for answer in answers for complaint in answer.failed)
    return Ownership(
        (*complaints, *failed), tuple(unread("the project of", (each.denied for each in answers if each.denied)))
    )


def foreign(ecr: Any, project: Project, repository: str, owner: str) -> Complaint:
    """Return the complaint about another project's repository."""
    what = f"the repository belongs to project {owner}, this is {project.name}"
    other = f"name another in envs/project.toml: `repository`, by default {default_repository(project.name, '<image>')}"
    arn = repositories.arn(ecr, project.registry.access.account, repository)
    mark = f"aws ecr tag-resource --resource-arn {arn} --tags Key={repositories.PROJECT_TAG},Value={project.name}"
    return Complaint(f"ECR {repository}", what, f"{other}\nif it is this project's all the same: {mark}")


def foreign_image(project: Project, desired: DesiredImage, owner: str) -> Complaint:
    """Return the complaint about an image that another project built, according to its label."""
    image = f"the image {str(desired.digest)[:19]} (commit {tags.short(desired.commit_tag)})"
    what = f"{image} was built by project {owner}, this is {project.name}"
    to_do = f"name an image of {project.name}'s own, or a repository of its own: `repository` in envs/project.toml"
    return Complaint(f"ECR {desired.repository}", what, to_do)


def with_former(context: Context, complaints: Sequence[Complaint]) -> list[Complaint]:
    """Return the complaints; for a missing default repository, advise on the former default if that exists.

    Source: ecr DescribeRepositories.
    """
    asked = context.images if complaints else ()
    pairs = zip(asked, each(partial(_former, context), asked), strict=True)
    advice = {f"ECR {image.repository}": keeping(image, former) for image, former in pairs if former}
    return [replace(one, to_do=advice.get(one.where, one.to_do)) for one in complaints]


def keeping(image: Image, former: str) -> str:
    """Return how to keep using the former default repository."""
    return (
        f"{former} is there, the default before deploytasks put the project's name in front: write\n"
        f'repository = "{former}" under [images.{image.name}] in envs/project.toml to keep it; '
        "else inv envs.bootstrap makes this one"
    )


def former_repository(ecr: Any, project: Project, image: Image) -> str:
    """Return the image's former default repository, "" if there is none, it is another project's, or may not be read.

    The policies of `envs.rights` are about the present repositories alone.
    """
    if image.repository != default_repository(project.name, image.name) or not _may_be_there(ecr, image.name):
        return ""
    try:
        owner = repositories.owner(ecr, project.registry.access.account, image.name)
    except AwsError:
        return image.name
    return image.name if owner in (None, project.name) else ""


def _may_be_there(ecr: Any, repository: str) -> bool:
    try:
        return repositories.exists(ecr, repository)
    except AwsError as error:
        if is_denied(error):
            return False
        raise


def _former(context: Context, image: Image) -> str:
    try:
        is_there = repositories.exists(context.ecr, image.repository)
        return "" if is_there else former_repository(context.ecr, context.project, image)
    except AwsError:
        return ""


def _owner(context: Context, image: Image) -> _Answer:
    try:
        return _Answer(repositories.owner(context.ecr, context.project.registry.access.account, image.repository))
    except AwsError as error:
        if is_denied(error):
            return _Answer(denied=reason(error))
        if error.error_code == "RepositoryNotFoundException":
            return _Answer()  # reading its images complains about that
        return _Answer(failed=error.complaints)
