"""What is wrong, and at which key of which file; the line is looked up only when it is shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from deploytasks.errors import Complaint
from deploytasks.model import Origin
from deploytasks.project.toml_lines import locate


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong at `at`; `shown` is the key to name where it is not `at`'s own, "" for none."""

    at: Origin
    what: str
    to_do: str = ""
    shown: str | None = None


def complaints(root: Path, faults: Iterable[Fault]) -> tuple[Complaint, ...]:
    """The faults as complaints with lines, each once, sorted by file and line."""
    found = [replace(fault, at=_located(root, fault.at)) for fault in dict.fromkeys(faults)]
    found.sort(key=lambda fault: (fault.at.file, fault.at.line))
    return tuple(Complaint(_where(fault), fault.what, fault.to_do) for fault in found)


def _located(root: Path, origin: Origin) -> Origin:
    return origin if origin.line or not origin.key else locate(root, origin)


def _where(fault: Fault) -> str:
    key = fault.at.key if fault.shown is None else fault.shown
    if key:
        return str(replace(fault.at, key=key))
    return f"{fault.at.file}:{fault.at.line}" if fault.at.line else fault.at.file
