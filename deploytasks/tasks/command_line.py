"""Check the command line before Invoke parses it, and suggest the nearest spelling of a mistyped task or flag.

Invoke's parser only says "No idea what 'relase.prod' is!", and takes `--help` for a positional argument. It has no
hook, but asks each task for its arguments first, after `tasks.py` was loaded as a whole: the words are checked then.
Refuse nothing that Invoke would understand, except a flag that it would take for a positional argument, and words
after `--` that no task reads.
"""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser, ParseResult
from invoke.program import Program
from invoke.tasks import Task

from deploytasks.config.names import tier_names
from deploytasks.flags import READING_A_COMMAND
from deploytasks.tasks.early import is_inv

if TYPE_CHECKING:
    from deploytasks.errors import Complaint
    from deploytasks.tasks.mistyped import Known


_HELP = ("--help", "-h")
_WRITES_NOTHING = frozenset({"--dry-run", "--dry", "-R", "--complete"})


class CommandLine:
    """The words that `inv` was started with, checked once against all tasks of the root namespace."""

    def __init__(self, tasks: Collection, root: Path) -> None:
        self._tasks, self._root = tasks, root
        self._own = frozenset(tasks.task_names)  # those that the user adds come later
        self._is_checked = self._is_checking = False
        self._named: frozenset[int] | None = None
        self._left_out = set[int]()

    def check(self) -> None:
        """Raise Exit with code 1 and what to type instead if Invoke would not understand the words.

        Do nothing if the program is not Invoke's own, or these tasks are not its root namespace.
        """
        if self._is_checked:
            return
        self._is_checked = self._is_checking = True
        if is_inv(sys.argv[0]) and self._is_root():
            sys.excepthook = _without_traceback
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # for what Invoke prints itself on an ASCII console
            self._named = self._named_in(sys.argv[1:])
            self._check_or_end(sys.argv[1:])
            self._remember(sys.argv[1:])
        self._is_checking = False

    def _remember(self, words: Sequence[str]) -> None:
        """Leave the names of the user's own tasks for completion; a dry run leaves nothing."""
        if _WRITES_NOTHING.isdisjoint(words):
            from deploytasks.tasks import seen

            seen.own_tasks(self._root, self._tasks, self._own)

    def needs(self, task: Task[Any]) -> bool:
        """Return whether anybody needs the task's arguments: only if the words name it.

        Invoke asks for those of all tasks and copies them, which takes longer than all else that `inv --list` does. It
        asks each task once; whoever asks again parses other words.
        """
        key = id(task)
        if self._named is None or key in self._named or key in self._left_out:
            return True
        if not self._is_checking:
            self._left_out.add(key)
        return False

    def _named_in(self, words: Sequence[str]) -> frozenset[int]:
        """Return the ids of the tasks whose name or alias is in a word, `--help=deploy.prod` included."""
        names = self._tasks.task_names.items()
        named = (name for name, aliases in names if any(each in word for each in (name, *aliases) for word in words))
        return frozenset(id(self._tasks[name]) for name in named)

    def _names(self) -> frozenset[str]:
        """Return what tasks can be called by, aliases and groups with a default task included."""
        return frozenset(each for name, aliases in self._tasks.task_names.items() for each in (name, *aliases))

    def _is_root(self) -> bool:
        """Return whether a loaded module holds these tasks under a name that Invoke takes for the root namespace."""
        modules = [module for module in reversed(sys.modules.values()) if module is not None]  # tasks.py is a late one
        return any(vars(module).get(name) is self._tasks for module in modules for name in ("ns", "namespace"))

    def _check_or_end(self, words: Sequence[str]) -> None:
        try:
            self._check(words)
        except Exit:
            from deploytasks.tasks.shell import outlive_stderr

            outlive_stderr()
            raise

    def _check(self, words: Sequence[str]) -> None:
        initial = Program().initial_context
        try:
            core = Parser(initial=initial, ignore_unknown=True).parse_argv(list(words))
        except ParseError:
            return  # it concerns Invoke's own flags, and Invoke explains it
        asked, is_list = core[0].args.help.value, core[0].args.list.value
        if isinstance(asked, str) and asked not in self._names():
            raise self._unknown_help(asked)
        if core[0].args.complete.value:
            self._named = None
            return
        if asked:
            return
        if is_list or not core.unparsed:
            self._say_what_is_missing(is_list=bool(is_list))
            return
        self._help_if_asked(core.unparsed)
        self._parse(core.unparsed, core.remainder, initial)

    def _parse(self, words: Sequence[str], remainder: str, initial: ParserContext) -> None:
        """Raise Exit if Invoke's parser fails, takes a flag for a positional argument, or drops words after `--`."""
        parser = Parser(initial=initial, contexts=self._tasks.to_contexts())
        try:
            parsed = parser.parse_argv(list(words))
            if not _has_eaten_a_flag(parsed):
                self._refuse_dropped(parsed, remainder)
                return
            fallback = ""
        except ParseError as error:
            fallback = str(error)
        from deploytasks.errors import Complaint
        from deploytasks.tasks.mistyped import complaints

        found = complaints(words, self._known())
        if found or fallback:
            raise _refused(*(found or [Complaint("inv", fallback, "inv --list shows all tasks")]))

    def _refuse_dropped(self, parsed: ParseResult, remainder: str) -> None:
        """Raise Exit if words stand after `--` and none of the tasks reads them: `inv deploy.prod -- --dry-run`."""
        named = [str(context.name) for context in parsed[1:]]
        if not remainder or any(name in READING_A_COMMAND or name not in self._own for name in named):
            return
        from deploytasks.errors import Complaint

        readers = ", ".join(READING_A_COMMAND)
        to_do = f"write its flags without the two dashes; a command after them is for {readers} alone"
        raise _refused(Complaint(f"inv {named[-1]}", f"it does not take '-- {remainder}'", to_do))

    def _help_if_asked(self, words: Sequence[str]) -> None:
        """Show a task's help and exit if `--help` stands anywhere after the task's name."""
        at = next((place for place, word in enumerate(words) if word in _HELP), 0)
        named = [word for word in words[:at] if word in self._names()]
        if named:
            Program(namespace=self._tasks, binary="inv[oke]").run(["inv", "--help", named[-1]])

    def _unknown_help(self, asked: str) -> Exit:
        from deploytasks.tasks.mistyped import unknown_task

        return _refused(unknown_task(asked, self._known()).at(f"inv --help {asked}"))

    def _known(self) -> "Known":
        from deploytasks.tasks.mistyped import Known

        self._named = None
        contexts = {str(name): each for each in self._tasks.to_contexts() for name in (*each.aliases, each.name)}
        groups = tuple(self._tasks.collections)
        return Known(contexts, Program().initial_context, groups, tier_names(self._root))

    def _say_what_is_missing(self, *, is_list: bool) -> None:
        """Say on stderr what to type if no task is named, and why tiers have no tasks if they have none."""
        from deploytasks.tasks.shell import warn

        if not is_list:
            warn("inv: no task is named\n    inv --list shows all tasks, inv --help TASK one of them")
        if tier_names(self._root):
            return
        from deploytasks.config.load import load
        from deploytasks.errors import Invalid

        try:
            load(self._root)
        except Invalid as error:
            warn(str(error))


def _without_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Explain an OSError of Invoke's own printing, as in `inv --list > /dev/full`; ignore a closed pipe (`| head`)."""
    if not isinstance(error, OSError):
        sys.__excepthook__(kind, error, trace)
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python flushes at exit
    if not isinstance(error, BrokenPipeError):
        what = f"not everything could be written: {error.strerror}"
        sys.stderr.write(f"{error.filename or 'stdout'}: {what}\n    make room, or send it elsewhere\n")


def _has_eaten_a_flag(parsed: ParseResult) -> bool:
    values = (argument.value for context in parsed for argument in context.positional_args)
    return any(isinstance(value, str) and value.startswith("-") for value in values)


def _refused(*complaints: "Complaint") -> Exit:
    from deploytasks.report.text import harmless

    return Exit(harmless("\n".join(map(str, complaints))), code=1)
