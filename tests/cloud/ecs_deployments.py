"""Deployments of ECS services, as DescribeServices shows them and as the records that ECS keeps of them, with hooks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.accounts import last_part
from tests.cloud.ecs_fates import Fate

STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
OVER = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})


@dataclass(slots=True)
class Hook:
    """One PAUSE hook of a deployment: reached at `at` (seconds), it waits until somebody decides, or it expires."""

    id: str
    stage: str
    at: float
    timeout_s: float
    on_timeout: str
    status: str = ""

    @property
    def expires_at(self) -> float:
        """When its timeout action is taken."""
        return self.at + self.timeout_s

    def describe(self) -> dict[str, Any]:
        """The hook as DescribeServiceDeployments shows it."""
        timeout = {"expiresAt": self.expires_at, "timeoutAction": self.on_timeout}
        return {"hookId": self.id, "targetType": "PAUSE", "status": self.status, **timeout}


@dataclass(slots=True)
class Deployment:
    """One deployment; `digests` maps containers to what their `images` resolved to when it started."""

    id: str
    revision: str
    images: dict[str, str]
    digests: dict[str, str]
    created_at: float
    ends_at: float
    desired: int
    status: str = "PRIMARY"
    state: str = "IN_PROGRESS"
    running: int = 0
    died: int = 0
    reason: str = ""
    fails_at: float | None = None
    updated_at: float = 0.0
    pending: int | None = None
    fate: Fate = field(default_factory=Fate)

    @property
    def failed(self) -> int:
        """Source: botocore's Deployment.failedTasks: evaluated only until the deployment has running tasks."""
        return 0 if self.state == "COMPLETED" else self.died

    @property
    def number(self) -> str:
        """The number in its id, which is that of its service revision too."""
        return last_part(self.id)

    def describe(self) -> dict[str, Any]:
        """The deployment as DescribeServices shows it."""
        return {
            "id": self.id,
            "status": self.status,
            "taskDefinition": self.revision,
            "desiredCount": self.desired,
            "pendingCount": self._pending(),
            "runningCount": self.running,
            "failedTasks": self.failed,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at or self.created_at,
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "rolloutState": self.state,
            "rolloutStateReason": self._reason(),
        }

    def _pending(self) -> int:
        """What is missing is about to run, unless `pending` says otherwise."""
        missing = max(0, self.desired - self.running) if self.status == "PRIMARY" else 0
        return missing if self.pending is None else self.pending

    def _reason(self) -> str:
        if self.reason and self.fails_at is None:
            return self.reason
        return f"ECS deployment {self.id} {self.state.lower().replace('_', ' ')}."


@dataclass(slots=True, eq=False)
class ServiceDeployment:
    """One release of a service; `status` is ECS's, `rollback` what it told about going back."""

    arn: str
    deployment: Deployment
    source: Deployment | None
    configuration: Mapping[str, Any]
    hooks: list[Hook]
    status: str = "IN_PROGRESS"
    reason: str = ""
    updated_at: float = 0.0
    finished_at: float | None = None
    stopped_at: float | None = None
    rollback: dict[str, Any] | None = None
    stop: tuple[str, float] | None = None
    tripped: bool = False
    members: dict[str, str] = field(default_factory=dict)

    @property
    def started_at(self) -> float:
        """When it was no longer PENDING."""
        return self.deployment.created_at + self.deployment.fate.pending_s

    @property
    def waits_at(self) -> Hook | None:
        """The hook that comes next, reached or not; what goes back waits at none."""
        if self.rollback:
            return None
        return next((hook for hook in self.hooks if hook.status in ("", "AWAITING_ACTION")), None)

    def end(self, status: str, at: float, reason: str = "") -> None:
        """It is over."""
        self.status, self.reason, self.updated_at, self.finished_at = status, reason or self.reason, at, at
        if status == "STOPPED":
            self.stopped_at = at

    def brief(self, now: float) -> dict[str, Any]:
        """It as ListServiceDeployments shows it."""
        begun = now >= self.started_at
        return {
            "serviceDeploymentArn": self.arn,
            **self.members,
            "createdAt": self.deployment.created_at,
            **({"startedAt": self.started_at} if begun else {}),
            **({"finishedAt": self.finished_at} if self.finished_at is not None else {}),
            "targetServiceRevisionArn": revision_arn(self.arn, self.deployment),
            "status": self.status if begun or self.status != "IN_PROGRESS" else "PENDING",
            **({"statusReason": self.reason} if self.reason else {}),
        }

    def describe(self, now: float) -> dict[str, Any]:
        """It as DescribeServiceDeployments shows it."""
        brief = self.brief(now)
        del brief["targetServiceRevisionArn"]
        reached = [hook.describe() for hook in self.hooks if hook.status]
        return {
            **brief,
            **({"stoppedAt": self.stopped_at} if self.stopped_at is not None else {}),
            "updatedAt": self.updated_at or self.deployment.created_at,
            "sourceServiceRevisions": [self._revision(self.source)] if self.source else [],
            "targetServiceRevision": self._revision(self.deployment),
            "lifecycleStage": self._stage(now),
            **({"lifecycleHookDetails": reached} if reached else {}),
            "deploymentConfiguration": self.configuration,
            **({"rollback": self.rollback} if self.rollback else {}),
            "deploymentCircuitBreaker": self._breaker(),
        }

    def describe_revision(self) -> dict[str, Any]:
        """Its target service revision as DescribeServiceRevisions shows it."""
        images = self.deployment.images.items()
        return {
            "serviceRevisionArn": revision_arn(self.arn, self.deployment),
            **self.members,
            "taskDefinition": self.deployment.revision,
            "launchType": "FARGATE",
            "containerImages": [
                {"containerName": name, "image": image, "imageDigest": self.deployment.digests[name]}
                for name, image in images
                if name in self.deployment.digests
            ],
            "createdAt": self.deployment.created_at,
        }

    def _revision(self, deployment: Deployment) -> dict[str, Any]:
        pending = max(0, deployment.desired - deployment.running) if deployment.status == "PRIMARY" else 0
        counts = {"requestedTaskCount": deployment.desired, "runningTaskCount": deployment.running}
        return {"arn": revision_arn(self.arn, deployment), **counts, "pendingTaskCount": pending}

    def _stage(self, now: float) -> str:
        """Where it stands: a rolling one scales up until it is over, another passes all stages in its time."""
        waits = self.waits_at
        if self.finished_at is not None:
            return STAGES[-1]
        if waits and waits.status:
            return waits.stage
        if self.configuration["strategy"] == "ROLLING":
            return "SCALE_UP"
        lasts_s = self.deployment.ends_at - self.deployment.created_at
        gone = (now - self.deployment.created_at) / lasts_s if lasts_s > 0 else 1.0
        return STAGES[min(int(gone * len(STAGES)), len(STAGES) - 1)]

    def _breaker(self) -> dict[str, Any]:
        if not self.configuration.get("deploymentCircuitBreaker", {}).get("enable"):
            return {"status": "DISABLED"}
        over = "TRIGGERED" if self.tripped else "MONITORING_COMPLETE"
        status = over if self.tripped or self.finished_at is not None else "MONITORING"
        threshold = _threshold(self.configuration["deploymentCircuitBreaker"], self.deployment.desired)
        return {"status": status, "failureCount": self.deployment.failed, "threshold": threshold}


def _threshold(breaker: Mapping[str, Any], desired: int) -> int:
    """Source: botocore's ThresholdConfiguration, and the bounds of ServiceDeploymentCircuitBreaker."""
    settings = {"type": "BOUNDED_PERCENT", "value": 50, **breaker.get("thresholdConfiguration", {})}
    if settings["type"] == "COUNT":
        return int(settings["value"])
    share: int = math.ceil(settings["value"] * desired / 100)
    return max(1, share) if settings["type"] == "UNBOUNDED_PERCENT" else min(max(share, 3), 200)


def pause_hooks(configuration: Mapping[str, Any], deployment: Deployment) -> list[Hook]:
    """The hooks, each reached in its stage's share of the deployment's time."""
    found = []
    lasts_s = deployment.ends_at - deployment.created_at if math.isfinite(deployment.ends_at) else 0.0
    for setting in configuration.get("lifecycleHooks", []):
        if setting.get("targetType") != "PAUSE":
            continue
        timeout = setting.get("timeoutConfiguration", {})
        for stage in setting["lifecycleStages"]:
            at = deployment.created_at + lasts_s * STAGES.index(stage) / len(STAGES)
            name = f"{stage.lower().replace('_', '-')}-{deployment.number[-4:]}"
            timeout_s = timeout.get("timeoutInMinutes", 1440) * 60
            found.append(Hook(name, stage, at, timeout_s, timeout.get("action", "ROLLBACK")))
    return sorted(found, key=lambda hook: hook.at)


def revision_arn(service_deployment: str, deployment: Deployment) -> str:
    """The ARN of the service revision that a deployment of the same service carries."""
    service = service_deployment.rpartition("/")[0].replace(":service-deployment/", ":service-revision/")
    return f"{service}/{last_part(deployment.id)}"
