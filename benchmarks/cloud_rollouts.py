"""ECS services in memory, and what time does to them: an update becomes a deployment, a deployment becomes tasks.

Replies have AWS's size: the last 100 events of a service, kept serialised because they hardly change.
"""

import hashlib
import json
import uuid
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.cloud import Account, tag_list
from benchmarks.cloud_definitions import Revision
from benchmarks.cloud_ecr import resolve

EVENTS = 100
_HOURS_6 = 6 * 3600.0
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}


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

    def describe(self) -> dict[str, Any]:
        """The deployment as DescribeServices shows it."""
        return {
            "id": self.id,
            "status": self.status,
            "taskDefinition": self.revision,
            "desiredCount": self.desired,
            "pendingCount": self.desired - self.running if self.status == "PRIMARY" else 0,
            "runningCount": self.running,
            "failedTasks": 0,
            "createdAt": self.created_at,
            "updatedAt": self.created_at,
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "rolloutState": self.state,
            "rolloutStateReason": f"ECS deployment {self.id} {self.state.lower().replace('_', ' ')}.",
        }


@dataclass(slots=True)
class Task:
    """One task of a deployment."""

    arn: str
    service: str
    deployment: Deployment
    status: str = "RUNNING"

    def describe(self, cluster_arn: str) -> dict[str, Any]:
        """The task as DescribeTasks shows it."""
        containers = [
            {
                "containerArn": f"{self.arn.replace(':task/', ':container/')}/{name}",
                "taskArn": self.arn,
                "name": name,
                "image": self.deployment.images[name],
                "imageDigest": digest,
                "lastStatus": self.status,
                **({} if self.status == "RUNNING" else {"exitCode": 0}),
            }
            for name, digest in self.deployment.digests.items()
        ]
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
            "containers": containers,
        }


@dataclass(slots=True)
class Service:
    """One service; `events` are serialised, newest first."""

    name: str
    arn: str
    cluster: "Cluster"
    desired: int
    created_at: float
    events: deque[str]
    deployments: list[Deployment] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def serialise(self, *, with_tags: bool) -> str:
        """The service as DescribeServices shows it."""
        primary = self.deployments[0]
        members = {
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster.arn,
            "status": "ACTIVE",
            "desiredCount": self.desired,
            "runningCount": sum(deployment.running for deployment in self.deployments),
            "pendingCount": 0,
            "launchType": "FARGATE",
            "taskDefinition": primary.revision,
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING"},
            "deployments": [deployment.describe() for deployment in self.deployments],
            "createdAt": self.created_at,
            "schedulingStrategy": "REPLICA",
            "networkConfiguration": NETWORK,
            "platformVersion": "LATEST",
            "deploymentController": {"type": "ECS"},
            **({"tags": tag_list(self.tags)} if with_tags else {}),
        }
        return f'{json.dumps(members)[:-1]}, "events": [{",".join(self.events)}]}}'


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
    return tuple(event(message, until - n * _HOURS_6 - n * 0.137, n) for n in range(EVENTS))


def event(message: str, at: float, seed: int) -> str:
    """One service event, serialised."""
    return json.dumps(
        {"id": str(uuid.UUID(int=seed << 64 | 0x9E3779B9)), "createdAt": round(at, 3), "message": message}
    )


def open_service(account: Account, cluster: Cluster, name: str, desired: int) -> Service:
    """A service with no deployment yet; `start` gives it one."""
    now = account.cloud.clock()
    arn = account.arn("ecs", f"service/{cluster.name}/{name}")
    past = quiet_events(name, now // 86400 * 86400)
    service = Service(name, arn, cluster, desired, now - EVENTS * _HOURS_6, deque(past, maxlen=EVENTS))
    cluster.services[name] = service
    return service


def start(account: Account, service: Service, revision: Revision) -> Deployment:
    """A new PRIMARY deployment of the revision; it resolves tags now, and never ends where an image is not there."""
    cloud = account.cloud
    now = cloud.clock()
    digests = {name: resolve(cloud, image) for name, image in revision.images.items()}
    found = {name: digest for name, digest in digests.items() if digest}
    ends_at = now + cloud.rollout_s if len(found) == len(digests) else float("inf")
    number = cloud.next_id()
    deployment = Deployment(
        f"ecs-svc/{10**18 + number}", revision.arn, dict(revision.images), found, now, ends_at, service.desired
    )
    for older in service.deployments:
        older.status = "ACTIVE"
    service.deployments.insert(0, deployment)
    tell(service, f"(service {service.name}) has started {service.desired} tasks.", now, number)
    return deployment


def tell(service: Service, message: str, at: float, seed: int) -> None:
    """One more event, at the top; the oldest goes."""
    service.events.appendleft(event(message, at, seed))


def settle(account: Account, service: Service) -> None:
    """The service as it is by now: a deployment whose time has come is COMPLETED and has replaced the others."""
    primary = service.deployments[0]
    if primary.state != "IN_PROGRESS" or account.cloud.clock() < primary.ends_at:
        return
    primary.state, primary.running, primary.desired = "COMPLETED", service.desired, service.desired
    service.deployments = [primary]
    for task in service.cluster.tasks.values():
        if task.service == service.name:
            task.status = "STOPPED"
    for n in range(service.desired):
        add_task(account, service, primary, n)
    message = f"(service {service.name}) (deployment {primary.id}) deployment completed."
    tell(service, message, primary.ends_at, account.cloud.next_id())


def add_task(account: Account, service: Service, deployment: Deployment, n: int) -> None:
    """The n-th task of a deployment, running."""
    task_id = hashlib.md5(f"{service.arn}{deployment.id}{n}".encode(), usedforsecurity=False).hexdigest()
    arn = account.arn("ecs", f"task/{service.cluster.name}/{task_id}")
    service.cluster.tasks[task_id] = Task(arn, service.name, deployment)
