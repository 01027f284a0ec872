"""Render a target's requests from its service's templates, and check them; nothing here asks AWS.

`templates/<service>.json.j2` is the task definition, the optional `<service>.service.json.j2` creates the service.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Definition, DesiredImage, Platform, Project, Target, Tier, hidden_in
from deploytasks.template import confidential
from deploytasks.template.confidential import StandIn
from deploytasks.template.drafts import Asked, Draft, Drafts
from deploytasks.template.rules import definition_rules, platform_rules, service_rules
from deploytasks.template.shape import Problem, problems, request_shape

NOBODY = DesiredImage("", "", commit_tag="0" * 40, digest=f"sha256:{'0' * 64}")


def placeholder(project: Project, target: Target) -> DesiredImage:
    """Return a placeholder for the desired image, with which templates are tried before there is one."""
    service = project.service(target.service)
    return DesiredImage(service.name, service.repository, NOBODY.commit_tag, NOBODY.digest)


def image_name(project: Project, target: Target, tier: Tier, desired: DesiredImage) -> str:
    """Return the image's name in the target's definition: `host/repository` at the digest, or at the tier's pinned tag.

    Before the release tag of an immutable tier is minted, the commit tag is used instead.
    """
    repository = f"{project.registry.host}/{project.service(target.service).repository}"
    if tier.pin == "digest":
        return f"{repository}@{desired.digest}"
    return f"{repository}:{tier.name if tier.tag == 'mutable' else desired.release or desired.commit_tag}"


class Renderer:
    """Render a project's templates, each compiled once; safe to use from many threads."""

    def __init__(self, project: Project, environ: Mapping[str, str] = os.environ) -> None:
        self._project = project
        self._environ = environ
        self._made: dict[Asked, dict[str, Any]] = {}
        self._drafts = Drafts(project, environ)

    @property
    def read(self) -> frozenset[str]:
        """The templates that were loaded so far, by their names in `templates/`, included and missing ones too."""
        return self._drafts.read

    def definition(self, target: Target, desired: DesiredImage, image: str) -> dict[str, Any]:
        """Return the target's RegisterTaskDefinition request; `image` is the name of its main container's image.

        Values made from an environment variable are `Hidden`.

        Raises:
            Invalid: with everything that is wrong, and the template's line.
        """
        asked = Asked(f"{target.service}.json.j2", target, desired, image)
        return self._checked(asked)

    def complaints(
        self, target: Target, desired: DesiredImage, image: str, found: Iterable[Problem]
    ) -> tuple[Complaint, ...]:
        """Return problems of the definition that were found elsewhere as complaints with the template's lines."""
        listed = list(found)
        if not listed:
            return ()
        try:
            self._drafts.refuse(self._drafts.draft(Asked(f"{target.service}.json.j2", target, desired, image)), listed)
        except Invalid as error:
            return error.complaints
        return ()

    def service(self, target: Target, desired: DesiredImage, image: str) -> dict[str, Any] | None:
        """Return the target's CreateService request, without its `taskDefinition`; None without a service template.

        Raises:
            Invalid: as `definition` does.
        """
        name = f"{target.service}.service.json.j2"
        if not self._drafts.exists(name):
            return None
        return self._checked(Asked(name, target, desired, image))

    def hidden_in(self, target: Target, desired: DesiredImage, image: str, definition: Definition) -> Definition:
        """Return the registered definition with every part hidden that its template takes from variables."""
        if not self._drafts.takes_variables:
            return definition
        asked = Asked(f"{target.service}.json.j2", target, desired, image)
        made = [each for each in (one._plain(asked) for one in self._stand_ins_for_anything) if each is not None]
        if not made or made[0] == made[-1]:
            return definition
        like: Definition = confidential.like(definition, confidential.marked(made[0], made[1:], frozenset()))
        return like

    def _checked(self, asked: Asked) -> dict[str, Any]:
        if known := self._made.get(asked):
            return known
        try:
            draft = self._drafts.draft(asked)
            request = self._request(asked, draft)
            for found in self._problems(request, asked):
                self._drafts.refuse(draft, found)
        except Invalid as error:
            raise self._without_values(error, asked) from None
        self._made[asked] = self._marked(request, asked)
        return self._made[asked]

    def _request(self, asked: Asked, draft: Draft) -> dict[str, Any]:
        target = asked.target
        if asked.is_service:
            return {"serviceName": target.ecs_service, "cluster": target.cluster, **self._drafts.object(draft)}
        return {"family": target.family, **self._drafts.object(draft)}

    def _problems(self, request: Mapping[str, Any], asked: Asked) -> Iterator[Iterable[Problem]]:
        """Yield what does not fit ECS's shape of the request, then what breaks a rule, which needs one that fits."""
        target = asked.target
        if asked.is_service:
            yield problems(request, request_shape("CreateService"))
            yield service_rules(request, target)
        else:
            yield problems(request, request_shape("RegisterTaskDefinition"))
            yield [*definition_rules(request, target, asked.image), *self._of_unbuilt(request, target, asked.desired)]

    @cached_property
    def _stand_ins(self) -> tuple["Renderer", ...]:
        return tuple(Renderer(self._project, StandIn(self._environ, value)) for value in confidential.STAND_INS)

    @cached_property
    def _stand_ins_for_anything(self) -> tuple["Renderer", ...]:
        environs = (StandIn({}, value, anything=True) for value in confidential.STAND_INS)
        return tuple(Renderer(self._project, environ) for environ in environs)

    def _plain(self, asked: Asked) -> dict[str, Any] | None:
        """Return the rendered object, unchecked; None if it is not a JSON object."""
        try:
            return self._request(asked, self._drafts.draft(asked))
        except Invalid:
            return None

    def _marked(self, request: dict[str, Any], asked: Asked) -> dict[str, Any]:
        if not self._drafts.confides:
            return request
        others = [each for each in (one._plain(asked) for one in self._stand_ins) if each is not None]
        made: dict[str, Any] = confidential.marked(request, others, frozenset(self._drafts.confided))
        self._drafts.hidden |= hidden_in(made)
        return made

    def _without_values(self, error: Invalid, asked: Asked) -> Invalid:
        if not self._drafts.confides:
            return error
        others: list[Complaint] = []
        for each in self._stand_ins:
            try:
                each._checked(asked)
            except Invalid as other:
                others += other.complaints
        return Invalid(*confidential.safe(error.complaints, others))

    def veiled(self, text: str) -> str:
        """Return the text with values from environment variables masked."""
        return self._drafts.veiled(text)

    def _of_unbuilt(self, request: Mapping[str, Any], target: Target, desired: DesiredImage) -> Iterable[Problem]:
        """Return what is wrong with a definition for an image that has yet to be built as envs/ says.

        The platforms of an image that is built are read from ECR.
        """
        service = self._project.service(target.service)
        platforms = [Platform.parse(each) for each in service.platforms]
        image = f"the image (envs/project.toml: services.{service.name}.platforms)"
        return platform_rules(request, platforms, image) if desired.image is None else ()
