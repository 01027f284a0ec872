"""ECS services in memory, as DescribeServices and DescribeTasks show them; `ecs_rollouts` lets time work on them.

Replies have AWS's size: the last 100 events of a service, kept serialised because they hardly change.
"""

import hashlib
import json
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.cloud.accounts import Account, Ask, AwsError, last_part, tag_list
from tests.cloud.ecs_deployments import Deployment, ServiceDeployment, pause_hooks
from tests.cloud.ecs_fates import Death

EVENTS = 100
HOURS_6 = 6 * 3600.0
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}


@dataclass(slots=True)
class Task:
    """One task of a deployment; `death` is how it ended where it did not end well."""

    arn: str
    service: str
    deployment: Deployment
    status: str = "RUNNING"
    stopped_at: float = 0.0
    death: Death | None = None

    def describe(self, cluster_arn: str) -> dict[str, Any]:
        """The task as DescribeTasks shows it."""
        return {
            "taskArn": self.arn,
            "clusterArn": cluster_arn,
            "taskDefinitionArn": self.deployment.revision,
            "group": f"service:{self.service}",
            "startedBy": self.deployment.id,
            "createdAt": self.deployment.created_at,
            "desiredStatus": self.status,
            "lastStatus": self.status,
            "launchType": "FARGATE",
            **self._end(),
            "containers": [self._container(name) for name in self.deployment.images],
        }

    def _end(self) -> dict[str, Any]:
        if self.status == "RUNNING":
            return {}
        if self.death is None:
            reason = f"Scaling activity initiated by (deployment {self.deployment.id})"
            return {"stoppedAt": self.stopped_at, "stopCode": "ServiceSchedulerInitiated", "stoppedReason": reason}
        return {"stoppedAt": self.stopped_at, "stopCode": self.death.code, "stoppedReason": self.death.reason}

    def _container(self, name: str) -> dict[str, Any]:
        code = self.death.exit if self.death else 0
        exited = {"exitCode": code} if self.status != "RUNNING" and code is not None else {}
        digest = self.deployment.digests.get(name)
        return {
            "containerArn": f"{self.arn.replace(':task/', ':container/')}/{name}",
            "taskArn": self.arn,
            "name": name,
            "image": self.deployment.images[name],
            **({"imageDigest": digest} if digest else {}),
            "lastStatus": self.status,
            **exited,
            **({"reason": self.death.why} if self.death and self.death.why else {}),
        }


@dataclass(slots=True)
class Service:
    """One service; `events` are serialised, newest first, and so is `history`, its service deployments.

    `configuration` is its deploymentConfiguration: circuit breaker, strategy, lifecycle hooks.
    """

    name: str
    arn: str
    cluster: "Cluster"
    account: Account
    desired: int
    created_at: float
    events: deque[str]
    deployments: list[Deployment] = field(default_factory=list)
    history: list[ServiceDeployment] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "ACTIVE"
    controller: str = "ECS"

    def _moved_by(self) -> dict[str, Any]:
        """The deployments, or the task sets of a service that ECS itself does not deploy.

        Source: botocore's Service.taskSets (CodeDeploy or EXTERNAL), and Deployment ("used only when a service uses
        the ECS deployment controller type").

        """
        if self.controller == "ECS":
            return {"deployments": [deployment.describe() for deployment in self.deployments]}
        primary = self.deployments[0]
        known = {"status": "PRIMARY", "taskDefinition": primary.revision, "runningCount": primary.running}
        return {"deployments": [], "taskSets": [{"id": f"ecs-svc/{primary.number}", **known}]}

    def serialise(self, *, with_tags: bool) -> str:
        """The service as DescribeServices shows it."""
        primary = self.deployments[0]
        members = {
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster.arn,
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": sum(deployment.running for deployment in self.deployments),
            "pendingCount": 0,
            "launchType": "FARGATE",
            "taskDefinition": primary.revision,
            "deploymentConfiguration": self.configured(),
            **self._moved_by(),
            "createdAt": self.created_at,
            **({"currentServiceDeployment": self.history[0].arn} if self.account.cloud.native else {}),
            "schedulingStrategy": "REPLICA",
            "networkConfiguration": NETWORK,
            "platformVersion": "LATEST",
            "deploymentController": {"type": self.controller},
            **({"tags": tag_list(self.tags)} if with_tags else {}),
        }
        return f'{json.dumps(members)[:-1]}, "events": [{",".join(self.events)}]}}'

    def configured(self) -> dict[str, Any]:
        """The deploymentConfiguration with ECS's defaults."""
        return {"maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", **self.configuration}

    @property
    def breaker(self) -> Mapping[str, bool]:
        """The circuit breaker's settings where it is on, else nothing."""
        settings: Mapping[str, bool] = self.configuration.get("deploymentCircuitBreaker", {})
        return settings if settings.get("enable") else {}


@dataclass(slots=True)
class Cluster:
    """One cluster with its services by name and its tasks by id, stopped ones too."""

    name: str
    arn: str
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)


@cache
def quiet_events(name: str, until: float) -> tuple[str, ...]:
    """A month in which nothing happened, as ECS tells it: newest first, serialised."""
    message = f"(service {name}) has reached a steady state."
    return tuple(event(message, until - n * HOURS_6 - n * 0.137, n) for n in range(EVENTS))


def event(message: str, at: float, seed: int) -> str:
    """One service event, serialised."""
    return json.dumps(
        {"id": str(uuid.UUID(int=seed << 64 | 0x9E3779B9)), "createdAt": round(at, 3), "message": message}
    )


def tell(service: Service, message: str, at: float, seed: int) -> None:
    """One more event, at the top; the oldest goes."""
    service.events.appendleft(event(message, at, seed))


def add_task(account: Account, service: Service, deployment: Deployment, n: int) -> Task:
    """The n-th task of a deployment, running."""
    task_id = hashlib.md5(f"{service.arn}{deployment.id}{n}".encode(), usedforsecurity=False).hexdigest()
    arn = account.arn("ecs", f"task/{service.cluster.name}/{task_id}")
    service.cluster.tasks[task_id] = Task(arn, service.name, deployment)
    return service.cluster.tasks[task_id]


def cluster_of(account: Account, ask: Ask) -> Cluster:
    """The cluster that a request names."""
    cluster: Cluster | None = account.clusters.get(last_part(ask.get("cluster", "default")))
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def service_of(cluster: Cluster, name: str) -> Service:
    """The cluster's service of that name or ARN."""
    service = cluster.services.get(last_part(name))
    if service is None:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    return service


def open_record(service: Service, deployment: Deployment, source: Deployment | None) -> ServiceDeployment:
    """The record of a deployment that begins, with the PAUSE hooks of its service in their order."""
    path = f"{service.cluster.name}/{service.name}"
    name = hashlib.md5(f"{service.arn}{deployment.id}".encode(), usedforsecurity=False).hexdigest()[:22]
    arn = service.account.arn("ecs", f"service-deployment/{path}/{name}")
    members = {"serviceArn": service.arn, "clusterArn": service.cluster.arn}
    configuration = service.configured()
    return ServiceDeployment(
        arn, deployment, source, configuration, pause_hooks(configuration, deployment), members=members
    )
