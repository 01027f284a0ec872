"""Unfinished rollbacks, as a hold names them: the next rollback continues them."""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from deploytasks.commands.context import Context
from deploytasks.commands.resume import command_line
from deploytasks.errors import Complaint, NotReady
from deploytasks.model import LockState, Scope, Target, Unfinished, tenants_of

_LONGEST_NAMES = 200
"""The most characters of a hold, which has 4,096 in all, that the tenants of one unfinished rollback may take."""
_MOST = 4


def of(context: Context, hold: LockState | None, lock: LockState | None) -> tuple[Unfinished, ...]:
    """Return the unfinished rollback that selected targets are part of, if there is one.

    A rollback that put the hold, and whose lock still existed when we began, may have died before it recorded its end.

    Raises:
        NotReady: there are several, to different points.

    """
    found = [each for each in (hold.unfinished if hold else ()) if any(map(each.concerns, context.targets))]
    if len({(each.release, each.at) for each in found}) > 1:
        tier = context.tier.name
        what = f"several rollbacks of {tier} were not finished: {', '.join(map(_described, found))}"
        raise NotReady(Complaint(tier, what, "\n".join(_command(tier, each) for each in found)))
    if hold and lock and hold.token == lock.token and not found:
        return (Unfinished(hold.release, hold.at),)
    return tuple(found[:1])


def begun(context: Context, hold: LockState | None, release: str, at: str) -> tuple[Unfinished, ...]:
    """Return what is unfinished once this rollback has begun: itself, and others as far as it doesn't cover them."""
    own = Unfinished(release, at, _names(context.targets) if context.scope.tenants or context.scope.exclude else ())
    own = replace(own, services=context.scope.services)
    others = left(context, hold.unfinished if hold else (), context.targets)
    return (own, *others)[:_MOST]


def left(context: Context, begun: Iterable[Unfinished], done: Collection[Target]) -> tuple[Unfinished, ...]:
    """Return what is unfinished once these targets have arrived."""
    whole_tier = context.project.of_tier(context.tier.name)
    missing = {each: [one for one in whole_tier if each.concerns(one) and one not in done] for each in begun}
    return tuple(replace(each, tenants=_names(rest)) for each, rest in missing.items() if rest)


def _names(targets: Iterable[Target]) -> tuple[str, ...]:
    """Return the targets' tenants; empty, which stands for all, if the names take too much room."""
    names = tenants_of(targets)
    return names if len(",".join(names)) <= _LONGEST_NAMES else ()


def _described(each: Unfinished) -> str:
    whose = f" ({', '.join(each.tenants)})" if each.tenants else ""
    return f"to {each.at or each.release}{whose}"


def _command(tier: str, each: Unfinished) -> str:
    point = {"at": each.at} if each.at else {"to": each.release}
    return command_line(f"release.rollback {tier}", Scope(tier, each.tenants, each.services), point)
