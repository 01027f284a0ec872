"""Explain a command line that Invoke does not understand, and suggest what to type instead. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from invoke.parser.context import ParserContext

from deploytasks.errors import Complaint
from deploytasks.spelling import nearest, suggestion

_LIST = "inv --list shows all tasks"
_MOST_TAKERS = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What may be typed: tasks by name and, before it, by alias; Invoke's own flags; groups of tasks; tiers."""

    tasks: Mapping[str, ParserContext]
    core: ParserContext
    groups: tuple[str, ...]
    tiers: tuple[str, ...]


def complaints(words: Sequence[str], known: Known) -> tuple[Complaint, ...]:
    """Return one complaint per mistake in the words; () if there is none."""
    return tuple(_Reader(known).read(words))


def unknown_task(name: str, known: Known) -> Complaint:
    """Return the complaint about a name that no task has."""
    where = f"inv {name}"
    if name in known.groups:
        inner = ", ".join(each for each in known.tasks if each.startswith(f"{name}."))
        return Complaint(where, f"'{name}' is a group of tasks", f"name one of them: {inner}")
    what, near = f"there is no task '{name}'", _split(name, known) or nearest(name.lower(), known.tasks)
    if not known.tiers:
        return Complaint(where, f"{what}: envs/project.toml names no tiers", "inv envs.check says what is missing")
    return Complaint(where, what, f"did you mean '{near}'?\n{_LIST}" if near else _LIST)


def _split(name: str, known: Known) -> str:
    """Return what to type for a task and a word that a dot joins: `status.prod` → `status --tier prod`; "" for none."""
    task, _, word = name.rpartition(".")
    context = known.tasks.get(task)
    if context is None or not word:
        return ""
    if task in known.groups:
        return task if word in known.tiers else ""
    positional = [str(each.name) for each in context.positional_args]
    if positional and (positional != ["tier"] or word in known.tiers):
        return f"{task} {word}"
    selecting = ("--tier",) if word in known.tiers else ("--service", "--image", "--tenant")
    flag = next((each for each in selecting if each in context.flags), "")
    return f"{task} {flag} {word}" if flag else ""


class _Reader:
    """Reads the words as Invoke's parser does; continues after a wrong flag, and stops at an unknown task."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._task = ""
        self._context = known.core
        self._missing: list[str] = []
        self._awaits = ""
        """The flag that takes the next word as its value; "" for none."""
        self._given: set[str] = set()
        self._skips = False
        """Whether the next word may be the value of an unknown flag."""
        self._is_lost = False

    def read(self, words: Sequence[str]) -> Iterator[Complaint]:
        for word, following in zip(words, [*words[1:], ""], strict=True):
            flag, equals, _ = word.partition("=")
            if self._awaits and not self._is_flag(flag):
                self._awaits = ""
            elif word.startswith("-"):
                yield from self._unanswered()
                yield from self._flag(flag, bool(equals))
            else:
                yield from self._unanswered()
                yield from self._word(word, following)
            if self._is_lost:
                return
        yield from self._unanswered()
        yield from self._left_out()

    @property
    def _where(self) -> str:
        return f"inv {self._task}".rstrip()

    def _is_flag(self, flag: str) -> bool:
        return flag in self._context.flags or flag in self._context.inverse_flags

    def _unanswered(self) -> Iterator[Complaint]:
        """Complain about a flag that got no value."""
        if self._awaits:
            yield Complaint(self._where, f"{self._awaits} needs a value", f"{self._awaits} VALUE, or leave it out")
        self._awaits = ""

    def _left_out(self) -> Iterator[Complaint]:
        """Complain about missing positional arguments."""
        if self._missing:
            name = self._missing[0]
            values = self._known.tiers if name == "tier" else (name.upper(),)
            to_do = "\n".join(f"{self._where} {value}" for value in values) or "inv envs.check says why there is none"
            to_do += "\ninv envs.list shows all environments" if name == "env" else ""
            yield Complaint(self._where, f"{' and '.join(self._missing)} is missing", to_do)

    def _flag(self, flag: str, has_value: bool) -> Iterator[Complaint]:
        own = self._context.flags.get(flag)
        if own is None and flag not in self._context.inverse_flags:
            yield from self._foreign_flag(flag, has_value)
            return
        if own is not None and own.takes_value:
            if flag in self._given:
                yield Complaint(self._where, f"{flag} is given twice", f"join its values: {flag} one,two")
            self._awaits = "" if has_value else flag
            self._missing = [name for name in self._missing if name != own.name]
        elif has_value:
            yield Complaint(self._where, f"{flag} takes no value", f"write {flag} alone, or leave it out")
        self._given.add(flag)

    def _foreign_flag(self, flag: str, has_value: bool) -> Iterator[Complaint]:
        """Complain about a flag that the task does not have, unless Invoke takes it for one of its own here."""
        flags = self._known.core.flags  # a Lexicon, whose get() ignores short forms
        core = flags[flag] if flag in flags else None  # noqa: SIM401
        if core is None:
            yield self._unknown_flag(flag)
            self._skips = not has_value
        elif self._missing:
            what = f"{flag} is Invoke's own flag, and comes before the task or after {self._missing[0].upper()}"
            yield Complaint(self._where, what, f"inv {flag} {self._task} {self._missing[0].upper()}")
        else:
            self._awaits = flag if core.takes_value and not (core.optional or has_value) else ""

    def _unknown_flag(self, flag: str) -> Complaint:
        takers = self._takers(flag)
        if not (self._task and takers):
            return Complaint(self._where, f"there is no flag '{flag}'", self._meant(flag))
        more = f" and {len(takers) - _MOST_TAKERS} more" if len(takers) > _MOST_TAKERS else ""
        to_do = f"{flag} is a flag of {', '.join(takers[:_MOST_TAKERS])}{more}\ninv --help {self._task} shows its flags"
        return Complaint(self._where, f"it does not take '{flag}'", to_do)

    def _takers(self, flag: str) -> list[str]:
        """Return the tasks with the flag, each under one name."""
        names: dict[int, str] = {}
        for name, context in self._known.tasks.items():
            if flag in context.flags:
                names.setdefault(id(context), name)
        return [*names.values()]

    def _meant(self, flag: str) -> str:
        flags, switched_on = _long(self._context), [*self._context.inverse_flags.values()]
        if not self._task and any(flag in context.flags for context in self._known.tasks.values()):
            return f"a task's flag comes after the task: inv TASK {flag}"
        begun = [each for each in flags if each.startswith(f"--{flag.strip('-')}")]
        if len(begun) == 1:
            return f"did you mean '{begun[0]}'? flags have no short forms"
        known = [each for each in flags if each not in switched_on]
        return suggestion(flag.lower().replace("_", "-"), known, [*switched_on, *_long(self._known.core)])

    def _word(self, word: str, following: str) -> Iterator[Complaint]:
        skips, self._skips = self._skips, False
        if self._missing and not (skips and word not in self._known.tiers):
            self._missing.pop(0)
        elif word in self._known.tasks:
            yield from self._left_out()
            self._task, self._context, self._given = word, self._known.tasks[word], set()
            self._missing = [str(each.name) for each in self._context.positional_args]
        elif skips:
            return
        elif self._is_meant_as_value(word):
            yield Complaint(self._where, f"it does not take '{word}'", self._place_for(word))
        else:
            self._is_lost = True
            yield self._unknown_task(word, following)

    def _unknown_task(self, word: str, following: str) -> Complaint:
        joined = f"{word}.{following}"
        if joined in self._known.tasks:
            return Complaint(f"inv {word}", f"'{word}' is a group of tasks", f"write it with a dot: inv {joined}")
        return unknown_task(word, self._known)

    def _is_meant_as_value(self, word: str) -> bool:
        is_no_task = word in self._known.tiers or self._joined(word) or not nearest(word, self._known.tasks)
        return bool(self._task and is_no_task) and word not in self._known.groups

    def _joined(self, word: str) -> str:
        """Return the task that a dot makes of the present one and the word; "" if there is none."""
        joined = f"{self._task}.{word}"
        return joined if joined in self._known.tasks else ""

    def _place_for(self, word: str) -> str:
        if joined := self._joined(word):
            return f"write it with a dot: inv {joined}"
        if word in self._known.tiers and "--tier" in self._context.flags and not self._context.positional_args:
            return f"inv {self._task} --tier {word}"
        return f"inv --help {self._task} shows its flags"


def _long(context: ParserContext) -> list[str]:
    return [each for each in (*context.flags, *context.inverse_flags) if each.startswith("--")]
