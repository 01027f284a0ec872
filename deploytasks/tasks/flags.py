"""The flags that several tasks share: their help texts, and how their values are parsed and checked."""

import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from inspect import Parameter, Signature
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import Task

from deploytasks.flags import arguments_of, of_task

if TYPE_CHECKING:
    from deploytasks.model import Options, Scope, Shard


Body = Callable[..., None]
_MOST_DIGITS = 9


def task(row: str, name: str = "") -> Callable[[Body], Task[Any]]:
    """Return a decorator that makes a task whose arguments and flags are those that the tables give `row`.

    `row` is what a person types, with `TIER` or `IMAGE` for the `name` of one. The body takes the context, the
    positional arguments and `**given`, which maps each flag's parameter to its value.
    """
    positional = {each.name: each.help for each in arguments_of(row)}

    def made(body: Body) -> Task[Any]:
        own = of_task(row)
        kind = Parameter.POSITIONAL_OR_KEYWORD
        needed = [Parameter(name, kind) for name in ("c", *positional)]
        flags = [Parameter(flag.parameter, kind, default=flag.default) for flag in own]
        vars(body)["__signature__"] = Signature([*needed, *flags])
        return Task(
            body,
            name=name or row.rpartition(".")[2],
            positional=tuple(positional),
            auto_shortflags=False,
            help={**positional, **{flag.name: flag.help for flag in own}},
        )

    return made


def asked(context: Context, tier: str, given: Mapping[str, Any]) -> tuple["Scope", "Options"]:
    """Return which targets the flags mean, and what else they say.

    Raises:
        Invalid: a flag is there and empty, or says what it can't.

    """
    return scope(tier, given), options(context, given)


def scope(tier: str, given: Mapping[str, Any]) -> "Scope":
    """Return which targets the flags mean.

    Raises:
        Invalid: a flag is given but empty, so that `--tenant $UNSET` never selects all tenants.

    """
    from deploytasks.config.select import names
    from deploytasks.model import Scope

    return Scope(tier, *(names(flag, given.get(flag)) for flag in ("tenant", "service", "exclude", "image")))


def file(flag: str, given: str | None) -> FilePath | None:
    """Return the file to write; None if the flag is not given.

    Raises:
        Invalid: the flag is empty, or names no file that could be written.

    """
    from deploytasks.errors import Invalid

    if given is None:
        return None
    path = FilePath(given)
    if problem := _why_no_file(given, path):
        raise Invalid.of(f"--{flag}", problem, f"name a file: --{flag} board.html")
    return path


def _why_no_file(given: str, path: FilePath) -> str:
    """Return why the file could not be written; "" if it could."""
    if not given.strip() or given == "-":
        return "is empty" if not given.strip() else "stdout has the board itself already"
    try:
        if path.is_dir():
            return f"{given} is a folder"
        return "" if path.parent.is_dir() else f"there is no folder {path.parent}"
    except OSError as error:  # a name that is too long for the file system
        return f"no file can be called '{given[:40]}…': {error.strerror}"


def number(flag: str, given: str, most: int = 999_999_999) -> int:
    """Return the number that a flag gives.

    Raises:
        Invalid: it is not a number from 1 to `most`.

    """
    from deploytasks.errors import Invalid

    if not (given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS and 1 <= int(given) <= most):
        what = f"'{given[:40]}' is not a number from 1 to {most:,}" if given else "is missing"
        raise Invalid.of(f"--{flag}", what, f"for example --{flag} {min(20, most)}")
    return int(given)


def shard(given: str | None) -> "Shard | None":
    """Return the shard that `3/8` names; None if the flag is not given.

    Raises:
        Invalid: it names no shard.

    """
    from deploytasks.errors import Invalid
    from deploytasks.model import Shard

    if given is None:
        return None
    named = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", given, re.ASCII)
    if named is None or not 1 <= int(named[1]) <= int(named[2]):
        what = f"'{given[:40]}' is not a shard: the third of eight is 3/8"
        raise Invalid.of("--shard", what, "take those that release.matrix prints")
    return Shard(int(named[1]), int(named[2]))


def one_of(flag: str, given: str, known: Sequence[str]) -> str:
    """Return the flag's value.

    Raises:
        Invalid: it is not one of the known words.

    """
    from deploytasks.errors import Invalid

    if given not in known:
        raise Invalid.of(f"--{flag}", f"'{given[:40]}' is not known", f"known: {', '.join(known)}")
    return given


def excludes(flag: str, given: Any, other: str, also: Any) -> None:
    """Raise Invalid if both flags are given."""
    from deploytasks.errors import Invalid

    if given and also:
        raise Invalid.of(f"--{flag}", f"can't be combined with --{other}", "leave out one of them")


def goes_with(flag: str, given: str | None, is_there: object, other: str) -> None:
    """Raise Invalid if the flag is given but empty, or given without the other one that it needs."""
    from deploytasks.errors import Invalid

    if text(flag, given) is not None and not is_there:
        raise Invalid.of(f"--{flag}", f"needs {other}", f"leave it out, or add {other}")


def text(flag: str, given: str | None) -> str | None:
    """Return the flag's value; None if it is not given.

    Raises:
        Invalid: the flag is given but empty.

    """
    from deploytasks.errors import Invalid

    if given is not None and not given.strip():
        raise Invalid.of(f"--{flag}", "is empty", "give it a value, or leave it out")
    return given


def duration(flag: str, given: str) -> timedelta:
    """Parse a length of time: `10m`, `90s` or `1h30m`.

    Raises:
        Invalid: it is not a length of time.

    """
    from deploytasks.durations import is_length, seconds
    from deploytasks.errors import Invalid

    if not is_length(given):
        raise Invalid.of(
            f"--{flag}",
            f"'{given[:40]}' is not a length of time from 1s to ten years",
            f"in hours, minutes and seconds: --{flag} 5m, --{flag} 90s, --{flag} 1h30m",
        )
    return timedelta(seconds=seconds(given))


def moment(flag: str, given: str | None) -> datetime | None:
    """Return the time that a flag gives, in UTC unless it names an offset; None if the flag is not given.

    Raises:
        Invalid: it is not a valid time, or lies in the future.

    """
    from deploytasks.errors import Invalid
    from deploytasks.tags import time_told

    if given is None:
        return None
    at, to_do = time_told(given), f"for example --{flag} 2026-11-23T12:00Z"
    if at is None:
        raise Invalid.of(f"--{flag}", f"'{given[:40]}' is not a valid time", to_do)
    if at > datetime.now(UTC):
        raise Invalid.of(f"--{flag}", f"'{given[:40]}' lies in the future", to_do)
    return at


def job(given: Mapping[str, Any]) -> str:
    """Return the job that `--job` names, "" if it is not given.

    Raises:
        Invalid: it is given and empty, or `--service` is given too.

    """
    from deploytasks.errors import Invalid

    named = text("job", given["job"]) or ""
    if named and given["service"] is not None:
        raise Invalid.of("--job", "it goes with no --service: a job is none", "name one of the two")
    return named


def words_after_dashes(context: Context, tier: str, *, optional: bool = False) -> tuple[str, ...]:
    """Return the command after `--`, word for word as the shell passed it: Invoke's remainder joins them with blanks.

    If the process was started with other words than Invoke parsed, split the remainder as a shell would.

    Raises:
        Invalid: there is no command, and it is not optional.

    """
    from deploytasks.errors import Invalid

    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if " ".join(words) != context.remainder:
        try:
            words = shlex.split(context.remainder)
        except ValueError as error:
            raise Invalid.of("deploy.run", f"no words can be made of it: {error}", "fix its quotes") from error
    if not words and optional:
        return ()
    if not words or not words[0].strip():
        example = f"inv deploy.run {tier} --tenant T --service S -- ./manage migrate"
        raise Invalid.of("deploy.run", "there is no command to run", f"give it after two dashes: {example}")
    return tuple(words)


def wait_s(lock_wait: str | None) -> float:
    """Return the seconds that `--lock-wait` gives; 0 if it is not given.

    Raises:
        Invalid: it is not a length of time.

    """
    return duration("lock-wait", lock_wait).total_seconds() if lock_wait is not None else 0.0


def is_dry(context: Context, dry_run: bool) -> bool:
    """Return whether this is a dry run: `--dry-run`, or Invoke's own `--dry`."""
    return dry_run or bool(context.config.run.dry)


def options(context: Context, given: Mapping[str, Any]) -> "Options":
    """Return what the other flags say; Invoke's own `--dry` means `--dry-run`.

    Raises:
        Invalid: a flag is there and empty, or says what it can't.

    """
    from deploytasks.model import Options

    for flag in ("commit", "to", "override", "run"):
        text(flag, given.get(flag))
    read: dict[str, Any] = {"at": moment("at", given.get("at")), "shard": shard(given.get("shard"))}
    read |= {"dry_run": is_dry(context, bool(given.get("dry_run"))), "lock_wait_s": wait_s(given.get("lock_wait"))}
    plain = {name: value for name, value in given.items() if name in Options.__struct_fields__}
    return Options(**{**plain, **read})
