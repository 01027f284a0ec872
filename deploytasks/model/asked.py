"""What a person asks for, and who that person is."""

from dataclasses import dataclass
from datetime import datetime

from deploytasks.model.project import Target


@dataclass(frozen=True, slots=True)
class Scope:
    """Which targets of a tier a command is about; empty `tenants` or `services` mean all of them."""

    tier: str
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a tier's environments, which one of many runners takes; `number` is 1 to `of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who types a command adds to it; each field is the flag of that name.

    `lock_wait_s` is how long to wait for a lock that somebody else holds, in seconds. With both `only_behind` and
    `only_failed`, targets are taken of which either is true.
    """

    commit: str | None = None
    to: str | None = None
    at: datetime | None = None
    override: str | None = None
    allow_dirty: bool = False
    allow_older: bool = False
    force: bool = False
    wait: bool = True
    restore: bool = True
    dry_run: bool = False
    lock_wait_s: float = 0.0
    only_behind: bool = False
    only_failed: bool = False
    shards: int | None = None
    shard: Shard | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: `by` a person or CI's actor, `ci` the run's address or "", `run` what is the same for all its jobs."""

    by: str
    ci: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A rollback that was not seen to its end: to a `release` or commit, or to what ran `at` a time in UTC.

    Empty `tenants` or `services` mean all of them.
    """

    release: str
    at: str = ""
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def concerns(self, target: Target) -> bool:
        """Return whether the target is one of those to be taken back."""
        is_tenants = not self.tenants or target.environment.tenant in self.tenants
        return is_tenants and (not self.services or target.service in self.services)


@dataclass(frozen=True, slots=True)
class LockState:
    """Who holds a tier's lock: `since` in UTC; `machine` and `pid` tell a dead holder on the same host.

    Of a hold: who rolled back, to which `release`, or to what ran `at` a time in UTC, and which `tenants`,
    comma-separated, where not all of them; which rollbacks are `unfinished`, newest first.
    """

    tier: str
    by: str
    since: str
    command: str
    commit: str = ""
    reason: str = ""
    ci: str = ""
    run: str = ""
    machine: str = ""
    pid: int = 0
    token: str = ""
    release: str = ""
    tenants: str = ""
    at: str = ""
    unfinished: tuple[Unfinished, ...] = ()
    took_over: str = ""
    """The token of the dead holder from which this one took the lock over."""


@dataclass(frozen=True, slots=True)
class Override:
    """Why a release was let past the gate: who said so `at` a time in UTC, for which `commit`."""

    tier: str
    release: str
    by: str
    at: str
    reason: str
    commit: str = ""
    ci: str = ""
