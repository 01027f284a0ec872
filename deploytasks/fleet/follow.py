"""Rollouts that AWS works on, and how they stand now; every error of AWS is a value here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploytasks.aws import ecs, native
from deploytasks.aws.failures import may_pass
from deploytasks.aws.native import ServiceDeployment
from deploytasks.aws.verdict import Ailment, Verdict, deployments, is_unexplained, judge, natively
from deploytasks.errors import AwsError
from deploytasks.fleet.means import Means
from deploytasks.model import Deployment, Outcome, Result, Rollout, primary_of

_FRESH_S = 30.0
"""So long after its begin an answer of ECS may not know of a deployment yet."""
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
    verdict = Verdict(None, "started", running=deployment.running, desired=deployment.desired)
    return UnderWay(rollout, deployment, means.clock(), verdict)


def fell_ill(ended: UnderWay, one: Ailment) -> UnderWay:
    """A rollout that had ended well, as it ends now."""
    return replace(ended, verdict=replace(ended.verdict, outcome=one.outcome, detail=f"in the soak: {one.why}"))


def poll(group: Sequence[UnderWay], means: Means) -> list[UnderWay]:
    """Rollouts of one account and cluster, ten at most, with how they stand now."""
    target = group[0].rollout.target
    try:
        client = means.clients.of("ecs", target.access)
        services = ecs.describe(client, target.cluster, [each.rollout.target.ecs_service for each in group])
        return [_judged(client, each, services, means) for each in group]
    except AwsError as error:
        return [_could_not_see(each, error) for each in group]


def _judged(client: Any, now: UnderWay, services: Mapping[str, Any], means: Means) -> UnderWay:
    service = services.get(now.rollout.target.ecs_service)
    if not now.seen and means.clock() - now.since < _FRESH_S and _is_stale(now, service):
        return now
    if service is None:
        return replace(now, verdict=Verdict("failed", "failed", "the service is gone"))
    verdict = judge(service, now.deployment.id, now.deployment.created_at)
    now = replace(_shown(now, service), unseen=False, refused=0)
    told = _asked(client, now) if now.stopping or is_unexplained(service, verdict) else None
    if told is None:
        return replace(now, verdict=verdict)
    return replace(now, verdict=natively(service, verdict, told), native=told.arn)


def _is_stale(now: UnderWay, service: Mapping[str, Any] | None) -> bool:
    """Whether the answer is from before our deployment began: ECS tells it everywhere only some seconds later."""
    listed = deployments(service or {})
    primary, before = primary_of(listed), now.before
    is_ours = any(each.id == now.deployment.id for each in listed)
    return not is_ours and (primary.id if primary else "") == (before.id if before else "")


def _shown(now: UnderWay, service: Mapping[str, Any]) -> UnderWay:
    """The rollout with its deployment as the service shows it; as it was seen last, where it does not any more."""
    ours = next((each for each in deployments(service) if each.id == now.deployment.id), None)
    return replace(now, deployment=ours, seen=True) if ours else now


def _asked(client: Any, now: UnderWay) -> ServiceDeployment | None:
    target = now.rollout.target
    return native.described(client, target, now.native) if now.native else native.of(client, target, now.deployment)


def _could_not_see(now: UnderWay, error: AwsError) -> UnderWay:
    """What passes is put up with until the tier's timeout, since the rollout goes on meanwhile."""
    refused = now.refused + (not may_pass(error))
    detail = f"its rollout can no longer be seen: {error.render()}"
    outcome: Outcome | None = "failed" if refused >= _REFUSALS else None
    verdict = replace(now.verdict, outcome=outcome, detail=detail)
    return replace(now, unseen=True, refused=refused, verdict=verdict)
