"""The words for what deserves a second look, and how grave each is."""

from deploytasks.model import Cell, Mark, Standing
from deploytasks.report.marks import STANDINGS, WORDS, Tone

Word = Mark | Standing
MEANINGS: dict[Word, str] = {name: word.meaning for name, word in WORDS.items()}
"""The legend: the meaning of each word for what deserves a second look."""


def words(cell: Cell) -> tuple[Word, ...]:
    """Return what deserves a second look at the target, in the legend's words; () if all is well."""
    standing: tuple[Word, ...] = (cell.standing,) if cell.standing in STANDINGS else ()
    return standing + cell.marks


def token(word: Word) -> str:
    """Return the word as the filter takes it after `is:`; without blanks, at which the filter splits its input."""
    return word.lower().replace(" ", "-")


def tone(word: Word) -> Tone:
    """Return the tone of the word."""
    return WORDS[word].tone


def gravest(cell: Cell) -> Tone:
    """Return the tone of the target as a whole; `good` if all is well."""
    return min(map(tone, words(cell)), key=("bad", "warn", "info").index, default="good")


def rank(cell: Cell | None) -> int:
    """Return the target's sort key: the gravest first, then targets that are well, then those that don't exist."""
    if cell is None:
        return len(WORDS) + 1
    return min((WORDS[word].gravity for word in words(cell)), default=len(WORDS))
