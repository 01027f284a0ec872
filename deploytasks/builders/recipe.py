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
_PART = rf"([0-9]+(?:\.[0-9]*)?)({'|'.join(_NANOSECONDS)})"


Config = Mapping[str, Any]
"""The image's configuration so far, in the registry's spelling; its `Env` is a mapping."""


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
        variables |= _arguments(each.knowing(variables), variables)
    start = start.knowing(variables)
    image, *rest = start.words()
    wanted = start.flag("--platform")
    if not image or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
        raise start.wrong("FROM names no image", "FROM <image>, or give its ARG a default: ARG BASE=<image>")
    if wanted and not platform.accepts(Platform.parse(wanted)):
        what = f"FROM --platform={wanted}, but the image is built for {platform}"
        raise start.wrong(what, "take one of them")
    return Base(start.where, image, variables)


def evaluate(instructions: Sequence[Instruction], given: Base, base_config: Mapping[str, Any]) -> Recipe:
    """Return the recipe on top of the base's own configuration. Raises: Refusal naming the invalid line."""
    own = instructions[_after_from(instructions) :]
    config = {**base_config, "Env": dict(entry.partition("=")[::2] for entry in base_config.get("Env") or ())}
    arguments: dict[str, str] = {}
    steps: list[Step] = []
    author = ""
    for line in own:
        line = line.knowing(arguments | config["Env"])  # an ENV hides an ARG
        match line.name:
            case "ARG":
                arguments |= _arguments(line, given.arguments)
            case "COPY" | "ADD":
                steps.append(_copy(line, config))
            case "MAINTAINER":
                author = line.said()
            case name:
                key, read = _CONFIG[name]
                value = read(line, config)
                config[key] = {**(config.get(key) or {}), **value} if name in _ADDED else value
                steps += [Workdir(value)] if name == "WORKDIR" else []
    if {"ENTRYPOINT", "CMD"} & {each.name for each in own} == {"ENTRYPOINT"}:
        config.pop("Cmd", None)  # it was made for the base's own entrypoint
    return Recipe(config | {"Env": [f"{name}={value}" for name, value in config["Env"].items()]}, tuple(steps), author)


def _after_from(instructions: Sequence[Instruction]) -> int:
    """Return the position of the instruction after FROM."""
    return [each.name for each in instructions].index("FROM") + 1


def _arguments(line: Instruction, inherited: Variables) -> dict[str, str]:
    """Return the arguments that ARG sets; one without a default has the value that is inherited, or none."""
    named = ((name, inherited.get(name) if value is None else value) for name, value in _pairs(line))
    return {name: value for name, value in named if value is not None}


def _pairs(line: Instruction) -> list[tuple[str, str | None]]:
    """Return the names and values of `A=b C`, or of the old `ENV A b c`, whose value is the rest of the line."""
    first, *_ = found = dockerfile.split(line.text)
    if line.name != "ARG" and "=" not in first:
        rest = line.text[len(first) :].strip()
        if not rest:
            raise line.wrong(f"{line.name} {first} gives no value", f'write {first}="" for none')
        return [(line.expand(first), line.expand(rest))]
    pairs: list[tuple[str, str | None]] = []
    for word in found:
        name, separator, value = word.partition("=")
        name = line.expand(name)
        if not name or (not separator and line.name != "ARG"):
            raise line.wrong(f"{word!r} is not NAME=VALUE")
        pairs.append((name, line.expand(value) if separator else None))
    return pairs


def _copy(line: Instruction, config: Config) -> Copy:
    """Return the COPY with its variables expanded."""
    *sources, destination = line.words()
    name = line.name
    if not sources or not all((*sources, destination)):
        raise line.wrong(f"{name} needs a source and a destination")
    for source in filter(_REMOTE.match, sources if name == "ADD" else ()):
        raise line.wrong(f"ADD {source} needs {ENGINE}, which fetches it", "or COPY a file")
    into = destination.endswith(("/", "/.")) or destination in (".", "..")
    if len(sources) > 1 and not into:
        what = f"{name} of several sources, but {destination!r} is not a directory"
        raise line.wrong(what, f"end it with a slash: {destination}/")
    target = _absolute(destination, config)
    target = f"{target.rstrip('/')}/" if into else target
    return Copy(line.where, tuple(sources), target, _owner(line), _mode(line), unpacks=name == "ADD")


def _absolute(path: str, config: Config) -> str:
    return posixpath.normpath("/" + posixpath.join(config.get("WorkingDir") or "/", path).lstrip("/"))


def _owner(line: Instruction) -> Owner:
    text = line.flag("--chown")
    if match := _OWNER.fullmatch(text or "0"):
        return Owner(int(match["uid"]), int(match["gid"] or match["uid"]))
    advice = f"give the numbers (--chown=1000:1000), or {BUILD_WHOLE}"
    raise line.wrong(f"{line.name} --chown={text}: names are known only inside the image", advice)


def _mode(line: Instruction) -> int | None:
    text = line.flag("--chmod")
    if text and not _MODE.fullmatch(text):
        raise line.wrong(f"{line.name} --chmod={text} is not an octal mode", "for example --chmod=755")
    return int(text, 8) if text else None


def _ports(line: Instruction) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for word in line.said().split():
        match = _PORT.fullmatch(word)
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if match is None or not first <= last <= 65535:
            raise line.wrong(f"{word!r} is not a port", "EXPOSE 8080, 8080/tcp or 8000-8010")
        protocol = (match["protocol"] or "tcp").lower()
        ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
    return ports


def _command(line: Instruction, config: Config) -> list[str]:
    form = dockerfile.exec_form(line.text)
    return [*(config.get("Shell") or _SHELL), line.text] if form is None else [*form]


def _shell(line: Instruction) -> list[str]:
    if form := dockerfile.exec_form(line.text):
        return [*form]
    raise line.wrong("SHELL is not a list of words", 'for example SHELL ["/bin/bash", "-c"]')


def _signal(line: Instruction) -> str:
    name = line.said()
    match = _SIGNAL.fullmatch(name)
    if match is None or (match["name"] and f"SIG{match['name'].upper()}" not in signal.Signals.__members__):
        raise line.wrong(f"{name!r} is not a signal", "for example SIGTERM")
    return name


def _health(line: Instruction) -> dict[str, Any]:
    """Source: the image specification of moby, Healthcheck: times in nanoseconds; what is not named is inherited."""
    kind, _, command = line.text.partition(" ")
    match kind.upper(), command.strip():
        case "NONE", "":
            return {"Test": ["NONE"]}
        case "CMD", text if text:
            form = dockerfile.exec_form(text)
            test = ["CMD-SHELL", text] if form is None else ["CMD", *form]
            numbers = {flag.title().replace("-", ""): _number(line, flag) for flag in dockerfile.FLAGS["HEALTHCHECK"]}
            return {"Test": test, **{key: number for key, number in numbers.items() if number}}
    raise line.wrong("HEALTHCHECK says neither NONE nor CMD with a command", "HEALTHCHECK CMD curl -f localhost")


def _number(line: Instruction, flag: str) -> int:
    """Return the number of retries, or a duration's nanoseconds; 0 if the flag is not given."""
    text = line.flags.get(flag) or "0"
    kind, example, pattern = ("number", "3", r"\d+") if flag == "--retries" else ("duration", "30s", f"0|({_PART})+")
    if not re.fullmatch(pattern, text):
        raise line.wrong(f"HEALTHCHECK {flag}={text} is not a {kind}", f"for example {flag}={example}")
    if flag == "--retries":
        return int(text)
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in re.findall(_PART, text)))


_CONFIG: Mapping[str, tuple[str, Callable[[Instruction, Config], Any]]] = {
    "ENV": ("Env", lambda line, _: dict(_pairs(line))),
    "LABEL": ("Labels", lambda line, _: dict(_pairs(line))),
    "EXPOSE": ("ExposedPorts", lambda line, _: _ports(line)),
    "VOLUME": ("Volumes", lambda line, _: {path: {} for path in line.words()}),
    "WORKDIR": ("WorkingDir", lambda line, config: _absolute(line.said(), config)),
    "USER": ("User", lambda line, _: line.said()),
    "ENTRYPOINT": ("Entrypoint", _command),
    "CMD": ("Cmd", _command),
    "SHELL": ("Shell", lambda line, _: _shell(line)),
    "STOPSIGNAL": ("StopSignal", lambda line, _: _signal(line)),
    "HEALTHCHECK": ("Healthcheck", lambda line, _: _health(line)),
}
"""Instruction → the key of the configuration that it sets, and the value."""
_ADDED = ("ENV", "LABEL", "EXPOSE", "VOLUME")
"""The instructions whose value is added to the base's own."""
