"""The template language: Jinja in a sandbox, strict about names, that writes JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from posixpath import normpath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateRuntimeError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from deploytasks.model import DesiredImage, Project, Target
from deploytasks.template.shape import nearest


class Unset(StrictUndefined):
    """An undefined name: any use of it is an error that lists the known ones."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, owner = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return str(self._undefined_hint)
        if owner is missing and name in SIZES:
            return f"{name} is not set\nset it in envs/, for all under [defaults] of envs/project.toml"
        if owner is missing:
            return f"a template sees no '{name}'\n{nearest(name, list(SEEN))}"
        if isinstance(owner, Mapping):
            return f"'{name}' is not set\n{nearest(name, list(owner)) if owner else 'set it in envs/'}"
        return f"{to_json(owner)} has no '{name}'"


SIZES = ("cpu", "memory")
SEEN = (
    *("project", "tenant", "tier", "environment", "service", "image", "images", "commit", "release", "family", *SIZES),
    *("account", "region", "cluster", "env", "secrets", "vars", "env_var"),
)


class Loader(FileSystemLoader):
    """Load templates, and record which were loaded, included and missing ones too."""

    def __init__(self, templates: Path) -> None:
        super().__init__(templates, encoding="utf-8-sig")
        self.asked: set[str] = set()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Load the template."""
        self.asked.add(normpath(template))
        return super().get_source(environment, template)


def environment(loader: Loader, env_var: Callable[[str], str]) -> ImmutableSandboxedEnvironment:
    """Return the Jinja environment of a project, which compiles each of the loader's files once and reads no other."""
    jinja = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=Unset,
        finalize=_written,
        autoescape=False,
        auto_reload=False,
        cache_size=-1,
    )
    jinja.filters |= {"tojson": to_json, "environment": to_environment, "secrets": to_secrets}
    jinja.globals["env_var"] = env_var
    return jinja


def seen(project: Project, target: Target, desired: DesiredImage, images: Mapping[str, str]) -> dict[str, Any]:
    """Return the names that a template sees; `cpu` and `memory` only if they are set."""
    sizes = {"cpu": target.cpu, "memory": target.memory}
    return {
        "project": project.name,
        "tenant": target.environment.tenant,
        "tier": target.environment.tier,
        "environment": str(target.environment),
        "service": target.name,
        "image": images[target.image],
        "images": images,
        "commit": desired.commit_tag,
        "release": desired.newest_release,
        "family": target.family,
        **{name: size for name, size in sizes.items() if size is not None},
        "account": target.access.account,
        "region": target.access.region,
        "cluster": target.cluster,
        "env": target.env,
        "secrets": target.secrets,
        "vars": target.vars,
    }


def to_json(value: Any) -> str:
    """Return the value as JSON, with its characters unescaped: nothing here is HTML."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def to_environment(variables: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a map as ECS's list for a container's `environment`; values that are not strings become JSON."""
    return [{"name": name, "value": each if isinstance(each, str) else to_json(each)} for name, each in _of(variables)]


def to_secrets(secrets: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a map as ECS's list for a container's `secrets`."""
    return [{"name": name, "valueFrom": each} for name, each in _of(secrets)]


def _of(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Undefined):
        str(value)  # raises, and says which name it is
    if not isinstance(value, Mapping):
        raise TemplateRuntimeError(f"{to_json(value)} is not a map\ngive the filter a map of names and values")
    return value.items()


def _written(value: Any) -> Any:
    """Return what an expression writes: lists, maps, true, false and null as JSON, the rest as it is."""
    if value is None or isinstance(value, bool | list | tuple | Mapping):
        return to_json(value)
    return value


def _plain(value: Any) -> Any:
    """Return the plain value of what json can't serialize."""
    match value:
        case Mapping():
            return dict(value)
        case Undefined():
            return str(value)  # raises, and says which name it is
        case _:
            raise TemplateRuntimeError(f"a {type(value).__name__} has no JSON\nuse strings, numbers, lists and maps")
