"""What a user asks for, and who the user is."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.model.project import Target


class Scope(Struct, frozen=True):
    """The targets of a tier that a command works on; empty `tenants` or `services` mean all of them.

    `images` are those that a command without targets builds or tags.
    """

    tier: str
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the names by the flag that gives them."""
        return {"tenant": self.tenants, "service": self.services, "exclude": self.exclude, "image": self.images}

    def narrowed(self, tenants: tuple[str, ...]) -> "Scope":
        """Return the scope of these tenants alone; the same one if there are none."""
        return replace(self, tenants=tenants, exclude=()) if tenants else self


class Shard(Struct, frozen=True):
    """One part of a tier's environments, for one of several runners; `number` is 1 to `of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Options(Struct, frozen=True):
    """The flags of a command; each field is the flag of that name.

    `lock_wait_s` is how long to wait for a lock held by another command, in seconds. With both `only_behind` and
    `only_failed`, a target is selected if either is true.
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


class Author(Struct, frozen=True):
    """Who runs a command: `by` is a person or CI's actor, `ci` its run's URL or "", `run` is shared by its jobs."""

    by: str
    ci: str = ""
    run: str = ""


class Unfinished(Struct, frozen=True, array_like=True):
    """A rollback that did not finish: to a `release` or commit, or to what ran `at` a time in UTC.

    Empty `tenants` or `services` mean all of them.
    """

    release: str
    at: str = ""
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def concerns(self, target: Target) -> bool:
        """Return whether the rollback includes the target."""
        is_tenants = not self.tenants or target.environment.tenant in self.tenants
        return is_tenants and (not self.services or target.name in self.services)


class LockState(Struct, frozen=True):
    """Who holds a tier's lock: `since` in UTC; `machine` and `pid` identify a dead holder on the same host.

    For a hold: who rolled back, to which `release`, or to what ran `at` a time in UTC; which `tenants`, if
    not all of them; which rollbacks are `unfinished`, newest first.
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
    tenants: tuple[str, ...] = ()
    at: str = ""
    unfinished: tuple[Unfinished, ...] = ()
    took_over: str = ""
    """The token of the dead holder whose lock this one took over."""


class TierLock(Struct, frozen=True):
    """A tier's lock and hold, None for what there is not.

    `alive_at` is when the process that holds the lock last gave a sign of life, by AWS's clock; None if unknown.
    """

    tier: str
    lock: LockState | None = None
    hold: LockState | None = None
    alive_at: datetime | None = None


class Override(Struct, frozen=True):
    """Why a release was allowed past the gate: by whom, `at` which time in UTC, for which `commit`."""

    tier: str
    release: str
    by: str
    at: str
    reason: str
    commit: str = ""
    ci: str = ""
