"""CPU and memory of a task: the spellings that ECS takes, and the pairs that Fargate runs."""

import re
from collections.abc import Sequence

_VCPU = re.compile(r"([0-9]{0,9}\.?[0-9]{1,9})\s*vcpu", re.IGNORECASE)
_GB = re.compile(r"([0-9]{0,9}\.?[0-9]{1,9})\s*gb", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,18}")
_GIB = 1024

FARGATE: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""CPU units → the memory, in MiB, that Fargate has for them. Source: ECS developer guide, "Task CPU and memory"."""


def cpu_units(text: str) -> int | None:
    """CPU units of `1024`, `1 vCPU` or `.5 vcpu`; None where ECS would not understand it."""
    return _whole(text, _VCPU)


def memory_mib(text: str) -> int | None:
    """MiB of `2048`, `2 GB` or `0.5GB`; None where ECS would not understand it."""
    return _whole(text, _GB)


def fargate_memory(cpu: int) -> str:
    """What to choose from, in words: `512, 1024 or 2048`, `2048 to 8192 in steps of 1024`."""
    match FARGATE[cpu]:
        case range() as choices:
            return f"{choices[0]} to {choices[-1]} in steps of {choices.step}"
        case choices:
            return one_of(choices)


def one_of(choices: Sequence[int]) -> str:
    """`1, 2 or 3`."""
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}" if most else last


def _whole(text: str, unit: re.Pattern[str]) -> int | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    match = unit.fullmatch(text.strip())
    return round(float(match[1]) * 1024) if match else None
