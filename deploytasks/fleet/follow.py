"""Rollouts that AWS works on, and how they stand now; every error of AWS is a value here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploytasks.aws import ecs, native
from deploytasks.aws.failures import may_pass
from deploytasks.aws.native import ServiceDeployment
from deploytasks.aws.verdict import Verdict, deployments, judge, natively, needs_service_deployment
from deploytasks.errors import AwsError, Unforeseen, contained
from deploytasks.fleet.means import Means
from deploytasks.model import Deployment, Outcome, Result, Rollout, Target, primary_of

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


def under_way(rollout: Rollout, deployment: Deployment, means: Means) -> UnderWay:
    """The rollout as it is followed from now on."""
    verdict = Verdict(None, _STARTED, running=deployment.running, desired=deployment.desired)
    return UnderWay(rollout, deployment, means.clock(), verdict)


def poll(group: Sequence[UnderWay], means: Means) -> list[UnderWay]:
    """Rollouts of one account and cluster, ten at most, with how they stand now."""
    try:
        with contained(str(group[0].rollout.target)):
            return _seen(group, means)
    except Unforeseen as error:  # which may be about one of them only
        if len(group) > 1:
            return [now for each in group for now in poll([each], means)]
        return [_could_not_see(group[0], error)]
    except AwsError as error:
        return [_could_not_see(each, error) for each in group]


def _seen(group: Sequence[UnderWay], means: Means) -> list[UnderWay]:
    target = group[0].rollout.target
    client = means.clients.of("ecs", target.access)
    services = ecs.describe(client, target.cluster, [each.rollout.target.ecs_service for each in group])
    seen = [_judged(each, services, means) for each in group]
    asked = _asked(client, [each for each in seen if _must_ask(each, services)])
    return [_decided(each, services, asked.get(each.rollout.target)) for each in seen]


def last_look(late: UnderWay, means: Means) -> UnderWay:
    """Return a rollout whose time is up as ECS has it: ended after all, or `late` itself.

    Its service deployment is asked even where nothing else shows an end.
    """
    target = late.rollout.target
    try:
        client = means.clients.of("ecs", target.access)
        services = {target.ecs_service: ecs.service_of(client, target) or None}
    except AwsError:
        return late
    seen = _judged(late, services, means)
    now = _decided(seen, services, _asked(client, [seen]).get(target)) if services[target.ecs_service] else seen
    return now if now.verdict.outcome in ("deployed", "superseded", "rolled back", "paused") else late


def _judged(now: UnderWay, services: Mapping[str, Any], means: Means) -> UnderWay:
    service = services.get(now.rollout.target.ecs_service)
    if not now.seen and means.clock() - now.since < _FRESH_S and _is_stale(now, service):
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
    known = native.described(client, group[0].rollout.target, arns) if arns else {}
    found = {each.rollout.target: _own(client, each, known) for each in group}
    return {target: told for target, told in found.items() if told}


def _own(client: Any, now: UnderWay, known: Mapping[str, ServiceDeployment] | None) -> ServiceDeployment | None:
    """Return the rollout's service deployment; it is searched for where its ARN is not known, or is another's."""
    if now.native and known is None:  # ECS does not tell
        return None
    told = (known or {}).get(now.native)
    if told and (now.stopping or told.is_of(now.deployment)):
        return told
    return native.of(client, now.rollout.target, now.deployment)


def _could_not_see(now: UnderWay, error: AwsError) -> UnderWay:
    """What passes is put up with until the tier's timeout, since the rollout goes on meanwhile."""
    refused = now.refused + (not may_pass(error))
    detail = f"its rollout can no longer be seen: {error.render()}"
    outcome: Outcome | None = "failed" if refused >= _REFUSALS else None
    verdict = replace(now.verdict, outcome=outcome, detail=detail)
    return replace(now, unseen=True, refused=refused, verdict=verdict)
