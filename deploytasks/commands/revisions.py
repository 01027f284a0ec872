"""A target's registered revisions, newest first."""

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
    """Yield the target's revisions except the ARNs that are `known`, read `at_once` in parallel as they are consumed.

    Raises:
        AwsError: AWS refused or was out of reach.

    """
    client = clients.of("ecs", target.access)
    others = (arn for arn in ecs.revision_arns(client, target, status=status) if arn not in known)
    while batch := tuple(islice(others, at_once)):
        yield from each(lambda arn: ecs.revision(client, target, arn), batch)


class Trail:
    """The revisions of one target; `read` holds those read so far, newest first, without the running one.

    `error` says why no more could be read; it is None as long as nothing failed.
    """

    def __init__(self, clients: Clients, live: Live) -> None:
        self.live = live
        self.read: list[Revision] = []
        self.error: AwsError | None = None
        self._clients = clients
        self._arns: Iterator[str] | None = None

    @property
    def running(self) -> Revision | None:
        """The revision that the service runs, if it is known without another call."""
        live = self.live
        if live.primary is None or live.definition is None:
            return None
        return Revision(live.primary.revision, live.revision_tags, live.definition.get("registeredAt"), live.definition)

    def more(self, most: int) -> list[Revision]:
        """Read up to `most` more, in parallel; fewer if there are no more, none if AWS fails."""
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
        """Return whether there are unread revisions."""
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
