"""What deserves a second look, in the legend's words, and how loudly each is said."""

from typing import Literal

from deploytasks.model import Cell, Mark, Standing
from deploytasks.report.marks import LEGEND, STANDINGS

Word = Mark | Standing
MEANINGS: dict[Word, str] = dict([*LEGEND.items(), *STANDINGS.items()])
"""The legend: what each word means that deserves a second look."""

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
    """What deserves a second look at the target, in the legend's words; empty where all is as it should be."""
    standing: tuple[Word, ...] = (cell.standing,) if cell.standing in STANDINGS else ()
    return standing + cell.marks


def token(word: Word) -> str:
    """Return the word as the filter takes it after `is:`, which splits what is typed at blanks."""
    return word.lower().replace(" ", "-")


def tone(word: Word) -> Tone:
    """How loud the word is."""
    return "info" if word == "rolling" else "bad" if word in _BAD else "warn"


def gravest(cell: Cell) -> Tone:
    """The tone of the target as a whole."""
    return min(map(tone, words(cell)), key=("bad", "warn", "info").index, default="good")


def rank(cell: Cell | None) -> int:
    """Where the target sorts: the gravest first, then what is as it should be, then what there is not."""
    if cell is None:
        return len(_GRAVEST_FIRST) + 1
    return min(map(_GRAVEST_FIRST.index, words(cell)), default=len(_GRAVEST_FIRST))
