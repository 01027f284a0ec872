"""Which releases were let past the gate, and why, for whoever shows releases. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploytasks.aws import overrides
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet import each
from deploytasks.journey.errand import registry_ssm
from deploytasks.model import Override, Project


@dataclass(frozen=True, slots=True)
class Overridden:
    """The overrides of some tiers; `notes` say which could not be read."""

    overrides: tuple[Override, ...] = ()
    notes: tuple[str, ...] = ()


def overridden(project: Project, clients: Clients, tiers: Sequence[str]) -> Overridden:
    """Why releases of the tiers were let past their gates; who may not read it sees the rest all the same.

    The registry's credentials are known to be those of the file's account.
    """

    def look(tier: str) -> tuple[Override, ...] | Complaint:
        try:
            return overrides.listed(registry_ssm(project, clients), project.name, tier)
        except AwsError as error:
            return error.complaints[0]

    gated = [tier for tier in tiers if project.tier(tier).after]
    answers = each(look, gated)
    unread = dict.fromkeys(answer for answer in answers if isinstance(answer, Complaint))
    found = tuple(one for answer in answers if not isinstance(answer, Complaint) for one in answer)
    return Overridden(found, tuple(f"why the gate was passed may be missing: {why}" for why in unread))
