"""A target's requests, rendered from its service's templates and checked: nothing here asks AWS.

`templates/<service>.json.j2` is the task definition, the optional `<service>.service.json.j2` makes a missing service.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from traceback import walk_tb
from typing import Any

from jinja2 import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError

from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.model import Platform, Project, Target, Tier, Wish
from deploytasks.template import advice
from deploytasks.template.language import Loader, environment, seen
from deploytasks.template.lines import lines_of, offsets
from deploytasks.template.rules import definition_rules, service_rules
from deploytasks.template.rules_platform import platform_rules
from deploytasks.template.shape import Problem, dotted, problems, request_shape

NOBODY = Wish("", "", commit_tag="0" * 40, digest=f"sha256:{'0' * 64}")


def placeholder(project: Project, target: Target) -> Wish:
    """A wish for an image that nobody built: what a template is tried with before there is one."""
    service = project.service(target.service)
    return Wish(service.name, service.repository, NOBODY.commit_tag, NOBODY.digest)


def image_name(project: Project, target: Target, tier: Tier, wish: Wish) -> str:
    """What the target's definition names: `host/repository` at the digest, or at the tag that the tier is pinned to.

    Before the release tag of an immutable tier is minted, the commit tag stands in for it.
    """
    repository = f"{project.registry.host}/{project.service(target.service).repository}"
    if tier.pin == "digest":
        return f"{repository}@{wish.digest}"
    return f"{repository}:{tier.name if tier.tag == 'mutable' else wish.release or wish.commit_tag}"


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a template of this name, in `templates/`, was rendered to for the target."""

    name: str
    target: Target
    context: Mapping[str, Any]
    text: str = ""


class Renderer:
    """Renders a project's templates, each compiled once; safe to use from many threads."""

    def __init__(self, project: Project, environ: Mapping[str, str] = os.environ) -> None:
        self._project = project
        self._environ = environ
        self._confided: set[str] = set()
        self._made: dict[tuple[str, Target, Wish, str], dict[str, Any]] = {}
        self._loader = Loader(project.root / "templates")
        self._jinja = environment(self._loader, self._env_var)

    @property
    def read(self) -> frozenset[str]:
        """The templates that were asked for so far, by their names in `templates/`, included and missing ones too."""
        return frozenset(self._loader.asked)

    def definition(self, target: Target, wish: Wish, image: str) -> dict[str, Any]:
        """The target's RegisterTaskDefinition request; `image` is what its main container runs.

        Raises:
            Invalid: with everything that is wrong, and the template's line.

        """
        name = f"{target.service}.json.j2"
        if known := self._made.get((name, target, wish, image)):
            return known
        draft = self._draft(name, target, wish, image)
        request = {"family": target.family, **self._object(draft)}
        self._refuse(draft, problems(request, request_shape("RegisterTaskDefinition")))
        self._refuse(draft, [*definition_rules(request, target, image), *self._of_unbuilt(request, target, wish)])
        self._made[name, target, wish, image] = request
        return request

    def complaints(self, target: Target, wish: Wish, image: str, found: Iterable[Problem]) -> tuple[Complaint, ...]:
        """Return what was found wrong with the target's definition otherwise, with the template's lines."""
        try:
            self._refuse(self._draft(f"{target.service}.json.j2", target, wish, image), found)
        except Invalid as error:
            return error.complaints
        return ()

    def service(self, target: Target, wish: Wish, image: str) -> dict[str, Any] | None:
        """The target's CreateService request, without its `taskDefinition`; None where the service has no template.

        Raises:
            Invalid: as `definition` does.

        """
        name = f"{target.service}.service.json.j2"
        if known := self._made.get((name, target, wish, image)):
            return known
        if not self._exists(name):
            return None
        draft = self._draft(name, target, wish, image)
        request = {"serviceName": target.ecs_service, "cluster": target.cluster, **self._object(draft)}
        self._refuse(draft, problems(request, request_shape("CreateService")))
        self._refuse(draft, service_rules(request, target))
        self._made[name, target, wish, image] = request
        return request

    def _of_unbuilt(self, request: Mapping[str, Any], target: Target, wish: Wish) -> Iterable[Problem]:
        """What is wrong with a definition for an image that is built as envs/ says; others are looked at in ECR."""
        service = self._project.service(target.service)
        platforms = [Platform.parse(each) for each in service.platforms]
        image = f"the image (envs/project.toml: services.{service.name}.platforms)"
        return platform_rules(request, platforms, image) if wish.image is None else ()

    def veiled(self, text: str) -> str:
        """Return the text without what came from environment variables."""
        for value in sorted(self._confided, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def _exists(self, name: str) -> bool:
        try:
            self._jinja.get_template(name)
        except TemplateNotFound:
            return False
        except (TemplateSyntaxError, UnicodeDecodeError):
            return True  # rendering it tells what is wrong
        return True

    def _draft(self, name: str, target: Target, wish: Wish, image: str) -> _Draft:
        draft = _Draft(name, target, seen(self._project, target, wish, image))
        try:
            text = self._jinja.get_template(name).render(draft.context)
        except Exception as error:  # a template's expressions are code, and may fail in any way
            what, _, to_do = _told(error).partition("\n")
            file, line = self._position(error, name)
            to_do = advice.on_failed_line(self._line(file, line)) or to_do
            raise self._invalid(_Draft(file, target, draft.context), line, what, to_do) from error
        if "\0" in text:
            raise self._invalid(draft, 0, *_NOT_UTF_8.split("\n"))
        return _Draft(name, target, draft.context, text)

    def _line(self, file: str, number: int) -> str:
        path = self._project.root / "templates" / file
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _object(self, draft: _Draft) -> dict[str, Any]:
        repeated: list[bool] = []
        try:
            value = json.loads(draft.text, object_pairs_hook=lambda pairs: _object(pairs, repeated))
        except json.JSONDecodeError as error:
            line = lines_of(self._jinja, draft.name, draft.context, draft.text).at(error.pos)
            what = f"what it renders is no JSON: {error.msg}" if draft.text.strip() else "it renders nothing"
            to_do = advice.on_broken_json(draft.text, error.pos)
            raise self._invalid(
                draft, line, what, f"{_pointed_at(draft.text, error.pos)}\n{to_do}".rstrip("\n")
            ) from error
        if repeated:
            self._refuse(draft, _repeated_keys(draft.text))
        if not isinstance(value, dict):
            self._refuse(draft, [Problem((), "what it renders is no JSON object", advice.on_no_object(value))])
        if pasted := advice.on_pasted_answer(value):
            self._refuse(draft, [Problem((), *pasted)])
        return dict(advice.without_nulls(value))

    def _refuse(self, draft: _Draft, found: Iterable[Problem]) -> None:
        listed = list(found)
        if not listed:
            return
        places = dict(offsets(draft.text))
        lines = lines_of(self._jinja, draft.name, draft.context, draft.text)
        complaints: list[Complaint] = []
        for problem in listed:
            known = next(problem.path[:end] for end in range(len(problem.path), -1, -1) if problem.path[:end] in places)
            what = f"{dotted(problem.path)}: {problem.what}" if problem.path else problem.what
            complaints += self._invalid(draft, lines.at(places[known]), what, problem.to_do).complaints
        raise_all(Invalid, complaints)

    def _invalid(self, draft: _Draft, line: int, what: str, to_do: str) -> Invalid:
        """The error of one complaint."""
        file = f"templates/{draft.name}:{line}" if line else f"templates/{draft.name}"
        return Invalid(Complaint(f"{file}: {draft.target}", self.veiled(what), self.veiled(to_do)))

    def _position(self, error: Exception, name: str) -> tuple[str, int]:
        """The template's file and line that the error comes from; the innermost where one includes another."""
        if isinstance(error, TemplateSyntaxError):
            return error.name or name, error.lineno
        folder = self._project.root / "templates"
        frames = [(FilePath(frame.f_code.co_filename), line) for frame, line in walk_tb(error.__traceback__)]
        ours = [(str(file.relative_to(folder)), line) for file, line in frames if file.is_relative_to(folder)]
        return ours[-1] if ours else (name, 0)

    def _env_var(self, name: str) -> str:
        """What a template's `env_var("NAME")` gives."""
        if name not in self._environ:
            raise TemplateRuntimeError(f"the environment variable {name} is not set\nset it where inv is run")
        value = self._environ[name]
        if len(value) >= _TELLING:
            self._confided.add(value)
        return value


_NOT_UTF_8 = "it is not UTF-8 (UTF-16, perhaps)\nsave it as UTF-8"
_TELLING = 4  # shorter ones are no secrets, and would be masked out of every other word


_HOW_TO_WRITE_ONE = """\
write it: the JSON of a RegisterTaskDefinition request, in which {{ image }} stands for the image
docs/templates.md in deploytasks' own repository begins with the smallest one"""


def _told(error: Exception) -> str:
    """What is wrong, and on the next line what to do."""
    if isinstance(error, TemplateNotFound):
        return f"there is no templates/{error.name}\n{_HOW_TO_WRITE_ONE}"
    if isinstance(error, UnicodeDecodeError):
        return _NOT_UTF_8
    return str(error) or type(error).__name__


def _object(pairs: list[tuple[str, Any]], repeated: list[bool]) -> dict[str, Any]:
    """The JSON object of the pairs; `repeated` grows where one of its keys stands twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        repeated.append(True)
    return made


def _repeated_keys(text: str) -> list[Problem]:
    paths = [path for path, _ in offsets(text)]
    twice = dict.fromkeys(path for index, path in enumerate(paths) if path in paths[:index])
    return [Problem(path, "the key stands there twice") for path in twice]


def _pointed_at(text: str, offset: int) -> str:
    """The text's line around the offset, and below it a mark."""
    start = max(text.rfind("\n", 0, offset) + 1, offset - 60)
    end = text.find("\n", offset)
    line = text[start : min(end if end >= 0 else len(text), offset + 40)]
    indent = len(line) - len(line.lstrip())
    return f"{line.strip()}\n{' ' * (offset - start - indent)}^"
