"""Rollouts that AWS works on, and how they stand now; every error of AWS is a value here."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from deploytasks.aws import ecs, service_deployments
from deploytasks.aws.errors import may_pass
from deploytasks.errors import AwsError, Unforeseen, contained
from deploytasks.model import Deployment, Outcome, Result, Rollout, Target, primary_of
from deploytasks.model.service_deployments import ServiceDeployment
from deploytasks.rollout.resources import Resources
from deploytasks.rules.verdict import Verdict, deployments, judge, natively, needs_service_deployment

_FRESH_S = 30.0
"""So long after its begin an answer of ECS may not know of a deployment yet."""
_STARTED = "started"
_REFUSALS = 5
"""Looks, one after the other, that AWS may refuse before a rollout is given up; lost connections are waited out."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rollout that AWS works on: the deployment that is ours, and since when we follow it (monotonic seconds).

    It was `seen` once a look has shown its deployment, and is `unseen` where the last look failed; AWS has `refused` so
    many looks in a row. `native` is the ARN of ECS's service deployment, where it was asked for. `lost` is how the
    rollout ended, where this is the target's way back; then `stopping` says that ECS itself takes it back.
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
        """How long it will take, as far as the target's last rollout tells."""
        return self.rollout.live.took_s if self.rollout.live else None

    @property
    def before(self) -> Deployment | None:
        """The PRIMARY deployment until ours began; of the way back, that is the one that failed."""
        if self.lost:
            return self.lost.deployment
        return self.rollout.live.primary if self.rollout.live else None


def under_way(rollout: Rollout, deployment: Deployment, resources: Resources) -> UnderWay:
    """The rollout as it is followed from now on."""
    verdict = Verdict(None, _STARTED, running=deployment.running, desired=deployment.desired)
    return UnderWay(rollout, deployment, resources.clock(), verdict)


def poll(group: Sequence[UnderWay], resources: Resources) -> list[UnderWay]:
    """Rollouts of one account and cluster, ten at most, with how they stand now."""
    try:
        with contained(str(group[0].rollout.target)):
            return _seen(group, resources)
    except Unforeseen as error:  # which may be about one of them only
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
    """Return a rollout whose time is up as ECS has it: ended after all, or `overdue` itself.

    Its service deployment is asked even where nothing else shows an end.
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
    """Return the rollout with ECS's own word on it, if ECS told one."""
    if told is None:
        return now
    verdict = natively(services[now.rollout.target.ecs_service], now.verdict, told)
    ended_at = told.finished_at or now.deployment.ended_at
    return replace(now, verdict=verdict, native=told.arn, deployment=replace(now.deployment, ended_at=ended_at))


def _is_stale(now: UnderWay, service: Mapping[str, Any] | None) -> bool:
    """Whether the answer is from before our deployment began: ECS tells it everywhere only some seconds later."""
    listed = deployments(service or {})
    primary, before = primary_of(listed), now.before
    is_ours = any(each.id == now.deployment.id for each in listed)
    return not is_ours and (primary.id if primary else "") == (before.id if before else "")


def _shown(now: UnderWay, service: Mapping[str, Any]) -> UnderWay:
    """The rollout with its deployment as the service shows it; as it was seen last, where it does not any more."""
    ours = next((each for each in deployments(service) if each.id == now.deployment.id), None)
    if not ours:
        return now
    current = service.get("currentServiceDeployment", "") if ours.status == "PRIMARY" else ""
    return replace(now, deployment=ours, seen=True, native=now.native or current)


def _asked(client: Any, group: Sequence[UnderWay]) -> dict[Target, ServiceDeployment]:
    """Return the rollouts' service deployments, as far as ECS tells them; those of known ARNs in one call."""
    arns = [each.native for each in group if each.native]
    known = service_deployments.described(client, group[0].rollout.target, arns) if arns else {}
    found = {each.rollout.target: _own(client, each, known) for each in group}
    return {target: told for target, told in found.items() if told}


def _own(client: Any, now: UnderWay, known: Mapping[str, ServiceDeployment] | None) -> ServiceDeployment | None:
    """Return the rollout's service deployment; it is searched for where its ARN is not known, or is another's."""
    if now.native and known is None:  # ECS does not tell
        return None
    told = (known or {}).get(now.native)
    if told and (now.stopping or told.is_of(now.deployment)):
        return told
    return service_deployments.of(client, now.rollout.target, now.deployment)


def _could_not_see(now: UnderWay, error: AwsError) -> UnderWay:
    """What passes is put up with until the tier's timeout, since the rollout goes on meanwhile."""
    refused = now.refused + (not may_pass(error))
    detail = f"its rollout can no longer be seen: {error.render()}"
    outcome: Outcome | None = "failed" if refused >= _REFUSALS else None
    verdict = replace(now.verdict, outcome=outcome, detail=detail)
    return replace(now, unseen=True, refused=refused, verdict=verdict)


Item = TypeVar("Item")
SERVICES_A_CALL = 10


def of_one_cluster(items: Iterable[Item], target_of: Callable[[Item], Target]) -> Iterator[list[Item]]:
    """The items whose targets share an account and a cluster together, ten at most: one DescribeServices each."""
    clusters: dict[tuple[Any, str], list[Item]] = {}
    for item in items:
        target = target_of(item)
        clusters.setdefault((target.access, target.cluster), []).append(item)
    for members in clusters.values():
        yield from (members[at : at + SERVICES_A_CALL] for at in range(0, len(members), SERVICES_A_CALL))


_FAR_S, _NEAR_S = 12.0, 1.0
_NEAR_FROM, _NEAR_UNTIL = 0.85, 1.5
"""From and until which part of its expected length a rollout's end is near."""


def next_look_s(elapsed_s: float, expected_s: float | None) -> float:
    """Seconds until the next look at a rollout that began so long ago.

    Where it is known how long the last one took, it is looked at rarely until its end is near, and then every
    second; else after a tenth of the time that has passed, which bounds the delay to a tenth of the rollout.
    """
    if expected_s is None or elapsed_s >= expected_s * _NEAR_UNTIL:
        return min(max(_NEAR_S, (elapsed_s - (expected_s or 0.0)) / 10), 10.0)
    if elapsed_s >= expected_s * _NEAR_FROM:
        return _NEAR_S
    return min(max(_NEAR_S, expected_s * _NEAR_FROM - elapsed_s), _FAR_S)
