"""The files that `init` writes, made of the answers by the templates in scaffold/."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deploytasks.adoption import requirements
from deploytasks.adoption.answers import UNKNOWN_ACCOUNT, Answers
from deploytasks.adoption.repository import Found
from deploytasks.config import json_schema
from deploytasks.config.files import PROJECT_FILE
from deploytasks.config.json_schema import FILES
from deploytasks.regions import partition_name, suffix

_HAS_ALL = "it has what is needed"
_NAMESPACE = """from pathlib import Path; from deploytasks import namespace; ns = namespace(Path(__file__).parent); \
and ns.add_task(NAME) for each task of its own (docs/own-task.md in deploytasks' own repository)"""
_VARS = 'subnets = ["subnet-…"] and security_groups = ["sg-…"] in [vars], unless envs/project.toml has them'
_WRAPPERS = "deploytasks.mk"
_PIPELINE = ".gitlab/deploytasks.yml"


@dataclass(frozen=True, slots=True)
class Draft:
    """A file to write. One that is there is kept: the text goes to `instead`, if that is not empty.

    `advice` says what to do then; `lacks` says what is to be added to the text that is there, "" if nothing.
    """

    path: str
    text: str
    instead: str = ""
    advice: str = "to have it written anew, remove it and run init again"
    lacks: Callable[[str], str] = lambda _: ""


@dataclass(frozen=True, slots=True)
class Extras:
    """What is written only if it is asked for."""

    nox: bool = False
    create_services: bool = False
    vendor: bool = False


def drafts(answers: Answers, extras: Extras, found: Found) -> Iterator[Draft]:
    """Yield each file, envs/project.toml first: from it a further run goes on where one was ended."""
    ports = {image: _port(found.root / path) for image, path in answers.images.items()}
    yield from _envs(answers, extras, ports)
    yield from _templates(answers, extras, ports)
    yield Draft("tasks.py", _scaffold("tasks.py.j2"), advice=_HAS_ALL, lacks=_lacking(_NAMESPACE))
    needed = requirements.of_repository(found.root, vendor=extras.vendor)
    yield Draft("requirements-deploy.txt", _scaffold("requirements-deploy.txt.j2", needed=needed))
    yield _ignored(_scaffold("gitignore.j2", nox=extras.nox))
    yield Draft("Makefile", _scaffold("Makefile"), _WRAPPERS, f"the wrappers: make -f {_WRAPPERS} help")
    if extras.nox:
        lacks = _lacking("from deploytasks.nox import sessions; sessions(globals())")
        yield Draft("noxfile.py", _scaffold("noxfile.py.j2"), advice=_HAS_ALL, lacks=lacks)
    yield from _pipelines(answers, found)


def _lacking(what: str, sign: str = "deploytasks") -> Callable[[str], str]:
    """Return what says that a file lacks this, unless the sign of it is there already."""
    return lambda there: "" if sign in there else what


def _ignored(text: str) -> Draft:
    def lacks(there: str) -> str:
        known = {line.strip().strip("/") for line in there.splitlines()}
        return " ".join(line for line in text.splitlines() if line.strip("/") not in known)

    return Draft(".gitignore", text, advice=_HAS_ALL, lacks=lacks)


def _envs(answers: Answers, extras: Extras, ports: Mapping[str, str]) -> Iterator[Draft]:
    images = [_Image.of(name, path) for name, path in answers.images.items()]
    schema = json_schema.line("project")
    yield Draft(PROJECT_FILE, _filled("project.toml.j2", answers, images=images, ports=ports, schema=schema))
    for tenant, account in answers.tenants.items():
        own = {"tenant": tenant, "account": account, "create_services": extras.create_services}
        text = _scaffold("tenant.toml.j2", **own, tiers=answers.tiers, schema=json_schema.line("tenant"))
        lacks = _lacking(_VARS if extras.create_services else "", sign="subnets")
        yield Draft(f"envs/{tenant}.toml", text, lacks=lacks)
    for kind, path in FILES.items():
        yield Draft(path, json_schema.text(kind), advice="inv envs.schema writes this version's")


def _templates(answers: Answers, extras: Extras, ports: Mapping[str, str]) -> Iterator[Draft]:
    for service, image in answers.services.items():
        text = _filled("service.json.j2", answers, service=service, port=ports[image])
        yield Draft(f"templates/{service}.json.j2", text)
        if extras.create_services:
            yield Draft(f"templates/{service}.service.json.j2", _scaffold("service.service.json.j2", service=service))


def _pipelines(answers: Answers, found: Found) -> Iterator[Draft]:
    match answers.ci:
        case "github":
            yield Draft(".github/workflows/deploytasks.yml", _filled("github.yml.j2", answers, branch=found.branch))
        case "gitlab":
            address = f"https://{found.host if 'gitlab' in found.host else 'gitlab.com'}"
            text = _filled("gitlab.yml.j2", answers, gitlab=address)
            lacks = _lacking(f"include: [{{local: /{_PIPELINE}}}]")
            yield Draft(".gitlab-ci.yml", text, _PIPELINE, _HAS_ALL, lacks)


@dataclass(frozen=True, slots=True)
class _Image:
    """An image's table in envs/project.toml."""

    name: str
    context: str
    dockerfile: str

    @classmethod
    def of(cls, name: str, path: str) -> "_Image":
        file = PurePosixPath(path)
        return cls(name, file.parent.as_posix(), file.name)


def _port(dockerfile: Path) -> str:
    """Return the first port that the Dockerfile exposes; "" if it exposes none."""
    try:
        text = dockerfile.read_text("utf-8", errors="replace") if dockerfile.is_file() else ""
    except OSError:
        return ""
    exposed = re.search(r"^\s*EXPOSE\s+([0-9]{1,5})\b", text, re.MULTILINE | re.IGNORECASE)
    return exposed[1] if exposed else ""


def _filled(name: str, answers: Answers, **more: object) -> str:
    """Return a file of scaffold/ filled in with the answers, and what follows from the region."""
    own = {each: getattr(answers, each) for each in Answers.__dataclass_fields__}
    aws = {"partition": partition_name(answers.region), "sts": f"sts.{suffix(answers.region)}"}
    return _scaffold(name, **{**own, **aws, **more})


def _scaffold(name: str, **values: object) -> str:
    """Return a file of scaffold/ filled in."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    """Return Jinja with marks of its own, `<< value >>` and `<% if … %>`, since some of the files hold templates."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("scaffold")),
        undefined=StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
    environment.filters["unknown"] = _unknown
    return environment


def _unknown(account: str, what: str) -> str:
    """Return the comment beside an account that was not given."""
    return f" # fill in: {what}" if account == UNKNOWN_ACCOUNT else ""
