"""What a plan or the board needs to know of AWS, read in one place and in all accounts at once.

Four steps, each for all targets in parallel: the credentials' account; the services, what starts jobs, and the newest
revisions where another may be registered; the running definitions and the task lists; what the tasks run. What a step
can't read of a target becomes that target's complaint; the other targets go on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import call
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.aws import ecs, tasks
from deploytasks.aws.errors import is_denied
from deploytasks.aws.session import Clients
from deploytasks.commands import jobs
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, Complaint, Invalid, Unforeseen, contained
from deploytasks.model import Access, Live, Reading, Revision, Target
from deploytasks.rules import soak
from deploytasks.rules.observed import is_pinned, is_vague, our_containers, recorded_digest
from deploytasks.template.render import Renderer

Group = tuple[Access, str, list[Any]]
"""An account, a cluster, and what is asked of the cluster in one call."""
Look = Callable[[], Any]
NO_ROLLOUT = "a job has no rollout: each run takes the revision that its schedule names, else the newest"


class TaskList(Struct, frozen=True):
    """A target as observed so far, and the ARNs of its running tasks."""

    live: Live
    arns: tuple[str, ...] = ()


def observe(
    clients: Clients, targets: Iterable[Target], *, renderer: Renderer, reading: Reading, newest: bool = False
) -> tuple[Live, ...]:
    """Return each target as observed, in the order given. One that can't be read has a complaint.

    Credentials are checked first: a target is never read, let alone changed, in another account than its file's.
    `reading` says of which services to read the tasks. The `renderer` tells the names of jobs' schedules. `newest` also
    reads the newest revision of each family; if that is the running one, this costs no further call.
    """
    lives = _found(clients, renderer, tuple(targets), newest=newest)
    early = lives if reading == "all" else ()
    looks: list[Look] = [*(partial(_defined, clients, live) for live in lives), *_listings(clients, early)]
    answers = each(call, looks)
    lives, lists = tuple(answers[: len(lives)]), answers[len(lives) :]
    if reading in ("unpinned", "vague"):
        is_unknown = is_vague if reading == "vague" else lambda live: not is_pinned(live)
        unknown = (one for one in lives if is_unknown(one))
        lists = each(call, _listings(clients, unknown))
    lives = _with_digests(clients, lives, lists)
    return tuple(each(partial(_with_crashes, clients), lives)) if reading == "all" else lives


def no_service(target: Target) -> str:
    """Return what is wrong with a target whose service or job does not exist."""
    if target.job:
        return f"the job {target.name} was not deployed here yet"
    return f"there is no ECS service {target.ecs_service} in cluster {target.cluster}"


def _with_crashes(clients: Clients, live: Live) -> Live:
    """Return the target with how its tasks keep dying; its stopped tasks are read only if there is a sign of that."""
    primary = live.primary
    if live.complaint or not primary or not (live.restarted or live.running < live.desired):
        return live
    try:
        stopped = tasks.tasks_of(clients.of("ecs", live.target.access), live.target, "STOPPED")
    except AwsError:
        return live  # what runs is known nevertheless
    found = soak.crash_loop(stopped, primary, desired=live.desired, now=datetime.now(UTC))
    return replace(live, crashing=found)


def _found(clients: Clients, renderer: Renderer, targets: Sequence[Target], *, newest: bool) -> tuple[Live, ...]:
    """Return the targets by their services' descriptions, by what starts their jobs, and by their newest revisions."""
    wrong = dict(each(partial(_account, clients), dict.fromkeys(target.access for target in targets)))
    reached = [each for each in targets if not wrong[each.access]]
    groups = _grouped(((each.access, each.cluster, each) for each in reached if not each.job), 10)
    looks: list[Look] = [partial(_looked, clients, group) for group in groups]
    looks += (partial(_job, clients, renderer, each) for each in reached if each.job)
    families = reached if newest else []
    revisions: list[Look] = [partial(_newest, clients, each) for each in families]
    answers = each(call, looks + revisions)
    seen = {live.target: live for lives in answers[: len(looks)] for live in lives}
    found = zip(families, answers[len(looks) :], strict=True)
    seen |= {target: _with_newest(seen[target], revision) for target, revision in found}
    return tuple(seen.get(each) or _elsewhere(each, wrong[each.access]) for each in targets)


def _newest(clients: Clients, target: Target) -> Revision | AwsError | None:
    """Return the family's newest revision, or why it could not be read; None if there is none or the role may not."""
    try:
        with contained(str(target)):
            return ecs.newest(clients.of("ecs", target.access), target)
    except AwsError as error:
        return None if is_denied(error) else error


def _with_newest(live: Live, newest: Revision | AwsError | None) -> Live:
    if isinstance(newest, AwsError):
        return live if live.complaint else _unseen(live.target, newest)
    return replace(live, newest=newest)


def _job(clients: Clients, renderer: Renderer, target: Target) -> tuple[Live, ...]:
    try:
        with contained(str(target)):
            return (jobs.look(clients, renderer, target),)
    except AwsError as error:
        return (_unseen(target, error),)
    except Invalid as error:
        return (Live(target, complaint=error.complaints[0]),)


def _account(clients: Clients, access: Access) -> tuple[Access, AwsError | str]:
    """Return the account with what is wrong: an error, or the account number of the credentials; "" if nothing."""
    try:
        actual = clients.account(access)
        return access, "" if actual == access.account else actual
    except AwsError as error:
        return access, error


def _elsewhere(target: Target, wrong: AwsError | str) -> Live:
    if isinstance(wrong, AwsError):
        return _unseen(target, wrong)
    where = str(target.origins.get("account") or target)
    what = f"the credentials belong to account {wrong}, the file says {target.access.account}"
    return Live(
        target, complaint=Complaint(where, what, "fix `role` or `profile` there, or sign in to the right account")
    )


def _looked(clients: Clients, group: Group) -> tuple[Live, ...]:
    access, cluster, targets = group
    try:
        with contained(f"cluster {cluster}"):
            return ecs.look(clients.of("ecs", access), cluster, targets)
    except Unforeseen as error:  # it may be about one target only
        if len(targets) > 1:
            return tuple(live for each in targets for live in _looked(clients, (access, cluster, [each])))
        return (Live(targets[0], complaint=error.complaints[0]),)
    except AwsError as error:
        return tuple(_unseen(each, error) for each in targets)


def _unseen(target: Target, error: AwsError) -> Live:
    return Live(target, complaint=error.complaints[0], error_code=error.error_code)


def _defined(clients: Clients, live: Live) -> Live:
    try:
        with contained(str(live.target)):
            if live.complaint or live.definition or not live.primary:
                return live
            runs = _revision(clients, live, live.primary.revision)
            live = replace(live, definition=runs.definition, revision_tags=runs.record)
            return jobs.settled(live) if live.target.job else live
    except AwsError as error:
        return _unseen(live.target, error)


def _revision(clients: Clients, live: Live, arn: str) -> Revision:
    if live.newest and live.newest.arn == arn:
        return live.newest
    return ecs.revision(clients.of("ecs", live.target.access), live.target, arn)


def _listings(clients: Clients, lives: Iterable[Live]) -> list[Look]:
    return [partial(_listed, clients, live) for live in lives if live.primary and not live.target.job]


def _listed(clients: Clients, live: Live) -> TaskList:
    try:
        return TaskList(live, tuple(tasks.task_arns(clients.of("ecs", live.target.access), live.target)))
    except AwsError as error:
        return TaskList(_unseen(live.target, error))


def _with_digests(clients: Clients, lives: Sequence[Live], lists: Iterable[TaskList]) -> tuple[Live, ...]:
    """Return the targets with what their tasks run; tasks of one cluster are described together, across services."""
    by_target = {listed.live.target: listed for listed in lists}
    arns = ((one.live.target.access, one.live.target.cluster, arn) for one in by_target.values() for arn in one.arns)
    found = dict(pair for pairs in each(partial(_described, clients), _grouped(arns, 100)) for pair in pairs)
    return tuple(_digested(live, by_target.get(live.target), found) for live in lives)


def _digested(live: Live, listed: TaskList | None, found: dict[str, Any]) -> Live:
    try:
        with contained(str(live.target)):
            return _with_digest(live, listed, found)
    except AwsError as error:
        return _unseen(live.target, error)


def _described(clients: Clients, group: Group) -> list[tuple[str, Any]]:
    """Return the tasks by ARN; if they may not be described, the error for each."""
    access, cluster, arns = group
    try:
        with contained(f"cluster {cluster}"):
            return [(task["taskArn"], task) for task in tasks.described(clients.of("ecs", access), cluster, arns)]
    except AwsError as error:
        return [(arn, error) for arn in arns]


def _with_digest(live: Live, listed: TaskList | None, found: dict[str, Any]) -> Live:
    if listed is None or live.complaint:
        return live
    own = [found[arn] for arn in listed.arns if arn in found]
    if listed.live.complaint:
        return listed.live
    if error := next((task for task in own if isinstance(task, AwsError)), None):
        return _unseen(live.target, error)
    return replace(live, digests={image: _digests(live, own, image) for image in live.target.images})


def _digests(live: Live, own: Sequence[Any], image: str) -> tuple[str, ...]:
    names = [each["name"] for each in our_containers(live, image)]
    uri, tier = live.target.images[image], live.target.environment.tier
    if live.definition and not names:
        return ()  # the template names the image, but not for this environment
    return tasks.task_digests(own, uri, tier, recorded_digest(live, image), names)


def _grouped(members: Iterable[tuple[Access, str, Any]], size: int) -> Iterator[Group]:
    """Yield the members of each account and cluster, in groups of at most `size`."""
    places: dict[tuple[Access, str], list[Any]] = {}
    for access, cluster, member in members:
        places.setdefault((access, cluster), []).append(member)
    for (access, cluster), listed in places.items():
        yield from ((access, cluster, listed[at : at + size]) for at in range(0, len(listed), size))
