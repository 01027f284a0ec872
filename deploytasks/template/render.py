"""Render a target's requests from the templates of its service or job, and check them; nothing here asks AWS.

`templates/<name>.json.j2` is the task definition. The optional `<service>.service.json.j2` creates the service, and the
optional `<job>.schedule.json.j2` says what the job's schedule is to be.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.model import (
    Definition,
    DesiredImage,
    JobSchedule,
    Platform,
    Project,
    Target,
    hidden_in,
    joined,
    placeholder,
)
from deploytasks.template import confidential
from deploytasks.template.canonical import same
from deploytasks.template.confidential import StandIn
from deploytasks.template.rules import definition_rules, platform_rules, service_rules
from deploytasks.template.shape import Problem, problems, request_shape

if TYPE_CHECKING:
    from deploytasks.template.drafts import Asked, Draft, Drafts, Kind


class Renderer:
    """Render a project's templates, each compiled once; safe to use from many threads."""

    def __init__(self, project: Project, environ: Mapping[str, str] = os.environ) -> None:
        self._project = project
        self._environ = environ
        self._made: dict[Asked, dict[str, Any]] = {}
        self._compared: dict[tuple[int, int], tuple[Definition, Definition, bool]] = {}
        self._lock = threading.Lock()
        self._known: Drafts | None = None

    @property
    def _drafts(self) -> "Drafts":
        from deploytasks.template.drafts import Drafts  # Jinja, which `prepare` imports while AWS answers

        with self._lock:
            self._known = self._known or Drafts(self._project, self._environ)
            return self._known

    def prepare(self) -> None:
        """Load the template language and ECS's model ahead of the first template."""
        _ = self._drafts, request_shape("RegisterTaskDefinition")

    @property
    def read(self) -> frozenset[str]:
        """The templates that were loaded so far, by their names in `templates/`, included and missing ones too."""
        return self._drafts.read

    def definition(self, target: Target, desired: DesiredImage) -> dict[str, Any]:
        """Return the target's RegisterTaskDefinition request.

        Values made from an environment variable are `Hidden`.

        Raises:
            Invalid: with everything that is wrong, and the template's line.
        """
        return self._checked(self._asked(target, desired))

    def is_same(self, request: Definition, live: Definition) -> bool:
        """Return whether the live definition is what ECS makes of the rendered request, comparing each pair once.

        Neither may change afterwards. Both are kept: their ids stay theirs.
        """
        key = (id(request), id(live))
        if key not in self._compared:
            self._compared[key] = (request, live, same(request, live))
        return self._compared[key][2]

    def complaints(
        self,
        target: Target,
        desired: DesiredImage,
        found: Iterable[Problem],
        kind: "Kind" = "RegisterTaskDefinition",
    ) -> tuple[Complaint, ...]:
        """Return problems of the request that were found elsewhere as complaints with the template's lines."""
        listed = list(found)
        if not listed:
            return ()
        try:
            self._drafts.refuse(self._drafts.draft(self._asked(target, desired, kind)), listed)
        except Invalid as error:
            return error.complaints
        return ()

    def service(self, target: Target, desired: DesiredImage) -> dict[str, Any] | None:
        """Return the target's CreateService request, without its `taskDefinition`; None without a service template.

        Raises:
            Invalid: as `definition` does.
        """
        asked = self._asked(target, desired, "CreateService")
        return self._checked(asked) if self._drafts.exists(asked.name) else None

    def schedule(self, target: Target, desired: DesiredImage) -> dict[str, Any] | None:
        """Return what the template of the job's schedule names; None without one.

        A schedule without a template is checked too.

        Raises:
            Invalid: as `definition` does.
        """
        asked = self._asked(target, desired, "CreateSchedule")
        if self._drafts.exists(asked.name):
            return self._checked(asked)
        if target.job and target.job.schedule and asked not in self._made:
            from deploytasks.template import schedule  # cron and time zones, which only jobs need

            found = schedule.target_problems(target, None, self._definition_beside(asked))
            raise_all(Invalid, schedule.without_template(found, target))
            self._made[asked] = {}
        return None

    def unchecked_schedule(self, target: Target) -> dict[str, Any] | None:
        """Return what the template of the job's schedule names, unchecked, for placeholder images.

        None if there is no template, or if it does not render to a JSON object.
        """
        asked = self._asked(target, self.tried(target), "CreateSchedule")
        return self._plain(asked) if self._drafts.exists(asked.name) else None

    def job_schedule(self, target: Target, desired: DesiredImage, revision: str = "") -> "JobSchedule | None":
        """Return what the job's schedule for the revision, or a placeholder, is made of; None if it is to have none.

        Raises:
            Invalid: as `definition` does.
        """
        named = self.schedule(target, desired)
        if named is None and not (target.job and target.job.schedule):
            return None
        from deploytasks.rules.schedule import job_schedule
        from deploytasks.template.schedule import placeholder_revision

        definition = self.definition(target, desired)
        return job_schedule(target, revision or placeholder_revision(target), named, definition)

    def tried(self, target: Target) -> DesiredImage:
        """Return a placeholder for the target's image, and for those that its template names besides."""
        return joined(placeholder(self._project.image(name)) for name in target.images)

    def _asked(self, target: Target, desired: DesiredImage, kind: "Kind" = "RegisterTaskDefinition") -> "Asked":
        from deploytasks.template.drafts import Asked

        return Asked(kind, target, desired, self._project.tier(target.environment.tier))

    def hidden_in(self, target: Target, definition: Definition) -> Definition:
        """Return the registered definition with every part hidden that its template takes from variables."""
        if not self._drafts.takes_variables:
            return definition
        asked = self._asked(target, self.tried(target))
        made = [each for each in (one._plain(asked) for one in self._stand_ins_for_anything) if each is not None]
        if not made or made[0] == made[-1]:
            return definition
        like: Definition = confidential.like(definition, confidential.marked(made[0], made[1:], frozenset()))
        return like

    def _checked(self, asked: "Asked") -> dict[str, Any]:
        if known := self._made.get(asked):
            return known
        beside = self._definition_beside(asked)
        try:
            raise_all(Invalid, [asked.misplaced] if asked.misplaced else [])
            draft = self._drafts.draft(asked)
            request = self._request(asked, draft)
            for found in self._problems(request, asked, beside):
                self._drafts.refuse(draft, found)
        except Invalid as error:
            raise self._without_values(error, asked) from None
        self._made[asked] = self._marked(request, asked)
        return self._made[asked]

    def _definition_beside(self, asked: "Asked") -> dict[str, Any]:
        """Return the definition that the schedule asked for runs; {} for any other request, or if it has complaints.

        Rendered before the schedule, since `confides` tells of the last template.
        """
        with suppress(Invalid):
            return self.definition(asked.target, asked.desired) if asked.kind == "CreateSchedule" else {}
        return {}

    def _request(self, asked: "Asked", draft: "Draft") -> dict[str, Any]:
        target, named = asked.target, self._drafts.object(draft)
        match asked.kind:
            case "RegisterTaskDefinition":
                return {"family": target.family, **named}
            case "CreateService":
                return {"serviceName": target.ecs_service, "cluster": target.cluster, **named}
            case _:
                return named

    def _problems(
        self, request: Mapping[str, Any], asked: "Asked", beside: Mapping[str, Any]
    ) -> Iterator[Iterable[Problem]]:
        """Yield what does not fit AWS's shape of the request, then what breaks a rule, which needs one that fits."""
        target = asked.target
        match asked.kind:
            case "CreateSchedule":
                from deploytasks.template.schedule import target_problems

                yield target_problems(target, request, beside)
            case "CreateService":
                yield problems(request, request_shape("CreateService"))
                yield service_rules(request, target)
            case _:
                yield self._shape_problems(request, target)
                yield [
                    *definition_rules(request, target, asked.images[target.image]),
                    *self._of_unbuilt(request, asked.desired),
                ]

    @staticmethod
    def _shape_problems(request: Mapping[str, Any], target: Target) -> Iterator[Problem]:
        if target.job is None:
            return problems(request, request_shape("RegisterTaskDefinition"))
        from deploytasks.template.schedule import definition_problems

        return definition_problems(request)

    @cached_property
    def _stand_ins(self) -> tuple["Renderer", ...]:
        return tuple(Renderer(self._project, StandIn(self._environ, value)) for value in confidential.STAND_INS)

    @cached_property
    def _stand_ins_for_anything(self) -> tuple["Renderer", ...]:
        environs = (StandIn({}, value, anything=True) for value in confidential.STAND_INS)
        return tuple(Renderer(self._project, environ) for environ in environs)

    def _plain(self, asked: "Asked") -> dict[str, Any] | None:
        """Return the rendered object, unchecked; None if it is not a JSON object."""
        try:
            return self._request(asked, self._drafts.draft(asked))
        except Invalid:
            return None

    def _marked(self, request: dict[str, Any], asked: "Asked") -> dict[str, Any]:
        if not self._drafts.confides:
            return request
        others = [each for each in (one._plain(asked) for one in self._stand_ins) if each is not None]
        made: dict[str, Any] = confidential.marked(request, others, frozenset(self._drafts.confided))
        self._drafts.hidden |= hidden_in(made)
        return made

    def _without_values(self, error: Invalid, asked: "Asked") -> Invalid:
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

    def _of_unbuilt(self, request: Mapping[str, Any], desired: DesiredImage) -> Iterator[Problem]:
        """Find what is wrong with a definition for an image that has yet to be built as envs/ says.

        The platforms of an image that is built are read from ECR.
        """
        for each in desired.with_uses:
            if each.image is None:
                image = self._project.image(each.name)
                platforms = [Platform.parse(one) for one in image.platforms]
                yield from platform_rules(
                    request, platforms, f"the image (envs/project.toml: images.{image.name}.platforms)"
                )
