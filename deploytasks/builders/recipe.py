"""Turn instructions into a recipe: the base, the files to copy in their order, and the image's configuration.

Evaluated in two steps, since ENV, WORKDIR and LABEL build on the base's own configuration.
"""

import posixpath
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from deploytasks.builders import dockerfile
from deploytasks.builders.dockerfile import Instruction, Variables
from deploytasks.builders.layer import Copy, Owner, Step, Workdir
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
_SIGNAL = re.compile(r"(SIG)?(?P<name>[A-Z][A-Z0-9]*)([+-][0-9]+)?|[0-9]{1,2}", re.IGNORECASE)
_NANOSECONDS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")


class Base(Struct, frozen=True):
    """The image that FROM names; `arguments` are the ARGs before it, which an ARG of the stage may inherit."""

    where: str
    image: str
    arguments: Variables


class Recipe(Struct, frozen=True):
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
    *arguments, start = instructions[: _after_from(instructions)]
    for each in arguments:
        named = _pairs(each, variables)
        variables |= {name: variables.get(name, "") if default is None else default for name, default in named}
    image, *rest = start.expanded(variables)
    wanted = start.flag("--platform", variables)
    if not image or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
        raise start.wrong("FROM names no image", "FROM <image>, or give its ARG a default: ARG BASE=<image>")
    if wanted and not platform.accepts(Platform.parse(wanted)):
        what = f"FROM --platform={wanted}, but the service is built for {platform}"
        raise start.wrong(what, "take one of them")
    return Base(start.where, image, variables)


def evaluate(instructions: Sequence[Instruction], given: Base, base_config: Mapping[str, Any]) -> Recipe:
    """Return the recipe on top of the base's own configuration. Raises: Refusal naming the invalid line."""
    stage = _Stage(given.arguments, base_config)
    for instruction in instructions[_after_from(instructions) :]:
        stage.apply(instruction)
    environment = [f"{name}={value}" for name, value in stage.environment.items()]
    return Recipe(stage.config | {"Env": environment}, tuple(stage.steps), stage.author)


def _after_from(instructions: Sequence[Instruction]) -> int:
    """Return the position of the instruction after FROM."""
    return [each.name for each in instructions].index("FROM") + 1


class _Stage:
    """The configuration as it grows, instruction by instruction."""

    def __init__(self, arguments: Variables, base_config: Mapping[str, Any]) -> None:
        self.given = arguments
        self.arguments: dict[str, str] = {}
        self.config = dict(base_config)
        self.environment = dict(entry.partition("=")[::2] for entry in base_config.get("Env") or ())
        self.steps: list[Step] = []
        self.has_cmd = False
        self.author = ""

    def apply(self, instruction: Instruction) -> None:
        """Carry out one instruction."""
        variables = self.arguments | self.environment  # an ENV hides an ARG
        match instruction.name:
            case "ARG":
                self.take_arguments(_pairs(instruction, variables))
            case "ENV":
                self.environment |= _named(instruction, variables)
            case "WORKDIR":
                self.config["WorkingDir"] = self.absolute(_text(instruction, variables))
                self.steps.append(Workdir(self.config["WorkingDir"]))
            case "COPY" | "ADD":
                self.steps.append(self.copy(instruction, variables))
            case "ENTRYPOINT" | "CMD":
                self.set_command(instruction)
            case "MAINTAINER":
                self.author = _text(instruction, variables)
            case name if name in _ADDED:
                key, read = _ADDED[name]
                self.config[key] = {**(self.config.get(key) or {}), **read(instruction, variables)}
            case name:
                key, evaluated = _SET[name]
                self.config[key] = evaluated(instruction, variables)

    def take_arguments(self, pairs: Sequence[tuple[str, str | None]]) -> None:
        """Set the arguments; an ARG without a default inherits the one of that name before FROM."""
        for name, default in pairs:
            value = default if default is not None else self.given.get(name)
            if value is not None:
                self.arguments[name] = value

    def set_command(self, instruction: Instruction) -> None:
        """Set ENTRYPOINT or CMD; ENTRYPOINT removes the base's CMD, which was made for the base's own entrypoint."""
        form = dockerfile.exec_form(instruction.text)
        command = [*(self.config.get("Shell") or _SHELL), instruction.text] if form is None else [*form]
        if instruction.name == "CMD":
            self.config["Cmd"], self.has_cmd = command, True
            return
        self.config["Entrypoint"] = command
        if not self.has_cmd:
            self.config.pop("Cmd", None)

    def copy(self, instruction: Instruction, variables: Variables) -> Copy:
        """Return the COPY with its variables expanded."""
        *sources, destination = instruction.expanded(variables)
        name = instruction.name
        if not sources or not all((*sources, destination)):
            raise instruction.wrong(f"{name} needs a source and a destination")
        for source in filter(_REMOTE.match, sources if name == "ADD" else ()):
            raise instruction.wrong(f"ADD {source} needs {ENGINE}, which fetches it", "or COPY a file")
        into = destination.endswith(("/", "/.")) or destination in (".", "..")
        if len(sources) > 1 and not into:
            what = f"{name} of several sources, but {destination!r} is not a directory"
            raise instruction.wrong(what, f"end it with a slash: {destination}/")
        target = self.absolute(destination)
        owner, mode = _owner(instruction, variables), _mode(instruction, variables)
        target = f"{target.rstrip('/')}/" if into else target
        return Copy(instruction.where, tuple(sources), target, owner, mode, unpacks=name == "ADD")

    def absolute(self, path: str) -> str:
        return posixpath.normpath("/" + posixpath.join(self.config.get("WorkingDir") or "/", path).lstrip("/"))


def _text(instruction: Instruction, variables: Variables) -> str:
    return instruction.expand(instruction.text, variables)


def _pairs(instruction: Instruction, variables: Variables) -> list[tuple[str, str | None]]:
    """Return the names and values of `A=b C`, or of the old `ENV A b c`, whose value is the rest of the line."""
    first, *_ = found = dockerfile.split(instruction.text)
    if instruction.name != "ARG" and "=" not in first:
        rest = instruction.text[len(first) :].strip()
        if not rest:
            raise instruction.wrong(f"{instruction.name} {first} gives no value", f'write {first}="" for none')
        return [(instruction.expand(first, variables), instruction.expand(rest, variables))]
    pairs: list[tuple[str, str | None]] = []
    for word in found:
        name, separator, value = word.partition("=")
        name = instruction.expand(name, variables)
        if not name or (not separator and instruction.name != "ARG"):
            raise instruction.wrong(f"{word!r} is not NAME=VALUE")
        pairs.append((name, instruction.expand(value, variables) if separator else None))
    return pairs


def _named(instruction: Instruction, variables: Variables) -> dict[str, str]:
    return {name: value or "" for name, value in _pairs(instruction, variables)}


def _volumes(instruction: Instruction, variables: Variables) -> dict[str, dict[str, str]]:
    return {path: {} for path in instruction.expanded(variables)}


def _ports(instruction: Instruction, variables: Variables) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for word in _text(instruction, variables).split():
        match = _PORT.fullmatch(word)
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if match is None or not first <= last <= 65535:
            raise instruction.wrong(f"{word!r} is not a port", "EXPOSE 8080, 8080/tcp or 8000-8010")
        protocol = (match["protocol"] or "tcp").lower()
        ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
    return ports


def _owner(instruction: Instruction, variables: Variables) -> Owner:
    text = instruction.flag("--chown", variables)
    if match := _OWNER.fullmatch(text or "0"):
        return Owner(int(match["uid"]), int(match["gid"] or match["uid"]))
    advice = f"give the numbers (--chown=1000:1000), or {BUILD_WHOLE}"
    raise instruction.wrong(f"{instruction.name} --chown={text}: names are known only inside the image", advice)


def _mode(instruction: Instruction, variables: Variables) -> int | None:
    text = instruction.flag("--chmod", variables)
    if text and not _MODE.fullmatch(text):
        raise instruction.wrong(f"{instruction.name} --chmod={text} is not an octal mode", "for example --chmod=755")
    return int(text, 8) if text else None


def _shell(instruction: Instruction, variables: Variables) -> list[str]:
    form = dockerfile.exec_form(instruction.text)
    if not form:
        raise instruction.wrong("SHELL is not a list of words", 'for example SHELL ["/bin/bash", "-c"]')
    return list(form)


def _signal(instruction: Instruction, variables: Variables) -> str:
    name = _text(instruction, variables)
    match = _SIGNAL.fullmatch(name)
    if match is None or (match["name"] and f"SIG{match['name'].upper()}" not in signal.Signals.__members__):
        raise instruction.wrong(f"{name!r} is not a signal", "for example SIGTERM")
    return name


def _health(instruction: Instruction, variables: Variables) -> dict[str, Any]:
    """Source: the image specification of moby, Healthcheck: times in nanoseconds; what is not named is inherited."""
    kind, _, command = instruction.text.partition(" ")
    match kind.upper(), command.strip():
        case "NONE", "":
            return {"Test": ["NONE"]}
        case "CMD", text if text:
            form = dockerfile.exec_form(text)
            test = ["CMD-SHELL", text] if form is None else ["CMD", *form]
            numbers = ((flag, _number(instruction, flag)) for flag in dockerfile.FLAGS["HEALTHCHECK"])
            return {"Test": test, **{_key(flag): number for flag, number in numbers if number}}
    raise instruction.wrong("HEALTHCHECK says neither NONE nor CMD with a command", "HEALTHCHECK CMD curl -f localhost")


def _key(flag: str) -> str:
    """Return the configuration's key of a flag: `--start-period` → `StartPeriod`."""
    return flag.title().replace("-", "")


def _number(instruction: Instruction, flag: str) -> int:
    text = instruction.flags.get(flag) or "0"
    if flag == "--retries" and text.isdecimal():
        return int(text)
    if flag == "--retries":
        raise instruction.wrong(f"HEALTHCHECK {flag}={text} is not a number", f"for example {flag}=3")
    if not _DURATION.fullmatch(text):
        raise instruction.wrong(f"HEALTHCHECK {flag}={text} is not a duration", f"for example {flag}=30s")
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)))


_ADDED: Mapping[str, tuple[str, Callable[[Instruction, Variables], Mapping[str, Any]]]] = {
    "LABEL": ("Labels", _named),
    "EXPOSE": ("ExposedPorts", _ports),
    "VOLUME": ("Volumes", _volumes),
}
"""Instruction → the key of the configuration that it adds to, and what it adds to the base's own."""
_SET: Mapping[str, tuple[str, Callable[[Instruction, Variables], Any]]] = {
    "USER": ("User", _text),
    "SHELL": ("Shell", _shell),
    "STOPSIGNAL": ("StopSignal", _signal),
    "HEALTHCHECK": ("Healthcheck", _health),
}
"""Instruction → the key that it sets, and the value."""
