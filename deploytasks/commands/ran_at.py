"""Find the revision that a target ran with a release, at a time, or with an image.

ECS is asked first if it can tell: it keeps 90 days of service deployments. Otherwise use the records on our own
revisions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, takewhile
from typing import Any

from msgspec import Struct, field

from deploytasks import tags
from deploytasks.aws import ecs, service_deployments
from deploytasks.aws.errors import is_denied, may_pass
from deploytasks.commands.context import Context
from deploytasks.commands.revisions import newest_first
from deploytasks.errors import AwsError
from deploytasks.model import Revision, Target
from deploytasks.rules import releases as rules_releases
from deploytasks.rules.observed import begun_at, has_begun

ECS_SAYS = "ECS says that it ran then"
RECORDED = "the newest that had begun by then"
UNTOLD = "nothing tells which revision ran then"
_REVISIONS = 200
"""The most revisions, or service deployments, of a target that are searched."""
_FIRST = datetime.min.replace(tzinfo=UTC)


class Then(Struct, frozen=True):
    """What a target ran then: the revision, None if unknown; `how` tells, for the plan, how that is known.

    `digests` are what ECS resolved its containers' images to. A release that `never_began` on the target had
    revisions registered, and nothing more.
    """

    revision: Revision | None = None
    how: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    never_began: bool = False


def with_releases(context: Context, target: Target, releases: Sequence[str]) -> Then:
    """Return the best revision that records one of an image's releases, given oldest first."""
    listed = _revisions_of(context, releases, target, "ACTIVE") or _revisions_of(context, releases, target, "INACTIVE")
    begun = [one for one in listed if has_begun(one.record)]
    return Then(rules_releases.best(begun), never_began=bool(listed) and not begun)


def never_ran(context: Context, target: Target) -> bool:
    """Return whether no revision of the target has begun; False if AWS does not tell."""
    listed = (newest_first(context.clients, target, at_once=8, status=status) for status in ("ACTIVE", "INACTIVE"))
    try:
        return not any(has_begun(one.record) for one in islice(chain.from_iterable(listed), _REVISIONS))
    except AwsError:
        return False


def at_time(context: Context, target: Target, at: datetime) -> Then:
    """Return what the target ran at that time."""
    client = context.clients.of("ecs", target.access)
    told = _told(client, target, lambda: service_deployments.before(client, target, at))
    return told or _recorded(context, target, lambda one: _began(one) <= at)


def with_image(
    context: Context, target: Target, runs: Callable[[str], bool], since: datetime | None = None
) -> Then | None:
    """Return what the target ran last, or first since a time, with an image whose digests `runs` accepts.

    None if ECS does not tell.
    """
    client = context.clients.of("ecs", target.access)

    def listed() -> Iterator[service_deployments.Ran]:
        now = datetime.now(UTC)
        all_ = (
            service_deployments.since(client, target, since)
            if since
            else service_deployments.before(client, target, now)
        )
        return (ran for ran in all_ if any(map(runs, ran.digests.values())))

    return _told(client, target, listed)


def up_to(context: Context, target: Target, release: str) -> Then:
    """Return the newest revision that the target began to run before a release after this one."""
    tier = context.tier.name
    return _recorded(context, target, lambda one: tags.is_release(_release(one), tier) and _release(one) <= release)


def _release(revision: Revision) -> str:
    return revision.record.get("release", "")


def _began(revision: Revision) -> datetime:
    """Return when its rollout began; a tag records only whole seconds."""
    return max(begun_at(revision.record, revision.registered_at) or _FIRST, revision.registered_at or _FIRST)


def _told(client: Any, target: Target, listed: Callable[[], Iterator[service_deployments.Ran]]) -> Then | None:
    """Return the first that did not fail; None of a job, and if the role or the region does not let ECS tell."""
    if target.job:
        return None
    try:
        return _first_good(client, target, islice(listed(), _REVISIONS))
    except AwsError as error:
        if may_pass(error):
            raise
        return None


def _first_good(client: Any, target: Target, listed: Iterable[service_deployments.Ran]) -> Then | None:
    failed: Then | None = None
    for ran in listed:
        try:
            revision = ecs.revision(client, target, ran.definition)
        except AwsError as error:
            if may_pass(error) or is_denied(error):
                raise
            return Then(how=f"{ran.definition.rpartition('/')[2]}, which ran then, was deleted")
        then = Then(revision, ECS_SAYS, ran.digests)
        if not revision.record.get("ended"):
            return then
        failed = failed or then
    return failed


def _recorded(context: Context, target: Target, is_meant: Callable[[Revision], bool]) -> Then:
    """Return the newest of our begun revisions that `is_meant` accepts, among active and deregistered ones."""
    usable = _newest(context, target, is_meant, "ACTIVE", _FIRST)
    newer = _newest(context, target, is_meant, "INACTIVE", _began(usable) if usable else _FIRST)
    found = rules_releases.best(filter(None, (newer, usable)))
    return Then(found, RECORDED) if found else Then(how=UNTOLD)


def _newest(
    context: Context, target: Target, is_meant: Callable[[Revision], bool], status: str, floor: datetime
) -> Revision | None:
    listed = islice(newest_first(context.clients, target, at_once=8, status=status), _REVISIONS)
    recent = takewhile(lambda one: not has_begun(one.record) or _began(one) > floor, listed)
    return rules_releases.best(
        one for one in recent if _is_ours(context, one) and has_begun(one.record) and is_meant(one)
    )


def _is_ours(context: Context, revision: Revision) -> bool:
    return revision.record.get("project") == context.project.name


def _revisions_of(context: Context, releases: Sequence[str], target: Target, status: str) -> list[Revision]:
    """Return the revisions that record one of the releases, newest first, up to the best one."""
    found: list[Revision] = []
    if not releases:
        return found
    revisions = islice(newest_first(context.clients, target, at_once=8, status=status), _REVISIONS)
    oldest = tags.certified_at(releases[0], context.tier.name)
    for one in takewhile(lambda each: _may_record(oldest, each), revisions):
        if _is_ours(context, one) and _release(one) in releases:
            found.append(one)
            if has_begun(one.record) and not one.record.get("ended"):
                break
    return found


def _may_record(oldest: datetime | None, revision: Revision) -> bool:
    """Return whether it is new enough for a release of that time, allowing for different clocks."""
    began = begun_at(revision.record, revision.registered_at)
    return oldest is None or began is None or began > oldest - timedelta(days=1)
