"""A target's registered revisions, from the newest back, for whoever looks for one of them."""

from collections.abc import Collection, Iterator
from itertools import chain, islice

from deploytasks.aws import ecs
from deploytasks.aws.session import Clients
from deploytasks.concurrency import each
from deploytasks.errors import AwsError
from deploytasks.model import Live, Revision, Target


def newest_first(
    clients: Clients, target: Target, *, at_once: int, known: Collection[str] = (), status: str = "ACTIVE"
) -> Iterator[Revision]:
    """The target's revisions without the ARNs that are `known`, read `at_once` in parallel as far as they are taken.

    Raises:
        AwsError: AWS said no.

    """
    client = clients.of("ecs", target.access)
    others = (arn for arn in ecs.revision_arns(client, target, status=status) if arn not in known)
    while batch := tuple(islice(others, at_once)):
        yield from each(lambda arn: ecs.revision(client, target, arn), batch)


class Trail:
    """The revisions of one target; `read` holds those read so far, newest first, without the one that runs.

    `error` says why no more could be read; it is empty as long as nothing failed.
    """

    def __init__(self, clients: Clients, live: Live) -> None:
        self.live = live
        self.read: list[Revision] = []
        self.error: AwsError | None = None
        self._clients = clients
        self._arns: Iterator[str] | None = None

    @property
    def running(self) -> Revision | None:
        """The revision that the service runs, as far as it is known without another call."""
        live = self.live
        if live.primary is None or live.definition is None:
            return None
        return Revision(live.primary.revision, live.revision_tags, live.definition.get("registeredAt"), live.definition)

    def more(self, most: int) -> list[Revision]:
        """Read so many more, in parallel; fewer where there are no more, or where AWS says no."""
        client, target = self._clients.of("ecs", self.live.target.access), self.live.target
        try:
            arns = list(islice(self._rest(), most))
            found = each(lambda arn: ecs.revision(client, target, arn), arns)
        except AwsError as error:
            self.error = error
            return []
        self.read += found
        return found

    def has_more(self) -> bool:
        """Return whether there are revisions that nobody has read."""
        if self.error or (arn := next(self._rest(), None)) is None:
            return False
        self._arns = chain([arn], self._rest())
        return True

    def _rest(self) -> Iterator[str]:
        if self._arns is None:
            client = self._clients.of("ecs", self.live.target.access)
            runs = self.running.arn if self.running else ""
            self._arns = (arn for arn in ecs.revision_arns(client, self.live.target) if arn != runs)
        return self._arns
