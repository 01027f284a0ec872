"""Whole commands timed in turn, A B A B …: on a machine that drifts, only ratios within one round mean anything."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One command; `before` and `after` run around each measurement, `times` of them a round; `code` is how it ends.

    One that takes tens of seconds is measured `once`, in the first round that counts.
    """

    name: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    times: int = 1
    code: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What one command took: by the clock, of memory at its peak, and of the processor, its children's share too."""

    seconds: float
    peak_mib: float
    cpu_s: float


Rounds = Sequence[Mapping[str, Sample]]
"""For each round, the sample of each case that ran in it by the case's name."""


class CommandFailed(Exception):
    """A measured command did not end as it should; its words are the message."""


def interleave(cases: Sequence[Case], rounds: int, on_round: Callable[[int], None]) -> Rounds:
    """The cases, each in turn, round after round; a round before the first warms caches and is not kept."""
    kept = []
    for number in range(rounds + 1):
        on_round(number)
        due = [case for case in cases if number == 1 or not case.once]
        kept.append({case.name: _typical([run(case) for _ in range(case.times)]) for case in due})
    return kept[1:]


def _typical(samples: Sequence[Sample]) -> Sample:
    return Sample(
        statistics.median(sample.seconds for sample in samples),
        max(sample.peak_mib for sample in samples),
        statistics.median(sample.cpu_s for sample in samples),
    )


def run(case: Case) -> Sample:
    """One measurement.

    Raises: CommandFailed where it ends with another exit code.
    """
    case.before()
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            case.command, cwd=case.cwd, env=dict(case.env), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != case.code:
            said.seek(0)
            text = said.read().decode(errors="replace")[-4000:]
            raise CommandFailed(f"{' '.join(case.command)} ended with {process.returncode}:\n{text}")
    case.after()
    return Sample(seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)


def ratio(rounds: Rounds, of: Callable[[Mapping[str, Sample]], float], cases: Sequence[str]) -> float:
    """The median, over the rounds in which all these cases ran, of a ratio taken within each."""
    return statistics.median(of(samples) for samples in rounds if samples.keys() >= set(cases))
