"""Turn instructions into a recipe: the base, the files to copy in their order, and the image's configuration.

Evaluated in two steps, since ENV, WORKDIR and LABEL build on the base's own configuration.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploytasks.builders import dockerfile, runtime
from deploytasks.builders.dockerfile import Instruction
from deploytasks.model import Platform
from deploytasks.model.builders import BUILD_WHOLE, ENGINE

SCRATCH = "scratch"
SCRATCH_CONFIG: Mapping[str, Any] = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "WorkingDir": "/",
}

_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(?P<first>[0-9]{1,5})(-(?P<last>[0-9]{1,5}))?(/(?P<protocol>tcp|udp|sctp))?", re.IGNORECASE)
_OWNER = re.compile(r"(?P<uid>[0-9]+)(:(?P<gid>[0-9]+))?")
_MODE = re.compile(r"[0-7]{3,4}")
_REMOTE = re.compile(r"(https?|ftp|git|ssh)://|git@|[^/]+@[^/]+:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of copied files."""

    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Workdir:
    """A directory that exists afterwards."""

    path: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy the sources to an absolute `destination`, which ends with a slash if it must be a directory.

    `unpacks` is true of ADD, which unpacks archives.
    """

    where: str
    sources: tuple[str, ...]
    destination: str
    owner: Owner = Owner()
    mode: int | None = None
    unpacks: bool = False


Step = Workdir | Copy


@dataclass(frozen=True, slots=True)
class Base:
    """The image that FROM names; `arguments` are the ARGs before it, which an ARG of the stage may inherit."""

    where: str
    image: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The image's `config` in the registry's spelling (Env, Cmd …), and the steps that make its layer.

    `author` is MAINTAINER's, "" if there is none.
    """

    config: Mapping[str, Any]
    steps: tuple[Step, ...]
    author: str = ""


def base(instructions: Sequence[Instruction], platform: Platform) -> Base:
    """Return the base image.

    Raises: Refusal if FROM names none, or another platform than the one that is built.
    """
    variables = {
        "TARGETPLATFORM": str(platform),
        "TARGETOS": platform.os,
        "TARGETARCH": platform.architecture,
        "TARGETVARIANT": platform.variant,
    }
    for instruction in instructions:
        try:
            if instruction.name == "FROM":
                return _from(instruction, variables, platform)
            named = _pairs(instruction, variables)
        except dockerfile.Malformed as error:
            raise instruction.wrong(str(error)) from None
        variables |= {name: variables.get(name, "") if default is None else default for name, default in named}
    raise AssertionError("parse() has seen a FROM")


def evaluate(instructions: Sequence[Instruction], given: Base, base_config: Mapping[str, Any]) -> Recipe:
    """Return the recipe on top of the base's own configuration. Raises: Refusal naming the invalid line."""
    stage = _Stage(given.arguments, base_config)
    after = next(position for position, each in enumerate(instructions) if each.name == "FROM") + 1
    for instruction in instructions[after:]:
        try:
            stage.apply(instruction)
        except dockerfile.Malformed as error:
            raise instruction.wrong(str(error)) from None
    return Recipe(stage.finished_config(), tuple(stage.steps), stage.author)


def _from(instruction: Instruction, variables: Mapping[str, str], platform: Platform) -> Base:
    image, *rest = (dockerfile.expand(word, variables) for word in instruction.words())
    wanted = dockerfile.expand(instruction.flag("--platform") or "", variables)
    if not image or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
        raise instruction.wrong("FROM names no image", "FROM <image>, or give its ARG a default: ARG BASE=<image>")
    if wanted and not platform.accepts(Platform.parse(wanted)):
        raise instruction.wrong(
            f"FROM --platform={wanted}, but the service is built for {platform}", "take one of them"
        )
    return Base(instruction.where, image, dict(variables))


def _pairs(instruction: Instruction, variables: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Return the names and values of `A=b C`, or of the old `ENV A b c`, whose value is the rest of the line."""
    found = dockerfile.split(instruction.text)
    if instruction.name in ("ENV", "LABEL") and "=" not in found[0]:
        rest = instruction.text[len(found[0]) :].strip()
        if not rest:
            raise instruction.wrong(f"{instruction.name} {found[0]} gives no value", f'write {found[0]}="" for none')
        return [(dockerfile.expand(found[0], variables), dockerfile.expand(rest, variables))]
    pairs: list[tuple[str, str | None]] = []
    for word in found:
        name, separator, value = word.partition("=")
        name = dockerfile.expand(name, variables)
        if not name or (not separator and instruction.name != "ARG"):
            raise instruction.wrong(f"{word!r} is not NAME=VALUE")
        pairs.append((name, dockerfile.expand(value, variables) if separator else None))
    return pairs


class _Stage:
    """The configuration as it grows, instruction by instruction."""

    def __init__(self, arguments: Mapping[str, str], base_config: Mapping[str, Any]) -> None:
        self.given = arguments
        self.arguments: dict[str, str] = {}
        self.config = dict(base_config)
        self.environment = dict(entry.partition("=")[::2] for entry in base_config.get("Env") or ())
        self.steps: list[Step] = []
        self.has_cmd = False
        self.author = ""

    @property
    def variables(self) -> dict[str, str]:
        """The variables that `$NAME` may refer to: an ENV hides an ARG."""
        return self.arguments | self.environment

    @property
    def workdir(self) -> str:
        return self.config.get("WorkingDir") or "/"

    def finished_config(self) -> dict[str, Any]:
        return self.config | {"Env": [f"{name}={value}" for name, value in self.environment.items()]}

    def apply(self, instruction: Instruction) -> None:
        """Carry out one instruction."""
        match instruction.name:
            case "ARG":
                self.take_arguments(instruction)
            case "ENV":
                self.environment |= {name: value or "" for name, value in _pairs(instruction, self.variables)}
            case "WORKDIR":
                self.config["WorkingDir"] = self.absolute(dockerfile.expand(instruction.text, self.variables))
                self.steps.append(Workdir(self.workdir))
            case "COPY" | "ADD":
                self.steps.append(self.copy(instruction))
            case "ENTRYPOINT" | "CMD":
                self.set_command(instruction)
            case "MAINTAINER":
                self.author = dockerfile.expand(instruction.text, self.variables)
            case "LABEL" | "EXPOSE" | "VOLUME":
                self.add(instruction)
            case _:
                self.config |= runtime.settings(instruction, self.variables)

    def add(self, instruction: Instruction) -> None:
        """Add to the base's own labels, ports and volumes."""
        added: Mapping[str, Any]
        match instruction.name:
            case "LABEL":
                key, added = "Labels", {name: value or "" for name, value in _pairs(instruction, self.variables)}
            case "EXPOSE":
                key, added = "ExposedPorts", _ports(instruction, self.variables)
            case _:
                key, added = "Volumes", {dockerfile.expand(word, self.variables): {} for word in instruction.words()}
        self.config[key] = {**(self.config.get(key) or {}), **added}

    def take_arguments(self, instruction: Instruction) -> None:
        """Set the arguments; an ARG without a default inherits the one of that name before FROM."""
        for name, default in _pairs(instruction, self.variables):
            value = default if default is not None else self.given.get(name)
            if value is not None:
                self.arguments[name] = value

    def set_command(self, instruction: Instruction) -> None:
        """Set ENTRYPOINT or CMD; ENTRYPOINT removes the base's CMD, which was made for the base's own entrypoint."""
        shell = tuple(self.config.get("Shell") or _SHELL)
        form = dockerfile.exec_form(instruction.text)
        command = list(form if form is not None else (*shell, instruction.text))
        if instruction.name == "CMD":
            self.config["Cmd"], self.has_cmd = command, True
            return
        self.config["Entrypoint"] = command
        if not self.has_cmd:
            self.config.pop("Cmd", None)

    def copy(self, instruction: Instruction) -> Copy:
        """Return the COPY with its variables expanded."""
        *sources, destination = (dockerfile.expand(word, self.variables) for word in instruction.words())
        name = instruction.name
        if not sources or not all((*sources, destination)):
            raise instruction.wrong(f"{name} needs a source and a destination")
        for source in sources if name == "ADD" else ():
            if _REMOTE.match(source):
                raise instruction.wrong(f"ADD {source} needs {ENGINE}, which fetches it", "or COPY a file")
        into = destination.endswith(("/", "/.")) or destination in (".", "..")
        if len(sources) > 1 and not into:
            what = f"{name} of several sources, but {destination!r} is not a directory"
            raise instruction.wrong(what, f"end it with a slash: {destination}/")
        target = self.absolute(destination)
        owner, mode = _owner(instruction, self.variables), _mode(instruction, self.variables)
        target = f"{target.rstrip('/')}/" if into else target
        return Copy(instruction.where, tuple(sources), target, owner, mode, unpacks=name == "ADD")

    def absolute(self, path: str) -> str:
        return posixpath.normpath("/" + posixpath.join(self.workdir, path).lstrip("/"))


def _ports(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for word in dockerfile.expand(instruction.text, variables).split():
        match = _PORT.fullmatch(word)
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if match is None or not first <= last <= 65535:
            raise instruction.wrong(f"{word!r} is not a port", "EXPOSE 8080, 8080/tcp or 8000-8010")
        protocol = (match["protocol"] or "tcp").lower()
        ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
    return ports


def _owner(instruction: Instruction, variables: Mapping[str, str]) -> Owner:
    text = dockerfile.expand(instruction.flag("--chown") or "", variables)
    match = _OWNER.fullmatch(text)
    if match:
        return Owner(int(match["uid"]), int(match["gid"] or match["uid"]))
    if text:
        advice = f"give the numbers (--chown=1000:1000), or {BUILD_WHOLE}"
        raise instruction.wrong(f"{instruction.name} --chown={text}: names are known only inside the image", advice)
    return Owner()


def _mode(instruction: Instruction, variables: Mapping[str, str]) -> int | None:
    text = dockerfile.expand(instruction.flag("--chmod") or "", variables)
    if text and not _MODE.fullmatch(text):
        raise instruction.wrong(f"{instruction.name} --chmod={text} is not an octal mode", "for example --chmod=755")
    return int(text, 8) if text else None
