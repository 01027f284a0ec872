"""One-off tasks: a command run once from a service's revision, as the service's own tasks are run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploytasks.aws import audit, ecs
from deploytasks.aws.failures import translated
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import Target

_PLACEMENT = ("networkConfiguration", "capacityProviderStrategy", "platformVersion", "launchType")


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be run: the words, in which container, of which revision (an ARN)."""

    words: tuple[str, ...]
    container: str
    revision: str


@dataclass(frozen=True, slots=True)
class TaskState:
    """How a task stands. `exit_code` is the container's, None while it runs or if it never started."""

    stopped: bool
    exit_code: int | None = None
    reason: str = ""


def start(client: Any, target: Target, command: Command, tags: Mapping[str, str]) -> str:
    """The command runs where and as the service's tasks do; returns the task's ARN.

    Raises:
        AwsError: ECS found no place for it, or said no.

    Source: ecs DescribeServices, RunTask.

    """
    service = ecs.describe(client, target.cluster, [target.ecs_service]).get(target.ecs_service, {})
    override = {"name": command.container, "command": list(command.words)}
    with translated(str(target)):
        answer = client.run_task(
            cluster=target.cluster,
            taskDefinition=command.revision,
            overrides={"containerOverrides": [override]},
            count=1,
            startedBy="deploytasks",
            tags=audit.to_ecs(tags),
            **_placement(service),
        )
    if not answer["tasks"]:
        raise AwsError(*(_no_place(target, failure) for failure in answer.get("failures") or [{}]))
    arn: str = answer["tasks"][0]["taskArn"]
    return arn


def look(client: Any, target: Target, arn: str, container: str) -> TaskState:
    """How the task stands; a task that ECS does not know yet is about to start.

    Source: ecs DescribeTasks.

    """
    with translated(str(target)):
        found = client.describe_tasks(cluster=target.cluster, tasks=[arn])["tasks"]
    task: Mapping[str, Any] = next(iter(found), {})
    if task.get("lastStatus") != "STOPPED":
        return TaskState(stopped=False)
    ours: Mapping[str, Any] = next((each for each in task.get("containers", []) if each["name"] == container), {})
    reasons = dict.fromkeys(filter(None, [task.get("stoppedReason"), ours.get("reason")]))
    return TaskState(stopped=True, exit_code=ours.get("exitCode"), reason="; ".join(reasons))


def stop(client: Any, target: Target, arn: str, reason: str) -> None:
    """The task is told to stop.

    Source: ecs StopTask.

    """
    with translated(str(target)):
        client.stop_task(cluster=target.cluster, task=arn, reason=reason)


def _placement(service: Mapping[str, Any]) -> dict[str, Any]:
    """Where the service's tasks run. A launch type and capacity providers exclude each other; providers win."""
    asked = {key: service[key] for key in _PLACEMENT if service.get(key)}
    if "capacityProviderStrategy" in asked:
        asked.pop("launchType", None)
    return asked


def _no_place(target: Target, failure: Mapping[str, Any]) -> Complaint:
    reason = failure.get("reason") or "ECS started nothing and gave no reason"
    return Complaint(str(target), f"RunTask: {reason} {failure.get('detail', '')}".rstrip(), "run it again")


def containers_of(definition: Mapping[str, Any], image: str) -> Sequence[str]:
    """The names of the containers that run our image; `image` is `host/repository`."""
    listed = definition.get("containerDefinitions", [])
    return [each["name"] for each in listed if each["image"].startswith((f"{image}:", f"{image}@"))]
