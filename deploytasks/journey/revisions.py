"""A target's registered revisions, from the newest back, for whoever looks for one of them."""

from collections.abc import Collection, Iterator
from itertools import islice

from deploytasks.aws import revisions
from deploytasks.aws.session import Clients
from deploytasks.fleet import each
from deploytasks.model import Revision, Target


def newest_first(
    clients: Clients, target: Target, *, at_once: int, known: Collection[str] = (), status: str = "ACTIVE"
) -> Iterator[Revision]:
    """The target's revisions without the ARNs that are `known`, read `at_once` in parallel as far as they are taken.

    Raises:
        AwsError: AWS said no.

    """
    client = clients.of("ecs", target.access)
    others = (arn for arn in revisions.arns(client, target, status=status) if arn not in known)
    while batch := tuple(islice(others, at_once)):
        yield from each(lambda arn: revisions.described(client, target, arn), batch)
