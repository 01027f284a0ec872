"""Read the words before the cursor as Invoke does, and say what the next one may be. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploytasks.config.names import ALL_IMAGES
from deploytasks.flags import ARGUMENTS, FLAGS, Argument, Flag, Kind, arguments_of, of_task

_GROUP_DEFAULT = {"build": f"build.{ALL_IMAGES}"}
"""The tasks that have a second name, since their group is called like them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What may be typed: `rows` maps tasks to their row of the tables, `own` the tasks of tasks.py to their flags.

    `core` are Invoke's own flags, as they are typed.
    """

    rows: Mapping[str, str]
    own: Mapping[str, Mapping[str, Flag]]
    core: Mapping[str, Flag]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the names of all tasks."""
        return tuple(sorted({*self.rows, *self.own}))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the word may become: `before` and one of `words`, or of the project's names of these `kinds`.

    `begun` is how that begins. `without` are those that stand there already; `several` says that more may follow.
    """

    words: Sequence[str] = ()
    kinds: tuple[Kind, ...] = ()
    begun: str = ""
    before: str = ""
    without: Sequence[str] = ()
    several: bool = False
    tier: str = ""


def rows(tiers: Iterable[str], images: Iterable[str]) -> dict[str, str]:
    """Return each task that a person may type with its row of the tables: `deploy.prod` → `deploy.TIER`."""
    found: dict[str, str] = {}
    names = {"TIER": tuple(tiers), "IMAGE": tuple(images)}
    for row in dict.fromkeys(row for each in (*FLAGS, *ARGUMENTS) for row in each.tasks.split()):
        group, _, last = row.rpartition(".")
        found |= {f"{group}.{name}": row for name in names[last]} if last in names else {row: row}
    return found | {second: row for row, second in _GROUP_DEFAULT.items()}


def wanted(words: Sequence[str], known: Known) -> Wanted:
    """Return what the last of the words after `inv` may become."""
    *before, last = words
    line = _Line(known)
    for word in before:
        line.take(word)
    return line.wanted(last)


class _Line:
    """The task that the words before the cursor lead to, and what it lacks."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._tier = ""
        self._flags = known.core
        self._missing: tuple[Argument, ...] = ()
        self._given: set[str] = set()
        self._awaits: Flag | None = None
        self._is_command = False

    def take(self, word: str) -> None:
        """Read one word."""
        if self._is_command:
            return
        awaits, self._awaits = self._awaits, None
        if word.startswith("-"):
            self._flag(word)
        elif awaits is None:
            self._word(word)

    def _flag(self, word: str) -> None:
        name, equals, _ = word.partition("=")
        flag = self._flags.get(name)
        self._is_command = word == "--"
        self._given.add(name)
        self._awaits = flag if flag and flag.takes_value and not equals else None

    def _word(self, word: str) -> None:
        if self._missing:
            self._tier = word if self._missing[0].name == "tier" else self._tier
            self._missing = self._missing[1:]
        elif word in self._known.tasks:
            self._begin(word)

    def _begin(self, task: str) -> None:
        row = self._known.rows.get(task, "")
        own = self._known.own.get(task) or {f"--{flag.typed}": flag for flag in of_task(row)}
        self._flags = {**own, **{name: flag for name, flag in self._known.core.items() if name == "--help"}}
        self._missing, self._given = arguments_of(row), set()
        self._tier = task.rpartition(".")[2] if row.endswith(".TIER") else ""

    def wanted(self, word: str) -> Wanted:
        """Return what the last word may become."""
        name, equals, value = word.partition("=")
        if self._is_command:
            return Wanted(kinds=("files",), begun=word)
        if word.startswith("-") and equals:
            return self._of_flag(self._flags.get(name), value, f"{name}=")
        if word.startswith("-"):
            return Wanted([each for each in self._flags if each[:2] == "--" and each not in self._given], begun=word)
        if self._awaits:
            return self._of_flag(self._awaits, word, "")
        if self._missing:
            return Wanted(kinds=self._missing[0].values, begun=word)
        return Wanted(self._known.tasks, begun=word)

    def _of_flag(self, flag: Flag | None, typed: str, before: str) -> Wanted:
        if flag is None or not flag.takes_value:
            return Wanted()
        words = self._known.tasks if flag.name in ("help", "h") else flag.choices
        if not flag.several:
            return Wanted(words, flag.values, typed, before, tier=self._tier)
        inner, comma, begun = typed.rpartition(",")
        return Wanted(words, flag.values, begun, f"{before}{inner}{comma}", inner.split(","), several=True)
