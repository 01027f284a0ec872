"""Render a template for a target into a JSON object, or report complaints that name the template's line."""

import json
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path as FilePath
from traceback import walk_tb
from typing import Any, Literal

from jinja2 import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError
from msgspec import Struct

from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.model import DesiredImage, Project, Target, Tier, image_name, masked
from deploytasks.template import lines as template_lines
from deploytasks.template.confidential import StandIn
from deploytasks.template.language import Loader, environment, seen
from deploytasks.template.lines import lines_of, offsets
from deploytasks.template.shape import Problem, dotted


class Draft(Struct, frozen=True):
    """The text that a template of this name, in `templates/`, was rendered to for the target."""

    name: str
    target: Target
    context: Mapping[str, Any]
    text: str = ""


Kind = Literal["RegisterTaskDefinition", "CreateService", "CreateSchedule"]
_MIDDLE: Mapping[Kind, str] = {"RegisterTaskDefinition": "", "CreateService": ".service", "CreateSchedule": ".schedule"}


class Asked(Struct, frozen=True):
    """A request to render a document: which of AWS's requests, and what it is rendered for."""

    kind: Kind
    target: Target
    desired: DesiredImage
    tier: Tier

    @property
    def name(self) -> str:
        """The name of its template, in `templates/`."""
        return f"{self.target.name}{_MIDDLE[self.kind]}.json.j2"

    @property
    def misplaced(self) -> Complaint | None:
        """Why the target, a service or a job, may not have this template; None if it may."""
        job = self.target.job
        if self.kind == "CreateService" and job:
            to_do = f"remove it; a job is started by its schedule: templates/{self.target.name}.schedule.json.j2"
            return self._complaint("a job has no ECS service", to_do)
        if self.kind == "CreateSchedule" and not job:
            return self._complaint("a service has no schedule", "remove it; a job has one: [jobs.<job>]")
        if self.kind == "CreateSchedule" and job and job.rule:
            what = f"the rule '{job.rule}' starts the job, and a schedule would too"
            return self._complaint(what, "remove the template, or `rule` in envs/")
        return None

    def _complaint(self, what: str, to_do: str) -> Complaint:
        file = f"templates/{self.name}"
        return Complaint(f"{file}: {self.target}", what, to_do, file=file)

    @property
    def images(self) -> dict[str, str]:
        """Each image's name in the request, the target's own first."""
        return {each.name: image_name(self.target, self.tier, each) for each in self.desired.with_uses}


class Drafts:
    """A project's templates, each compiled once; safe to use from many threads.

    `hidden` grows by what is made from environment variables, which no complaint shows.
    """

    def __init__(self, project: Project, environ: Mapping[str, str]) -> None:
        self.project, self.environ = project, environ
        self.confided: set[str] = set()
        self.hidden: set[str] = set()
        self._there: dict[str, bool] = {}
        self._last = threading.local()
        self._loader = Loader(project.root / "templates")
        self._jinja = environment(self._loader, self._env_var)

    @property
    def read(self) -> frozenset[str]:
        """The templates that were loaded so far, included and missing ones too."""
        return frozenset(self._loader.asked)

    @property
    def confides(self) -> bool:
        """Whether what this thread rendered last used a variable's real value."""
        return getattr(self._last, "confides", False) and not isinstance(self.environ, StandIn)

    @cached_property
    def takes_variables(self) -> bool:
        """Whether any template can take a value from the environment."""
        files = (path for path in (self.project.root / "templates").rglob("*") if path.is_file())
        return any(b"env_var" in path.read_bytes() for path in files)

    def veiled(self, text: str) -> str:
        """Return the text with values from environment variables masked."""
        return masked(text, self.confided | self.hidden)

    def exists(self, name: str) -> bool:
        """Return whether there is such a template, valid or not."""
        if name not in self._there:
            self._there[name] = self._exists(name)
        return self._there[name]

    def _exists(self, name: str) -> bool:
        try:
            self._jinja.get_template(name)
        except TemplateNotFound:
            return False
        except (TemplateSyntaxError, UnicodeDecodeError):
            return True  # rendering it reports the error
        return True

    def draft(self, asked: Asked) -> Draft:
        """Render the template.

        Raises:
            Invalid: the template has an error, or fails.
        """
        name, target = asked.name, asked.target
        draft = Draft(name, target, seen(self.project, target, asked.desired, asked.images))
        self._last.confides = False
        try:
            text = self._jinja.get_template(name).render(draft.context)
        except Exception as error:  # a template's expressions are code, and may fail in any way
            what, _, to_do = _told(error, name).partition("\n")
            file, line = self._position(error, name)
            to_do = template_lines.on_failed_line(self._line(file, line)) or to_do
            raise self._invalid(Draft(file, target, draft.context), line, what, to_do) from error
        if "\0" in text:
            raise self._invalid(draft, 0, *_NOT_UTF_8.split("\n"))
        return Draft(name, target, draft.context, text)

    def _line(self, file: str, number: int) -> str:
        path = self.project.root / "templates" / file
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def object(self, draft: Draft) -> dict[str, Any]:
        """Return the JSON object that was rendered, without nulls.

        Raises:
            Invalid: the text is not a JSON object.
        """
        repeated: list[bool] = []
        try:
            value = json.loads(draft.text, object_pairs_hook=lambda pairs: _object(pairs, repeated))
        except json.JSONDecodeError as error:
            line = lines_of(self._jinja, draft.name, draft.context, draft.text).at(error.pos)
            what = f"what it renders is not JSON: {error.msg}" if draft.text.strip() else "it renders nothing"
            to_do = template_lines.on_broken_json(draft.text, error.pos)
            raise self._invalid(
                draft, line, what, f"{_pointed_at(draft.text, error.pos)}\n{to_do}".rstrip("\n")
            ) from error
        except (RecursionError, ValueError) as error:  # ValueError is Python's limit on a number's digits
            raise self._invalid(draft, 0, *_TOO_MUCH[isinstance(error, RecursionError)]) from error
        if repeated:
            self.refuse(draft, _repeated_keys(draft.text))
        if not isinstance(value, dict):
            self.refuse(
                draft, [Problem((), "what it renders is not a JSON object", template_lines.on_no_object(value))]
            )
        if pasted := template_lines.on_pasted_answer(value):
            self.refuse(draft, [Problem((), *pasted)])
        try:
            return dict(template_lines.without_nulls(value))
        except RecursionError as error:
            raise self._invalid(draft, 0, *_TOO_MUCH[True]) from error

    def refuse(self, draft: Draft, found: Iterable[Problem]) -> None:
        """Raise Invalid with every problem and the template's line that it comes from, if there is any."""
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

    def _invalid(self, draft: Draft, line: int, what: str, to_do: str) -> Invalid:
        file = f"templates/{draft.name}:{line}" if line else f"templates/{draft.name}"
        return Invalid(Complaint(f"{file}: {draft.target}", self.veiled(what), self.veiled(to_do), file=file))

    def _position(self, error: Exception, name: str) -> tuple[str, int]:
        """Return the template's file and line that raised the error; the innermost if one includes another."""
        if isinstance(error, TemplateSyntaxError):
            return error.name or name, error.lineno
        folder = self.project.root / "templates"
        frames = [(FilePath(frame.f_code.co_filename), line) for frame, line in walk_tb(error.__traceback__)]
        ours = [(str(file.relative_to(folder)), line) for file, line in frames if file.is_relative_to(folder)]
        return ours[-1] if ours else (name, 0)

    def _env_var(self, name: str) -> str:
        """Return the value of a template's `env_var("NAME")`."""
        if name not in self.environ:
            raise TemplateRuntimeError(f"the environment variable {name} is not set\nset it where inv is run")
        value = self.environ[name]
        self._last.confides = True
        if not isinstance(self.environ, StandIn):
            self.confided.add(value)
        return value


_NOT_UTF_8 = "it is not UTF-8 (UTF-16, perhaps)\nsave it as UTF-8"

_HOW_TO_WRITE_ONE = """\
write it: the JSON of a RegisterTaskDefinition request, in which {{ image }} stands for the image
docs/templates.md in deploytasks' own repository begins with the smallest one"""

_HOW_TO_INCLUDE_ONE = "write it, or correct its name where it is included"

_TOO_MUCH = {
    True: ("what it renders is nested too deeply", "use fewer levels"),
    False: ("what it renders holds a number of thousands of digits", "quote it, if it is text"),
}


def _told(error: Exception, name: str) -> str:
    """Return what is wrong with the template of that name, and on the next line what to do."""
    if isinstance(error, TemplateNotFound):
        return f"there is no templates/{error.name}\n{_HOW_TO_WRITE_ONE if error.name == name else _HOW_TO_INCLUDE_ONE}"
    if isinstance(error, UnicodeDecodeError):
        return _NOT_UTF_8
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or includes itself\nuse fewer levels"
    if isinstance(error, MemoryError | OverflowError):
        return "it makes more than fits into memory\nmake less of it"
    return str(error) or type(error).__name__


def _object(pairs: list[tuple[str, Any]], repeated: list[bool]) -> dict[str, Any]:
    """Return the JSON object of the pairs, adding its duplicate keys to `repeated`."""
    made = dict(pairs)
    if len(made) < len(pairs):
        repeated.append(True)
    return made


def _repeated_keys(text: str) -> list[Problem]:
    paths = [path for path, _ in offsets(text)]
    twice = dict.fromkeys(path for index, path in enumerate(paths) if path in paths[:index])
    return [Problem(path, "the key appears twice") for path in twice]


def _pointed_at(text: str, offset: int) -> str:
    """Return the text's line around the offset, and below it a mark."""
    start = max(text.rfind("\n", 0, offset) + 1, offset - 60)
    end = text.find("\n", offset)
    line = text[start : min(end if end >= 0 else len(text), offset + 40)]
    indent = len(line) - len(line.lstrip())
    return f"{line.strip()}\n{' ' * (offset - start - indent)}^"
