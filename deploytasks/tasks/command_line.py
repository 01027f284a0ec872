"""The command line, looked at before Invoke parses it: mistyped tasks and flags get the nearest right spelling.

Invoke's parser only says "No idea what 'relase.prod' is!", and takes `--help` for a positional argument. It has no
hook, but it asks each task for its arguments first, once `tasks.py` was loaded as a whole: the words are checked then.
"""

import re
import sys
from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser
from invoke.program import Program

from deploytasks.project.names import tier_names
from deploytasks.project.spelling import nearest, suggestion

_UNKNOWN = re.compile(r"No idea what (.+) is!")
"""What Invoke says of a word that it does not know; the word stands nowhere else in its ParseError."""
_HELP = ("--help", "-h")


class CommandLine:
    """The words that `inv` was started with, to be checked once against all tasks of the root namespace."""

    def __init__(self, tasks: Collection, root: Path) -> None:
        self._tasks, self._root = tasks, root
        self._is_checked = False

    def __deepcopy__(self, _memo: object) -> "CommandLine":
        """Return the same one: Invoke copies a namespace's tasks, and the words are checked once."""
        return self

    def check(self) -> None:
        """Raise Exit with code 1 and what to type instead, if Invoke would not understand the words.

        Do nothing if the program is not Invoke's own, or if these tasks are not its root namespace.
        """
        if self._is_checked:
            return
        self._is_checked = True
        if _is_inv(sys.argv[0]) and self._is_root():
            self._check(sys.argv[1:])

    def _is_root(self) -> bool:
        """Return whether some loaded module offers these tasks under a name that Invoke takes for the root's."""
        offered = (vars(module).get(name) for module in list(sys.modules.values()) for name in ("ns", "namespace"))
        return any(each is self._tasks for each in offered)

    def _check(self, words: Sequence[str]) -> None:
        initial = Program().initial_context
        try:
            core = Parser(initial=initial, ignore_unknown=True).parse_argv(list(words))
        except ParseError:
            return  # of Invoke's own flags, which Invoke explains
        asked = core[0].args.help.value
        if isinstance(asked, str) and asked not in self._tasks.task_names:
            raise _refused(f"inv --help {asked}", *self._unknown_task(asked))
        if asked or core[0].args.complete.value or not core.unparsed:
            return
        self._help_if_asked(core.unparsed)
        try:
            Parser(initial=initial, contexts=self._tasks.to_contexts()).parse_argv(list(core.unparsed))
        except ParseError as error:
            raise self._explained(error) from error

    def _help_if_asked(self, words: Sequence[str]) -> None:
        """Show the help of the task that `--help` follows, and exit, wherever it stands among the task's words."""
        own = list(words)[: words.index("--")] if "--" in words else list(words)
        at = next((place for place, word in enumerate(own) if word in _HELP), 0)
        named = [word for word in own[:at] if word in self._tasks.task_names]
        if named:
            Program(namespace=self._tasks, binary="inv[oke]").run(["inv", "--help", named[-1]])

    def _explained(self, error: ParseError) -> Exit:
        context = error.context or ParserContext()
        where = f"inv {context.name}" if context.name else "inv"
        if unknown := _UNKNOWN.fullmatch(str(error)):
            return self._unknown(literal_eval(unknown[1]), context, where)
        if missing := [str(each.name) for each in context.missing_positional_args]:
            return _refused(where, f"{' and '.join(missing)} is missing", self._values(missing[0], where))
        return _refused(where, str(error), f"inv --help {context.name or ''}".rstrip() + " shows its flags")

    def _unknown(self, word: str, context: ParserContext, where: str) -> Exit:
        if word.startswith("-"):
            flags = [flag for flag in (*context.flags, *context.inverse_flags) if flag.startswith("--")]
            return _refused(where, f"there is no flag '{word}'", suggestion(word, flags))
        is_value = word in tier_names(self._root) or not nearest(word, self._names())
        if context.name and word not in self._tasks.collections and is_value:
            return _refused(where, f"it does not take '{word}'", self._place_for(word, context))
        return _refused(f"inv {word}", *self._unknown_task(word))

    def _unknown_task(self, word: str) -> tuple[str, str]:
        """Return what is wrong with the name of a task, and what to do."""
        if word in self._tasks.collections:
            inner = [name for name in self._names() if name.startswith(f"{word}.")]
            return f"'{word}' is a group of tasks", f"name one of them: {', '.join(inner)}"
        what, near = f"there is no task '{word}'", nearest(word, self._names())
        if not tier_names(self._root):
            return f"{what}: envs/project.toml names no tiers", "inv envs.check says what is missing"
        return what, (f"did you mean '{near}'?\n" if near else "") + "inv --list shows all tasks"

    def _values(self, argument: str, where: str) -> str:
        if argument != "tier":
            return f"{where} {argument.upper()}"
        return (
            "\n".join(f"{where} {tier}" for tier in tier_names(self._root)) or "inv envs.check says why there is none"
        )

    def _place_for(self, word: str, context: ParserContext) -> str:
        if word in tier_names(self._root) and "--tier" in context.flags:
            return f"inv {context.name} --tier {word}"
        return f"inv --help {context.name} shows its flags"

    def _names(self) -> list[str]:
        return list(self._tasks.task_names)


def _is_inv(program: str) -> bool:
    """Return whether the program is `inv`, `invoke` or `python -m invoke`."""
    path = Path(program)
    return path.stem in ("inv", "invoke") or path.parts[-2:] == ("invoke", "__main__.py")


def _refused(where: str, what: str, to_do: str) -> Exit:
    advice = "".join(f"\n    {line}" for line in to_do.splitlines())
    return Exit(f"{where}: {what}{advice}", code=1)
