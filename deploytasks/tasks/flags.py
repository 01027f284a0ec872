"""The flags that several tasks share: their help texts, and how their values are parsed and checked."""

import re
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from invoke.context import Context

if TYPE_CHECKING:
    from deploytasks.model import Options, Scope, Shard


_MOST_DIGITS = 9

HELP = {
    "tenant": "only these tenants: mb,acme",
    "service": "only these services: api,worker",
    "exclude": "all tenants but these: mb,acme",
    "tier": "only these tiers: dev,prod",
    "commit": "the git revision to take",
    "at": "what ran then: 2026-11-23T12:00Z, in UTC unless it says another offset",
    "to": "a release tag or commit instead of what the tier tag names",
    "override": "pass the gate, with a reason that is recorded",
    "allow-dirty": "take uncommitted config, and in the first tier the uncommitted tree, under a tag of its own",
    "allow-older": "let images or config go back to an older, or a diverged, commit",
    "force": "roll out anew what runs already",
    "wait": "follow the rollouts to their end",
    "restore": "put a target whose rollout fails back on what it ran before",
    "abort": "stop where it stands, instead of going back to what ran before",
    "lock-wait": "wait so long for a lock that somebody else holds: 15m, 90s",
    "only-behind": "only targets that do not run the image yet",
    "only-failed": "only targets whose last rollout failed or was rolled back; with --only-behind those too",
    "dry-run": "show the plan and change nothing",
    "json": "JSON only, on stdout",
    "across": "compare with this tenant, or environment, instead of with the templates",
    "since": "how far to look back: 30s, 10m, 2h",
    "follow": "go on until Ctrl-C",
    "check": "exit 3 if any target deserves a second look",
    "last": "so many releases, 20 unless told",
    "shards": "so many parts, each for a job of its own: 8",
    "shard": "only this part of the tier, in the CI run whose release.matrix locked it: 3/8",
    "format": "github: a matrix for fromJSON; gitlab: a child pipeline",
    "include": "a file of the repository with the `default:` of GitLab's jobs: .gitlab/shard.yml",
    "run": "the CI run, where CI does not name it itself; the same for the matrix and all shards",
    "html": "write the board to this file too, as one page",
}

TIER = {"tier": "the tier, as envs/project.toml names it"}
"""The help of the positional argument `tier`."""


def helped(*names: str) -> dict[str, str]:
    """Return the help texts of these flags."""
    return {name: HELP[name] for name in names}


def scope(tier: str, tenant: str | None = None, service: str | None = None, exclude: str | None = None) -> "Scope":
    """Return the scope that the flags select.

    Raises:
        Invalid: a flag is given but empty, so that `--tenant $UNSET` never selects all tenants.

    """
    from deploytasks.config.select import names
    from deploytasks.model import Scope

    return Scope(tier, names("tenant", tenant), names("service", service), names("exclude", exclude))


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
            f"in hours, minutes and seconds: --{flag} 24h, --{flag} 10m, --{flag} 1h30m",
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


def words_after_dashes(context: Context, tier: str) -> tuple[str, ...]:
    """Return the command after `--`, word for word as the shell passed it: Invoke's remainder joins them with blanks.

    If the process was started with other words than Invoke parsed, split the remainder as a shell would.

    Raises:
        Invalid: there is no command.

    """
    from deploytasks.errors import Invalid

    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if " ".join(words) != context.remainder:
        try:
            words = shlex.split(context.remainder)
        except ValueError as error:
            raise Invalid.of("deploy.run", f"no words can be made of it: {error}", "mend its quotes") from error
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


def options(context: Context, **given: Any) -> "Options":
    """Return the options that the other flags give; Invoke's own `--dry` means `--dry-run`.

    Raises:
        Invalid: a flag is given but empty, or `lock_wait` is not a length of time.

    """
    from deploytasks.model import Options

    for flag in ("commit", "to", "override", "run"):
        text(flag, given.get(flag))
    dry_run, lock_wait = given.pop("dry_run", False), given.pop("lock_wait", None)
    return Options(**given, dry_run=is_dry(context, dry_run), lock_wait_s=wait_s(lock_wait))
