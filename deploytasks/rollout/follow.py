"""Follow rollouts under way at AWS. Errors of AWS are not raised but returned as part of a rollout's state."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.aws import ecs, service_deployments
from deploytasks.aws.errors import may_pass
from deploytasks.errors import AwsError, Unforeseen, contained
from deploytasks.model import Deployment, Outcome, Progress, Result, Rollout, Target, primary_of
from deploytasks.model.service_deployments import ServiceDeployment
from deploytasks.rollout.resources import Resources
from deploytasks.rules.verdict import Verdict, deployments, judge, natively, needs_service_deployment

_FRESH_S = 30.0
"""How long after a deployment's start ECS may still answer without it."""
_STARTED = "started"
_REFUSALS = 5
"""How many refused looks in a row end a rollout as failed; a lost connection between them begins a new count."""


class UnderWay(Struct, frozen=True):
    """A rollout under way: our deployment, and since when we follow it (monotonic seconds).

    `seen`: some look has shown its deployment. `unseen`: the last look failed. `refused`: so many looks in a row were
    refused by AWS. `native`: the ARN of ECS's service deployment, "" if it was never asked for. `lost`: the result of
    the failed rollout, if this is the restore after it; `stopping` then says that ECS itself rolls it back.
    """

    rollout: Rollout
    deployment: Deployment
    since: float
    verdict: Verdict
    seen: bool = False
    unseen: bool = False
    refused: int = 0
    native: str = ""
    lost: Result | None = None
    stopping: bool = False

    @property
    def expected_s(self) -> float | None:
        """How long it will take, judged by the target's last rollout; None if that is unknown."""
        return self.rollout.live.took_s if self.rollout.live else None

    @property
    def before(self) -> Deployment | None:
        """The PRIMARY deployment until ours began; for a restore, the one that failed."""
        if self.lost:
            return self.lost.deployment
        return self.rollout.live.primary if self.rollout.live else None


def under_way(rollout: Rollout, deployment: Deployment, resources: Resources) -> UnderWay:
    """Return the rollout as followed from now on."""
    verdict = Verdict(None, _STARTED, running=deployment.running, desired=deployment.desired)
    return UnderWay(rollout, deployment, resources.clock(), verdict)


def progress(now: UnderWay) -> Progress:
    """Return the rollout's present state as an event."""
    verdict = now.verdict
    return Progress(
        target=now.rollout.target,
        state=verdict.state,
        revision=now.deployment.revision,
        running=verdict.running,
        desired=verdict.desired,
        last_event=verdict.detail or verdict.last_event,
    )


def poll(group: Sequence[UnderWay], resources: Resources) -> list[UnderWay]:
    """Return the rollouts, ten at most and of one account and cluster, with their present state."""
    try:
        with contained(str(group[0].rollout.target)):
            return _seen(group, resources)
    except Unforeseen as error:  # it may concern one of them only
        if len(group) > 1:
            return [now for each in group for now in poll([each], resources)]
        return [_could_not_see(group[0], error)]
    except AwsError as error:
        return [_could_not_see(each, error) for each in group]


def _seen(group: Sequence[UnderWay], resources: Resources) -> list[UnderWay]:
    target = group[0].rollout.target
    client = resources.clients.of("ecs", target.access)
    services = ecs.describe(client, target.cluster, [each.rollout.target.ecs_service for each in group])
    seen = [_judged(each, services, resources) for each in group]
    asked = _asked(client, [each for each in seen if _must_ask(each, services)])
    return [_decided(each, services, asked.get(each.rollout.target)) for each in seen]


def last_look(overdue: UnderWay, resources: Resources) -> UnderWay:
    """Return a timed-out rollout as ECS sees it: ended after all, or `overdue` itself.

    Ask for its service deployment even if nothing else shows an end.
    """
    target = overdue.rollout.target
    try:
        client = resources.clients.of("ecs", target.access)
        services = {target.ecs_service: ecs.service_of(client, target) or None}
    except AwsError:
        return overdue
    seen = _judged(overdue, services, resources)
    now = _decided(seen, services, _asked(client, [seen]).get(target)) if services[target.ecs_service] else seen
    return now if now.verdict.outcome in ("deployed", "superseded", "rolled back", "paused") else overdue


def _judged(now: UnderWay, services: Mapping[str, Any], resources: Resources) -> UnderWay:
    service = services.get(now.rollout.target.ecs_service)
    if not now.seen and resources.clock() - now.since < _FRESH_S and _is_stale(now, service):
        return now
    if service is None:
        return replace(now, verdict=Verdict("failed", "failed", "the service is gone"), unseen=False)
    verdict = judge(service, now.deployment.id, now.deployment.created_at)
    return replace(_shown(now, service), verdict=verdict, unseen=False, refused=0)


def _must_ask(now: UnderWay, services: Mapping[str, Any]) -> bool:
    service = services.get(now.rollout.target.ecs_service)
    is_shown = bool(service) and (now.seen or now.verdict.state != _STARTED)
    return is_shown and (now.stopping or needs_service_deployment(service or {}, now.verdict))


def _decided(now: UnderWay, services: Mapping[str, Any], told: ServiceDeployment | None) -> UnderWay:
    """Return the rollout with the verdict of its service deployment, if ECS returned one."""
    if told is None:
        return now
    verdict = natively(services[now.rollout.target.ecs_service], now.verdict, told)
    ended_at = told.finished_at or now.deployment.ended_at
    return replace(now, verdict=verdict, native=told.arn, deployment=replace(now.deployment, ended_at=ended_at))


def _is_stale(now: UnderWay, service: Mapping[str, Any] | None) -> bool:
    """Return whether the answer is from before our deployment began: ECS is eventually consistent for some seconds."""
    listed = deployments(service or {})
    primary, before = primary_of(listed), now.before
    is_ours = any(each.id == now.deployment.id for each in listed)
    return not is_ours and (primary.id if primary else "") == (before.id if before else "")


def _shown(now: UnderWay, service: Mapping[str, Any]) -> UnderWay:
    """Return the rollout with its deployment as the service shows it; unchanged if the service no longer shows it."""
    ours = next((each for each in deployments(service) if each.id == now.deployment.id), None)
    if not ours:
        return now
    current = service.get("currentServiceDeployment", "") if ours.status == "PRIMARY" else ""
    return replace(now, deployment=ours, seen=True, native=now.native or current)


def _asked(client: Any, group: Sequence[UnderWay]) -> dict[Target, ServiceDeployment]:
    """Return the service deployments that ECS returns for the rollouts; those with known ARNs in one call."""
    arns = [each.native for each in group if each.native]
    known = service_deployments.described(client, group[0].rollout.target, arns) if arns else {}
    found = {each.rollout.target: _own(client, each, known) for each in group}
    return {target: told for target, told in found.items() if told}


def _own(client: Any, now: UnderWay, known: Mapping[str, ServiceDeployment] | None) -> ServiceDeployment | None:
    """Return the rollout's service deployment; search for it if its ARN is unknown or belongs to another."""
    if now.native and known is None:  # ECS did not answer
        return None
    told = (known or {}).get(now.native)
    if told and (now.stopping or told.is_of(now.deployment)):
        return told
    return service_deployments.of(client, now.rollout.target, now.deployment)


def _could_not_see(now: UnderWay, error: AwsError) -> UnderWay:
    """Return the rollout as unseen: failed after too many refusals; transient errors are tolerated until the timeout.

    The rollout goes on at AWS meanwhile.
    """
    refused = 0 if may_pass(error) else now.refused + 1
    detail = f"its rollout can no longer be seen: {error.render()}"
    outcome: Outcome | None = "failed" if refused >= _REFUSALS else None
    verdict = replace(now.verdict, outcome=outcome, detail=detail)
    return replace(now, unseen=True, refused=refused, verdict=verdict)


Item = TypeVar("Item")
SERVICES_A_CALL = 10


def of_one_cluster(items: Iterable[Item], target_of: Callable[[Item], Target]) -> Iterator[list[Item]]:
    """Yield groups of at most ten items whose targets share an account and a cluster: one DescribeServices each."""
    clusters: dict[tuple[Any, str], list[Item]] = {}
    for item in items:
        target = target_of(item)
        clusters.setdefault((target.access, target.cluster), []).append(item)
    for members in clusters.values():
        yield from (members[at : at + SERVICES_A_CALL] for at in range(0, len(members), SERVICES_A_CALL))


_FAR_S, _NEAR_S = 12.0, 1.0
_NEAR_FROM, _NEAR_UNTIL = 0.85, 1.5
"""The end of a rollout is near between these fractions of its expected length."""


def next_look_s(elapsed_s: float, expected_s: float | None) -> float:
    """Return the seconds until the next look at a rollout that began `elapsed_s` ago.

    If the length of the last rollout is known, look rarely until the end is near, and then every second. If not, wait
    a tenth of the elapsed time, which bounds the delay to a tenth of the rollout.
    """
    if expected_s is None or elapsed_s >= expected_s * _NEAR_UNTIL:
        return min(max(_NEAR_S, (elapsed_s - (expected_s or 0.0)) / 10), 10.0)
    if elapsed_s >= expected_s * _NEAR_FROM:
        return _NEAR_S
    return min(max(_NEAR_S, expected_s * _NEAR_FROM - elapsed_s), _FAR_S)
