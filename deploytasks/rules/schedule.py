"""Schedules of jobs, and targets of rules: what is sent to AWS, what differs from what is there, and whose it is. Pure.

A schedule is EventBridge Scheduler's CreateSchedule request; a target is one of an EventBridge rule.

Sources: botocore's models of both services, and Scheduler's documentation of UpdateSchedule: what is left out of the
request is reset to its default.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from deploytasks.errors import Complaint
from deploytasks.model import DEFAULT_GROUP, Definition, JobSchedule, JobSettings, Schedule, Target

_DEFAULTS: Mapping[str, Any] = {
    "ActionAfterCompletion": "NONE",
    "GroupName": DEFAULT_GROUP,
    "ScheduleExpressionTimezone": "UTC",
    "State": "ENABLED",
    "Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration.AssignPublicIp": "DISABLED",
    "Target.EcsParameters.EnableECSManagedTags": False,
    "Target.EcsParameters.EnableExecuteCommand": False,
    "Target.EcsParameters.TaskCount": 1,
    "Target.RetryPolicy.MaximumEventAgeInSeconds": 86_400,
    "Target.RetryPolicy.MaximumRetryAttempts": 185,
}
"""Scheduler's defaults by dotted key. Sources: its user guide and the API reference of CreateSchedule and RunTask."""
_UNORDERED = frozenset({"CapacityProviderStrategy", "PlacementConstraints", "SecurityGroups", "Subnets", "Tags"})
_TIMES = frozenset({"EndDate", "StartDate"})


def job_schedule(target: Target, revision: str, named: Mapping[str, Any] | None, definition: Definition) -> JobSchedule:
    """Return what is to start a job's target; `named` is what its schedule's template names, None without one."""
    job = target.job or JobSettings()
    ecs = ecs_parameters(target.vars, definition)
    return JobSchedule(target.family, target.cluster, revision, job.schedule, job.schedule_role, named, ecs)


def ecs_parameters(variables: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """Return the EcsParameters of a job without a template: its network from `vars`, its launch type by its definition.

    Source: botocore's documentation of Scheduler's EcsParameters and AwsVpcConfiguration.
    """
    asked = definition.get("requiresCompatibilities") or ()
    launch_type = next((each for each in ("FARGATE", "EXTERNAL") if each in asked), "EC2")
    if definition.get("networkMode") != "awsvpc" or not variables.get("subnets"):
        return {"LaunchType": launch_type}
    network: dict[str, Any] = {"Subnets": _listed(variables["subnets"])}
    if variables.get("security_groups"):
        network["SecurityGroups"] = _listed(variables["security_groups"])
    if "assign_public_ip" in variables:
        network["AssignPublicIp"] = "ENABLED" if variables["assign_public_ip"] in (True, "ENABLED") else "DISABLED"
    return {"LaunchType": launch_type, "NetworkConfiguration": {"awsvpcConfiguration": network}}


def _listed(value: Any) -> Any:
    """Return a tuple as a list; anything else as it is, for the check of the request to refuse."""
    return list(value) if isinstance(value, tuple) else value


def request(job: JobSchedule, live: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the request that creates the job's schedule, or updates the live one and keeps what is not named.

    `live` is what GetSchedule returns, without its read-only members. `State` changes only if the template names it.
    """
    kept = {"FlexibleTimeWindow": {"Mode": "OFF"}, **_without_empty(live or {})}
    made = _overlaid(_overlaid(kept, _filled_in(job)), job.named)
    made["Target"]["EcsParameters"]["TaskDefinitionArn"] = job.revision
    return _exclusive(made, job.named.get("Target", {}))


def unstartable(asked: Mapping[str, Any], definition: Definition) -> Complaint | None:
    """Return why ECS would refuse to start the schedule's tasks, which nobody is told; None if nothing is known.

    Sources: RunTask's documentation of networkConfiguration; Scheduler's of LaunchType.
    """
    ecs, where = asked["Target"]["EcsParameters"], f"schedule {asked['Name']}"
    needs, has = definition.get("networkMode") == "awsvpc", bool(ecs.get("NetworkConfiguration"))
    if needs is not has:
        what = (
            "its tasks have the network mode awsvpc, and no subnets" if needs else "only tasks of awsvpc have subnets"
        )
        to_do = "set `vars.subnets`, or name NetworkConfiguration in the schedule template"
        return Complaint(
            where, what, to_do if needs else "leave NetworkConfiguration out, or use the network mode awsvpc"
        )
    launch_type, fits = ecs.get("LaunchType", ""), definition.get("requiresCompatibilities") or ()
    if launch_type and fits and launch_type not in fits:
        what = f"it asks for the launch type {launch_type}, and the definition is for {', '.join(fits)}"
        return Complaint(where, what, "name one of these in the schedule template, or leave LaunchType out")
    return None


def repointed(target: Mapping[str, Any], revision: str, named: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the whole target of a rule with another revision, and with the named keys laid over."""
    made = _overlaid(_overlaid(target, named or {}), {"EcsParameters": {"TaskDefinitionArn": revision}})
    whole: dict[str, Any] = _exclusive({"Target": made}, named or {})["Target"]
    return whole


def pointed(job: JobSchedule, there: Schedule | None) -> dict[str, Any]:
    """Return what to send for the job: the request of its schedule, or the whole target of its rule."""
    if there and there.is_rule:
        return repointed(there.told, job.revision, job.named.get("Target"))
    return request(job, there.told if there else None)


def changes(job: JobSchedule, there: Schedule | None) -> tuple[str, ...]:
    """Return the dotted keys that `pointed` would change, the revision's among them; all keys without a schedule."""
    if there and there.is_rule:
        return differing_keys({"Target": pointed(job, there)}, {"Target": there.told})
    return differing_keys(pointed(job, there), there.told if there else {})


def differing_keys(asked: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the dotted keys in which two schedules differ, sorted; never their values.

    Defaults, the order of lists and the spelling of JSON and times are no difference. A rule's targets are compared as
    `{"Target": …}`.
    """
    one, other = dict(_leaves(asked)), dict(_leaves(live))
    keys = sorted({*one, *other})
    return tuple(key for key in keys if one.get(key, _DEFAULTS.get(key)) != other.get(key, _DEFAULTS.get(key)))


def revision_of(live: Mapping[str, Any]) -> str:
    """Return the ARN of the task definition that the schedule, or the rule's target, runs; "" for no ECS task."""
    target = live.get("Target", live)
    return str(target.get("EcsParameters", {}).get("TaskDefinitionArn", ""))


def family_of(revision: str) -> str:
    """Return the family in a task definition's ARN, with or without a revision's number."""
    return revision.rpartition("/")[2].partition(":")[0]


def foreign(schedule: Mapping[str, Any], family: str) -> Complaint | None:
    """Return why the schedule is not the job's: it runs another family, or no ECS task at all; None if it is."""
    revision = revision_of(schedule)
    if revision and family_of(revision) == family:
        return None
    runs = f"the family {family_of(revision)}" if revision else "no ECS task"
    what = f"it exists and runs {runs}, not {family}"
    to_do = "delete it, let it run that family, or name another by `Name` in the job's schedule template"
    return Complaint(f"schedule {schedule.get('Name', '')}", what, to_do)


def rule_target(rule: str, targets: Sequence[Mapping[str, Any]], family: str) -> Mapping[str, Any] | Complaint:
    """Return the rule's target that runs the job: the one ECS target of its family, else the only ECS target.

    If neither is certain, return the complaint.
    """
    of_ecs = [each for each in targets if revision_of(each)]
    own = [each for each in of_ecs if family_of(revision_of(each)) == family]
    if len(own) == 1:
        return own[0]
    if len(of_ecs) == 1:
        return of_ecs[0]
    ids = ", ".join(str(each.get("Id", "")) for each in own or of_ecs)
    what = f"{len(own) or len(of_ecs)} of its targets run ECS tasks{f' of {family}' if own else ''}: {ids}"
    to_do = f"let exactly one of them run the family {family}, or name another rule"
    return Complaint(f"rule {rule}", what if of_ecs else "it has no ECS target", to_do)


def _without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without empty lists, which mean the same as no list, and some of which no request may hold."""
    listed = {key: _without_empty(each) if isinstance(each, Mapping) else each for key, each in value.items()}
    return {key: each for key, each in listed.items() if each not in ([], None)}


def _filled_in(job: JobSchedule) -> dict[str, Any]:
    """Return the members that the template need not name."""
    target: dict[str, Any] = {"Arn": _cluster_arn(job), "EcsParameters": dict(job.ecs) if job.template is None else {}}
    if job.role:
        target["RoleArn"] = job.role
    expression = {"ScheduleExpression": job.expression} if job.expression else {}
    return {"Name": job.family, "GroupName": DEFAULT_GROUP, **expression, "Target": target}


def _cluster_arn(job: JobSchedule) -> str:
    if job.cluster.startswith("arn:"):
        return job.cluster
    return f"{job.revision.partition(':task-definition/')[0]}:cluster/{job.cluster}"


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the upper object laid over the lower one, member by member; lists and scalars replace."""
    made = dict(below)
    for key, value in above.items():
        under = below.get(key)
        made[key] = value
        if isinstance(value, Mapping):
            made[key] = _overlaid(under if isinstance(under, Mapping) else {}, value)
    return made


def _exclusive(made: dict[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request without the kept members that AWS refuses beside those that the template names in its target.

    Sources: RunTask, where a launch type and capacity providers exclude each other; Scheduler's user guide, "Flexible
    time windows", whose window has a length only in the mode FLEXIBLE.
    """
    window, ecs = made.get("FlexibleTimeWindow", {}), made["Target"]["EcsParameters"]
    if window.get("Mode") == "OFF":
        made["FlexibleTimeWindow"] = {"Mode": "OFF"}
    if ecs.get("CapacityProviderStrategy") and "LaunchType" in ecs:
        own = named.get("EcsParameters", {})
        launches = "LaunchType" in own and "CapacityProviderStrategy" not in own
        dropped = "CapacityProviderStrategy" if launches else "LaunchType"
        made["Target"]["EcsParameters"] = {key: value for key, value in ecs.items() if key != dropped}
    return made


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys that hold something, each with its value in a form that compares."""
    for key, member in value.items():
        if isinstance(member, Mapping):
            yield from _leaves(member, f"{path}{key}.")
        elif member not in (None, "", []):
            yield f"{path}{key}", _comparable(key, member)


def _comparable(key: str, value: Any) -> Any:
    if key == "Input":
        with suppress(ValueError):
            return json.loads(value)
    if key in _TIMES:
        return _time(value)
    if key in _UNORDERED:
        return sorted(json.dumps(each, sort_keys=True) for each in value)
    return value


def _time(value: Any) -> Any:
    """Return the datetime for a datetime, ISO 8601 text or epoch seconds, which botocore accepts; else the value."""
    with suppress(ValueError, OverflowError):
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return value
