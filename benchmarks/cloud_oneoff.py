"""One-off tasks in memory: RunTask and StopTask, and a log that the task writes until it ends."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cloud import Account, Answer, Ask, AwsError, Operation, invalid, last_part, tag_map
from benchmarks.cloud_definitions import Revision, find_revision
from benchmarks.cloud_ecr import resolve
from benchmarks.cloud_small import write_log


@dataclass(frozen=True, slots=True)
class Script:
    """What a command does: the lines that it writes, how it ends, how long it takes; exit None: it never starts."""

    lines: Sequence[str] = ()
    exit: int | None = 0
    lasts_s: float = 0.0
    reason: str = ""


def echo(command: Sequence[str]) -> Script:
    """The script of a command that nobody wrote one for: it says what it was given."""
    return Script(lines=[json.dumps(list(command))])


@dataclass(slots=True)
class OneOff:
    """One task that RunTask started; `ask` is what it was asked with."""

    arn: str
    ask: Ask
    revision: Revision
    script: Script
    ends_at: float
    stopped: str = ""
    written: bool = False
    tags: dict[str, str] = field(default_factory=dict)


def run_task(account: Account, ask: Ask) -> Answer:
    """Source: RunTask, of one task."""
    cluster = account.clusters.get(last_part(ask.get("cluster", "default")))
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    revision = find_revision(account, ask["taskDefinition"])
    if revision.members.get("networkMode") == "awsvpc" and "networkConfiguration" not in ask:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if len(ask.get("startedBy", "")) > 128 or len(ask.get("clientToken", "")) > 64:
        raise invalid("startedBy or clientToken is too long.")
    command = next(iter(_overrides(ask).values()), [])
    scripted: Callable[[Sequence[str]], Script] = account.cloud.scripts or echo
    script = scripted(command)
    arn = account.arn("ecs", f"task/{cluster.name}/{uuid.uuid4().hex}")
    task = OneOff(arn, ask, revision, script, account.cloud.clock() + script.lasts_s, tags=tag_map(ask.get("tags", [])))
    account.one_offs[last_part(arn)] = task
    return {"tasks": [describe(account, task, "PROVISIONING")], "failures": []}


def stop_task(account: Account, ask: Ask) -> Answer:
    """Source: StopTask."""
    task = account.one_offs.get(last_part(ask["task"]))
    if task is None:
        raise invalid("The referenced task was not found.")
    task.stopped = ask.get("reason", "Task stopped by user")
    return {"task": describe(account, task)}


def describe(account: Account, task: OneOff, status: str = "") -> dict[str, Any]:
    """The task as DescribeTasks shows it; what it has to say is in its log from the first look on."""
    over = bool(task.stopped) or account.cloud.clock() >= task.ends_at
    status = status or ("STOPPED" if over else "RUNNING")
    if status != "PROVISIONING" and task.script.exit is not None and not task.written:
        _write(account, task)
    return {
        "taskArn": task.arn,
        "taskDefinitionArn": task.revision.arn,
        "startedBy": task.ask.get("startedBy", ""),
        "lastStatus": status,
        "desiredStatus": "STOPPED" if over else "RUNNING",
        **({"stoppedReason": _reason(task), "stopCode": _code(task)} if status == "STOPPED" else {}),
        "containers": [_container(account, task, name, status) for name in task.revision.images],
    }


def _container(account: Account, task: OneOff, name: str, status: str) -> dict[str, Any]:
    ended = status == "STOPPED" and task.script.exit is not None
    return {
        "name": name,
        "image": task.revision.images[name],
        "imageDigest": resolve(account.cloud, task.revision.images[name]),
        "lastStatus": status,
        **({"exitCode": 137 if task.stopped else task.script.exit} if ended else {}),
    }


def _write(account: Account, task: OneOff) -> None:
    task.written = True
    for container in task.revision.members["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if container["name"] in _overrides(task.ask) and "awslogs-group" in options:
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{last_part(task.arn)}"
            for said in task.script.lines:
                write_log(account, options["awslogs-group"], stream, said)


def _overrides(ask: Ask) -> Mapping[str, list[str]]:
    listed = ask.get("overrides", {}).get("containerOverrides", [])
    return {each["name"]: each.get("command", []) for each in listed}


def _reason(task: OneOff) -> str:
    return task.stopped or task.script.reason or "Essential container in task exited"


def _code(task: OneOff) -> str:
    if task.stopped:
        return "UserInitiated"
    return "TaskFailedToStart" if task.script.exit is None else "EssentialContainerExited"


OPERATIONS: Mapping[str, Operation] = {"RunTask": run_task, "StopTask": stop_task}
