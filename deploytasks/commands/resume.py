"""The command lines that resume after a failure, and the errors that carry them."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from deploytasks.commands.context import Context
from deploytasks.durations import spelled as spelled_length
from deploytasks.errors import DeployError, Interrupted, Resume, Unforeseen, contained
from deploytasks.flags import Flag, of_resumed
from deploytasks.model import Command, Options, Result, Scope, tenants_of


@contextmanager
def resumable(context: Context, state: str | Callable[[], str], command: Command | None = None) -> Iterator[None]:
    """Add the state, and the command that resumes from it, to whatever error is raised inside.

    `state` may be a function, which then tells the state as it is at that time.

    Raises:
        DeployError: the one that was raised inside, with that added; Interrupted for a signal.

    """
    try:
        with contained(context.command.task(context.tier.name)):
            yield
    except KeyboardInterrupt:
        raise stopped(context, f"interrupted: {_now(state)}", command) from None
    except DeployError as error:
        raise type(error)(*error.complaints, _resume(context, _now(state), command)) from error


def _now(state: str | Callable[[], str]) -> str:
    return state if isinstance(state, str) else state()


def broken_off(context: Context, error: Unforeseen) -> Unforeseen:
    """Return the error with the command that resumes, unless it has one already."""
    if any(isinstance(each, Resume) for each in error.complaints):
        return error
    return Unforeseen(*error.complaints, _resume(context, "what was changed so far stands"))


def stopped(context: Context, state: str, command: Command | None = None) -> Interrupted:
    """Return the error that a signal ends the command with: the state, and the command that resumes from it."""
    context.clients.stopped.set()
    return Interrupted(_resume(context, state, command))


def _resume(context: Context, state: str, command: Command | None = None) -> Resume:
    return Resume(context.tier.name, state, f"to go on: {spelled(context, command)}")


def spelled(context: Context, command: Command | None = None, tenants: tuple[str, ...] = ()) -> str:
    """Return the command line that repeats the command, or runs another command on its targets."""
    own = own_flags(context.options, again=command in (None, context.command))
    return command_line((command or context.command).task(context.tier.name), context.scope.narrowed(tenants), own)


def own_flags(options: Options, *, again: bool) -> dict[str, str | bool | None]:
    """Return the options that the same command `again`, or another one, is given, by flag as it is typed."""
    return {flag.typed: given(options, flag) for flag in of_resumed(again=again)}


def command_line(task: str, scope: Scope, own: Mapping[str, str | bool | None]) -> str:
    """Return the command line of the task for the scope's targets, with flags of its own."""
    typed = {**{flag: ",".join(names) for flag, names in scope.named().items()}, **own}
    flags = [
        f"--{flag}" if value is True else f"--{flag} {shlex.quote(value)}" for flag, value in typed.items() if value
    ]
    return " ".join(["inv", task, *flags])


def again(context: Context, command: Command, results: Iterable[Result]) -> str:
    """Return the command line that resumes with these results' tenants, named unless they are all."""
    tenants = tenants_of(result.target for result in results)
    return spelled(context, command, () if set(tenants_of(context.targets)) <= set(tenants) else tenants)


def given(options: Options, flag: Flag) -> str | bool | None:
    """Return the flag's value as it is typed; a switch that was left as it is by default is False."""
    match flag.name:
        case "at":
            return exact(options.at)
        case "lock-wait":
            return spelled_length(options.lock_wait_s) if options.lock_wait_s else ""
    value = getattr(options, flag.parameter)
    if isinstance(value, bool):
        return value is not flag.default
    return str(value) if value is not None else None


def exact(at: datetime | None) -> str:
    """Return the time as `--at` takes it, exactly and in UTC; "" for None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else ""
