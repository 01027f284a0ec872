"""Everything that a plan needs to know of the world, collected in one place and all accounts at once."""

from collections.abc import Iterable

from deploytasks.aws import ecs
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet import each
from deploytasks.model import Access, Live, Reading, Target


def observe(
    clients: Clients, targets: Iterable[Target], images: dict[str, str], *, reading: Reading
) -> tuple[Live, ...]:
    """Each target as it is, in the order given. What cannot be seen says why, and hides nothing of the others.

    Credentials are looked at first: a target is never read, let alone written, in another account than its file's.
    """
    listed = tuple(targets)
    groups: dict[Access, list[Target]] = {}
    for target in listed:
        groups.setdefault(target.access, []).append(target)
    answers = each(lambda group: _account(clients, *group, images, reading=reading), groups.items())
    by_target = {live.target: live for answer in answers for live in answer}
    return tuple(by_target[target] for target in listed)


def _account(
    clients: Clients, access: Access, targets: list[Target], images: dict[str, str], *, reading: Reading
) -> tuple[Live, ...]:
    try:
        actual = clients.account(access)
        if actual != access.account:
            return tuple(Live(target, complaint=_wrong_account(target, actual)) for target in targets)
        return ecs.observe(clients.of("ecs", access), targets, images, reading=reading)
    except AwsError as error:
        return tuple(Live(target, complaint=error.complaints[0]) for target in targets)


def _wrong_account(target: Target, actual: str) -> Complaint:
    origin = target.origins.get("account")
    wanted = target.access.account
    what = f"the credentials belong to account {actual}, the file says {wanted}"
    return Complaint(str(origin or target), what, "mend `role` or `profile` there, or sign in to the right account")
