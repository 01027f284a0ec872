"""Evaluate USER, SHELL, HEALTHCHECK and STOPSIGNAL: settings of how an image is run, which run nothing in a build."""

import re
import signal
from collections.abc import Mapping
from typing import Any

from deploytasks.builders import dockerfile
from deploytasks.builders.dockerfile import Instruction

_DURATION = re.compile(r"0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TIMES = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
}
_SIGNAL = re.compile(r"(SIG)?(?P<name>[A-Z][A-Z0-9]*)([+-][0-9]+)?|[0-9]{1,2}", re.IGNORECASE)


def settings(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what the instruction sets in the image's configuration. Raises: Refusal if it is invalid."""
    match instruction.name:
        case "USER":
            return {"User": dockerfile.expand(instruction.text, variables)}
        case "SHELL":
            return {"Shell": _shell(instruction)}
        case "STOPSIGNAL":
            return {"StopSignal": _signal(instruction, dockerfile.expand(instruction.text, variables))}
        case _:
            return {"Healthcheck": _health(instruction)}


def _shell(instruction: Instruction) -> list[str]:
    form = dockerfile.exec_form(instruction.text)
    if not form:
        raise instruction.wrong("SHELL is not a list of words", 'for example SHELL ["/bin/bash", "-c"]')
    return list(form)


def _signal(instruction: Instruction, name: str) -> str:
    match = _SIGNAL.fullmatch(name)
    if match is None or (match["name"] and f"SIG{match['name'].upper()}" not in signal.Signals.__members__):
        raise instruction.wrong(f"{name!r} is not a signal", "for example SIGTERM")
    return name


def _health(instruction: Instruction) -> dict[str, Any]:
    """Source: the image specification of moby, Healthcheck: times in nanoseconds; what is not named is inherited."""
    kind, _, command = instruction.text.partition(" ")
    match kind.upper(), command.strip():
        case "NONE", "":
            return {"Test": ["NONE"]}
        case "CMD", text if text:
            form = dockerfile.exec_form(text)
            test = ["CMD-SHELL", text] if form is None else ["CMD", *form]
            times = {key: _nanoseconds(instruction, flag) for flag, key in _TIMES.items()}
            said = {"Test": test, **times, "Retries": _retries(instruction)}
            return {key: value for key, value in said.items() if value}
    raise instruction.wrong("HEALTHCHECK says neither NONE nor CMD with a command", "HEALTHCHECK CMD curl -f localhost")


def _nanoseconds(instruction: Instruction, flag: str) -> int:
    text = instruction.flag(flag) or "0"
    if not _DURATION.fullmatch(text):
        raise instruction.wrong(f"HEALTHCHECK {flag}={text} is not a duration", f"for example {flag}=30s")
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)))


def _retries(instruction: Instruction) -> int:
    text = instruction.flag("--retries") or "0"
    if not text.isdecimal():
        raise instruction.wrong(f"HEALTHCHECK --retries={text} is not a number", "for example --retries=3")
    return int(text)
