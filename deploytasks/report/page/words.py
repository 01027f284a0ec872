"""The words for what deserves a second look, and how grave each is."""

from typing import Literal

from deploytasks.model import Cell, Mark, Standing
from deploytasks.report.marks import LEGEND, STANDINGS

Word = Mark | Standing
MEANINGS: dict[Word, str] = dict([*LEGEND.items(), *STANDINGS.items()])
"""The legend: the meaning of each word for what deserves a second look."""

Tone = Literal["bad", "warn", "info", "good"]

_GRAVEST_FIRST: tuple[Word, ...] = (
    "unseen",
    "crashing",
    "failed",
    "missing",
    "short",
    "foreign",
    "mixed",
    "behind",
    "drifted",
    "inactive",
    "deployed by CODE_DEPLOY",
    "deployed by EXTERNAL",
    "rolling",
)
_BAD = frozenset[Word]({"unseen", "crashing", "failed", "missing", "short"})


def words(cell: Cell) -> tuple[Word, ...]:
    """Return what deserves a second look at the target, in the legend's words; () if all is well."""
    standing: tuple[Word, ...] = (cell.standing,) if cell.standing in STANDINGS else ()
    return standing + cell.marks


def token(word: Word) -> str:
    """Return the word as the filter takes it after `is:`; without blanks, at which the filter splits its input."""
    return word.lower().replace(" ", "-")


def tone(word: Word) -> Tone:
    """Return the tone of the word."""
    return "info" if word == "rolling" else "bad" if word in _BAD else "warn"


def gravest(cell: Cell) -> Tone:
    """Return the tone of the target as a whole; `good` if all is well."""
    return min(map(tone, words(cell)), key=("bad", "warn", "info").index, default="good")


def rank(cell: Cell | None) -> int:
    """Return the target's sort key: the gravest first, then targets that are well, then those that don't exist."""
    if cell is None:
        return len(_GRAVEST_FIRST) + 1
    return min(map(_GRAVEST_FIRST.index, words(cell)), default=len(_GRAVEST_FIRST))
