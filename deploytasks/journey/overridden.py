"""Which releases were let past the gate, and why; and which tiers are on hold. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploytasks.aws import overrides
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet import each
from deploytasks.journey.errand import registry_ssm
from deploytasks.model import LockState, Override, Project


@dataclass(frozen=True, slots=True)
class Overridden:
    """The overrides of some tiers, and the holds on them; `notes` say which could not be read."""

    overrides: tuple[Override, ...] = ()
    holds: tuple[LockState, ...] = ()
    notes: tuple[str, ...] = ()


def overridden(project: Project, clients: Clients, tiers: Sequence[str]) -> Overridden:
    """Why releases of the tiers were let past their gates; who may not read it sees the rest all the same.

    The registry's credentials are known to be those of the file's account.
    """

    def look(tier: str) -> tuple[tuple[Override, ...], LockState | None] | Complaint:
        try:
            return overrides.listed(registry_ssm(project, clients), project.name, tier)
        except AwsError as error:
            return error.complaints[0]

    answers = each(look, tiers)
    unread = dict.fromkeys(answer for answer in answers if isinstance(answer, Complaint))
    read = [answer for answer in answers if not isinstance(answer, Complaint)]
    return Overridden(
        tuple(one for found, _ in read for one in found),
        tuple(hold for _, hold in read if hold),
        tuple(f"why the gate was passed, and holds, may be missing: {why}" for why in unread),
    )
