"""Releases that were let past the gate, and why; holds and locks of tiers. Changes nothing."""

from collections.abc import Sequence

from msgspec import Struct

from deploytasks.aws import parameters
from deploytasks.aws.session import Clients
from deploytasks.commands.context import registry_ssm
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import LockState, Override, Project


class Overridden(Struct, frozen=True):
    """The overrides, holds and locks of some tiers; `notes` say which could not be read."""

    overrides: tuple[Override, ...] = ()
    holds: tuple[LockState, ...] = ()
    locks: tuple[LockState, ...] = ()
    notes: tuple[str, ...] = ()


def overridden(project: Project, clients: Clients, tiers: Sequence[str]) -> Overridden:
    """Return why releases of the tiers were let past their gates; what may not be read becomes a note.

    The caller has checked that the registry's credentials belong to the account in the file.
    """

    def look(tier: str) -> parameters.Records | Complaint:
        try:
            return parameters.records(registry_ssm(project, clients), project.name, tier)
        except AwsError as error:
            return error.complaints[0]

    answers = each(look, tiers)
    unread = dict.fromkeys(answer for answer in answers if isinstance(answer, Complaint))
    read = [answer for answer in answers if not isinstance(answer, Complaint)]
    return Overridden(
        tuple(one for found in read for one in found.overrides),
        tuple(found.hold for found in read if found.hold),
        tuple(found.lock for found in read if found.lock),
        tuple(f"why the gate was passed, holds and locks may be missing: {why}" for why in unread),
    )
