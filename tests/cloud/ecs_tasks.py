"""One-off tasks in memory: RunTask and StopTask with AWS's limits, and a log that the task writes until it ends."""

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.accounts import REGION, Account, Answer, Ask, AwsError, Operation, invalid, last_part, tag_map
from tests.cloud.ecr import resolve
from tests.cloud.ecs_definitions import Revision, find_revision
from tests.cloud.logs import regional, write_log

_OVERRIDES = 8192
"""The most characters of a request's overrides."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a command does: the lines that it writes, how it ends, and how long it takes.

    Exit None: it never starts, or, with `began`, nobody gets to know its code. The task ends `lingers_s` after the
    command; `refused` is why ECS finds no place for it.
    """

    lines: Sequence[str] = ()
    exit: int | None = 0
    lasts_s: float = 0.0
    lingers_s: float = 0.0
    reason: str = ""
    began: bool = False
    refused: str = ""


def echo(command: Sequence[str]) -> Script:
    """The script of a command that nobody wrote one for: it says what it was given."""
    return Script(lines=[json.dumps(list(command))])


@dataclass(slots=True)
class OneOff:
    """One task that RunTask started; `ask` is what it was asked with."""

    arn: str
    cluster: str
    ask: Ask
    revision: Revision
    script: Script
    created_at: float
    stopped: str = ""
    written: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def ends_at(self) -> float:
        """When the task ends by itself."""
        return self.created_at + self.script.lasts_s + self.script.lingers_s


def run_task(account: Account, ask: Ask) -> Answer:
    """Source: RunTask, of one task."""
    cluster = account.clusters.get(last_part(ask.get("cluster", "default")))
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    revision = find_revision(account, ask["taskDefinition"])
    _check(ask, revision)
    if before := _with_token(account, cluster.name, ask.get("clientToken", "")):
        if before.ask != ask:
            message = "The provided clientToken is already in use with a different RunTask request."
            raise AwsError("ConflictException", message, resourceIds=[before.arn])
        return {"tasks": [describe(account, before)], "failures": []}
    scripted: Callable[[Sequence[str]], Script] = account.cloud.scripts or echo
    script = scripted(next(iter(_overrides(ask).values()), []))
    if script.refused:
        return {"tasks": [], "failures": [{"reason": script.refused}]}
    arn = account.arn("ecs", f"task/{cluster.name}/{uuid.uuid4().hex}")
    task = OneOff(arn, cluster.name, ask, revision, script, account.cloud.clock(), tags=tag_map(ask.get("tags", [])))
    account.one_offs[last_part(arn)] = task
    return {"tasks": [describe(account, task, "PROVISIONING")], "failures": []}


def _with_token(account: Account, cluster: str, token: str) -> OneOff | None:
    """Source: "Ensuring idempotency": tokens are a cluster's, and live as long as the task and an hour, 24 at most."""
    now = account.cloud.clock()
    known = [
        each for each in account.one_offs.values() if (each.cluster, each.ask.get("clientToken")) == (cluster, token)
    ]
    return next((each for each in known if now < min(each.ends_at + 3600, each.created_at + 24 * 3600)), None)


def _check(ask: Ask, revision: Revision) -> None:
    if revision.members["status"] != "ACTIVE":
        raise AwsError("ClientException", "TaskDefinition is inactive")
    if revision.members.get("networkMode") == "awsvpc" and "networkConfiguration" not in ask:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if "launchType" in ask and ask.get("capacityProviderStrategy"):
        raise invalid("Specify either launch type or capacity provider strategy, not both.")
    if ask.get("count", 1) != 1:
        raise invalid("Only one task at a time is served here.")
    if not re.fullmatch(r"[A-Za-z0-9_/-]{0,128}", ask.get("startedBy", "")) or len(ask.get("clientToken", "")) > 64:
        raise invalid("startedBy or clientToken is too long, or holds illegal characters.")
    if len(json.dumps(ask.get("overrides", {}))) > _OVERRIDES:
        raise invalid(f"Container Overrides length must be at most {_OVERRIDES}")
    for name in _overrides(ask):
        if name not in revision.images:
            raise invalid(f"Override for container named {name} is not a container in the TaskDefinition.")


def stop_task(account: Account, ask: Ask) -> Answer:
    """Source: StopTask. One that has ended already stays as it ended."""
    task = account.one_offs.get(last_part(ask["task"]))
    if task is None:
        raise invalid("The referenced task was not found.")
    if account.cloud.clock() < task.ends_at:
        task.stopped = ask.get("reason", "Task stopped by user")
    return {"task": describe(account, task)}


def described(account: Account, cluster: str, task_id: str) -> dict[str, Any] | None:
    """The one-off task of that id in the cluster, as DescribeTasks shows it."""
    task = account.one_offs.get(task_id)
    return describe(account, task) if task and task.cluster == cluster else None


def listed(account: Account, cluster: str, ask: Ask) -> list[str]:
    """The one-off tasks of the cluster that ListTasks finds by `startedBy`, `family` and `desiredStatus`.

    Source: DescribeTasks' documentation: stopped tasks appear for at least an hour; here for no longer.

    """
    wanted = {"status": ask.get("desiredStatus", "RUNNING"), "cluster": cluster}
    wanted |= {key: ask[key] for key in ("startedBy", "family") if key in ask}
    now = account.cloud.clock()
    lag_s = account.cloud.list_lag_s
    shown = [each for each in account.one_offs.values() if each.created_at + lag_s <= now < each.ends_at + 3600]
    return [task.arn for task in shown if wanted.items() <= _marks(task, now).items()]


def _marks(task: OneOff, now: float) -> dict[str, str]:
    over = bool(task.stopped) or now >= task.ends_at
    return {
        "status": "STOPPED" if over else "RUNNING",
        "cluster": task.cluster,
        "startedBy": task.ask.get("startedBy", ""),
        "family": last_part(task.revision.arn).partition(":")[0],
    }


def describe(account: Account, task: OneOff, status: str = "") -> dict[str, Any]:
    """The task as DescribeTasks shows it; what it has to say is in its log from the first look on."""
    now, ends_at = account.cloud.clock(), task.created_at + task.script.lasts_s
    over = bool(task.stopped) or now >= ends_at + task.script.lingers_s
    ended = bool(task.stopped) or now >= ends_at
    status = status or ("STOPPED" if over else "RUNNING")
    began = task.script.exit is not None or task.script.began
    if status != "PROVISIONING" and began and not task.written:
        _write(account, task)
    own = "STOPPED" if ended and status != "PROVISIONING" else status
    return {
        "taskArn": task.arn,
        "taskDefinitionArn": task.revision.arn,
        "group": task.ask.get("group") or f"family:{last_part(task.revision.arn).partition(':')[0]}",
        "startedBy": task.ask.get("startedBy", ""),
        "createdAt": task.created_at,
        **({"startedAt": task.created_at} if status != "PROVISIONING" and began else {}),
        "lastStatus": status,
        "desiredStatus": "STOPPED" if over else "RUNNING",
        **({"stoppedReason": _reason(task), "stopCode": _code(task)} if status == "STOPPED" else {}),
        "containers": [_container(account, task, name, own) for name in task.revision.images],
    }


def _container(account: Account, task: OneOff, name: str, status: str) -> dict[str, Any]:
    ended = status == "STOPPED" and task.script.exit is not None
    return {
        "name": name,
        "image": task.revision.images[name],
        "imageDigest": resolve(account.cloud, task.revision.images[name]),
        "lastStatus": status,
        **({"exitCode": 137 if task.stopped else task.script.exit} if ended else {}),
        **({"reason": task.script.reason} if status == "STOPPED" and task.script.reason else {}),
    }


def _write(account: Account, task: OneOff) -> None:
    task.written = True
    for container in task.revision.members["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if container["name"] in _overrides(task.ask) and "awslogs-group" in options:
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{last_part(task.arn)}"
            group = regional(options["awslogs-group"], options.get("awslogs-region", REGION))
            for said in task.script.lines:
                write_log(account, group, stream, said)


def _overrides(ask: Ask) -> Mapping[str, list[str]]:
    listed = ask.get("overrides", {}).get("containerOverrides", [])
    return {each["name"]: each.get("command", []) for each in listed}


def _reason(task: OneOff) -> str:
    if task.stopped:
        return task.stopped
    never = task.script.exit is None and not task.script.began
    return task.script.reason or "Task failed to start" if never else "Essential container in task exited"


def _code(task: OneOff) -> str:
    if task.stopped:
        return "UserInitiated"
    never = task.script.exit is None and not task.script.began
    return "TaskFailedToStart" if never else "EssentialContainerExited"


OPERATIONS: Mapping[str, Operation] = {"RunTask": run_task, "StopTask": stop_task}
