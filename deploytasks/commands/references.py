"""Look up what the changed definitions name before the first write: secrets, parameters and roles.

Each name is looked up once per account and region, all in parallel. What may not or cannot be read refuses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import concurrency
from deploytasks.aws import iam, secrets
from deploytasks.aws.errors import may_pass, reason
from deploytasks.commands import rollouts, schedules
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Note
from deploytasks.errors import AwsError, Complaint, Invalid, listed
from deploytasks.model import Access, DesiredImage, Live, Target, desired_by
from deploytasks.template.references import Kind, Reference, references
from deploytasks.template.render import Renderer

_SERVICES: Mapping[Kind, str] = {"secret": "secretsmanager", "parameter": "ssm", "role": "iam"}
_TO_DO = {
    secrets.DELETED: "restore it (aws secretsmanager restore-secret), or name another: {place}",
    secrets.UNTRUSTING: "let its trust policy allow that service sts:AssumeRole, or name another: {place}",
    iam.UNSCHEDULING: "let its trust policy allow that service sts:AssumeRole, or no schedule starts: {place}",
}


class Named(Struct, frozen=True):
    """One name, with the account and region to look in, and the targets that name it."""

    reference: Reference
    access: Access
    targets: list[Target] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether its ARN names another account than the target's."""
        return self.reference.account not in ("", self.access.account)


class Seen(Struct, frozen=True):
    """A name with what is wrong, "" for nothing, or why it could not be looked up."""

    named: Named
    fault: str = ""
    unread: AwsError | None = None


def missing(
    context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]
) -> Iterator[Complaint | Note]:
    """Yield complaints about names that tasks could not use, and notes on names that could not be looked up.

    Only targets whose definition would change are checked. Targets with a wrong template are left to other checks.
    """
    found = _found(context, lives, desired_images)
    seen = _asked(context, [one for one in found if not one.is_foreign])
    yield from (_complaint(context.renderer, one.named, one.fault) for one in seen if one.fault)
    yield from _unread(seen)
    yield from _foreign(context.renderer, [one for one in found if one.is_foreign])


def _found(context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]) -> list[Named]:
    """Return every name, once per account and region."""
    listed = tuple(desired_images)
    known = {desired.name for desired in listed}
    found: dict[tuple[str, ...], Named] = {}
    for live in lives:
        desired = desired_by(live.target, listed) if known >= live.target.images.keys() else None
        for one in _references(context, live, desired):
            access = replace(live.target.access, region=one.region or live.target.access.region)
            region = "" if one.kind == "role" else access.region
            key = (one.kind, access.account, region, one.account or access.account, one.name, one.principal)
            found.setdefault(key, Named(one, access)).targets.append(live.target)
    return list(found.values())


def _references(context: Context, live: Live, desired: DesiredImage | None) -> Iterable[Reference]:
    """Return the names of one target; of one that could not be read, only if AWS itself has answered."""
    if desired is None or (live.complaint and not live.error_code):
        return ()
    try:
        changes = rollouts.changes(context, live, desired)
        definition = rollouts.render(context, live.target, desired)[0]
        wanted = rollouts.schedule(context, live, desired, definition)
        return [*references(definition), *schedules.roles(wanted, live)] if changes else ()
    except Invalid:
        return ()


def _asked(context: Context, found: Iterable[Named]) -> list[Seen]:
    """Return what is known of each; once a service can't be reached in a region, it is not asked for the rest."""
    unreachable: dict[tuple[Kind, str], AwsError] = {}
    ask = partial(_ask, context, unreachable)
    return [one for answer in concurrency.each(ask, _batches(found)) for one in answer]


def _batches(found: Iterable[Named]) -> Iterator[list[Named]]:
    """Yield what is asked in one call: one secret, one role, or several parameters of one account and region."""
    parameters: dict[Access, list[Named]] = {}
    for one in found:
        if one.reference.kind == "parameter":
            parameters.setdefault(one.access, []).append(one)
        else:
            yield [one]
    size = secrets.PARAMETERS_A_CALL
    for members in parameters.values():
        yield from (members[at : at + size] for at in range(0, len(members), size))


def _ask(context: Context, unreachable: dict[tuple[Kind, str], AwsError], batch: Sequence[Named]) -> list[Seen]:
    """Return what is known of the batch; if AWS refuses it, ask name by name, since one bad name hides the others."""
    place = (batch[0].reference.kind, batch[0].access.region)
    if error := unreachable.get(place):
        return [Seen(one, unread=error) for one in batch]
    try:
        return _looked_up(context, batch)
    except AwsError as error:
        if may_pass(error) and not error.error_code:
            unreachable[place] = error
        elif len(batch) > 1 and not may_pass(error):
            return [seen for one in batch for seen in _ask(context, unreachable, [one])]
        return [Seen(one, unread=error) for one in batch]


def _looked_up(context: Context, batch: Sequence[Named]) -> list[Seen]:
    one = batch[0]
    client = context.clients.of(_SERVICES[one.reference.kind], one.access)
    match one.reference.kind:
        case "secret":
            return [Seen(one, secrets.secret_fault(client, one.reference.name))]
        case "role":
            return [Seen(one, iam.role_fault(client, one.reference.name, one.reference.principal or secrets.ECS_TASKS))]
        case "parameter":
            gone = secrets.missing_parameters(client, [each.reference.name for each in batch])
            return [Seen(each, secrets.MISSING if each.reference.name in gone else "") for each in batch]


def _complaint(renderer: Renderer, named: Named, fault: str) -> Complaint:
    reference, target = named.reference, named.targets[0]
    asked_for = {key for key, value in target.secrets.items() if value == reference.text}
    keys = [*(f"secrets.{key}" for key in asked_for), reference.key]
    origins = [str(target.origins[key]) for key in keys if key in target.origins]
    kind = ".schedule" if reference.principal else ""
    place = next(iter(origins), f"{reference.key} in templates/{target.name}{kind}.json.j2")
    where = f" in account {named.access.account}" + f", {named.access.region}" * (reference.kind != "role")
    what = f"the {reference.kind} {renderer.veiled(reference.shown)} {fault}{where * (not reference.account)}"
    return Complaint(
        listed(_targets(named)), what, _TO_DO.get(fault, "create it, or correct {place}").format(place=place)
    )


def _foreign(renderer: Renderer, found: Sequence[Named]) -> Iterator[Note]:
    """Yield a note per kind on what other accounts own: the target's credentials may not see it there."""
    for kind in dict.fromkeys(one.reference.kind for one in found):
        those = [one for one in found if one.reference.kind == kind]
        names = list(dict.fromkeys(renderer.veiled(one.reference.shown) for one in those))
        targets = list(dict.fromkeys(target for one in those for target in _targets(one)))
        what = f"{len(names)} {kind}{'s' * (len(names) > 1)} of other accounts: {listed(names)}"
        yield Note(f"not checked: {what} (named by {listed(targets)})")


def _targets(named: Named) -> list[str]:
    return list(dict.fromkeys(str(target) for target in named.targets))


def _unread(seen: Iterable[Seen]) -> Iterator[Note]:
    """Yield a note per kind on how many could not be looked up, where, and why."""
    by_kind: dict[Kind, list[tuple[str, AwsError]]] = {}
    for one in seen:
        if one.unread:
            by_kind.setdefault(one.named.reference.kind, []).append((one.named.access.account, one.unread))
    for kind, errors in by_kind.items():
        accounts = list(dict.fromkeys(account for account, _ in errors))
        reasons = list(dict.fromkeys(reason(error) for _, error in errors))
        where = f"account{'s' * (len(accounts) > 1)} {listed(accounts)}"
        yield Note(f"not checked: {len(errors)} {kind}{'s' * (len(errors) > 1)} of {where} ({listed(reasons, 2)})")
