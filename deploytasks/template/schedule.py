"""Find offline what AWS refuses of a job's schedule, and what of a job's templates is for services. Pure.

Sources: botocore's models of EventBridge Scheduler and ECS, and Scheduler's user guide.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import StructureShape

from deploytasks import cron
from deploytasks.errors import Complaint
from deploytasks.model import LONGEST_SCHEDULE_NAME, JobSchedule, Target
from deploytasks.regions import partition_name
from deploytasks.rules.schedule import job_schedule, request
from deploytasks.template.rules import region_rules
from deploytasks.template.shape import Path, Problem, dotted, nearest, problems, request_shape

_ECS = ("Target", "EcsParameters")
_SETTINGS: Mapping[str | int, str] = {
    "RoleArn": "schedule_role",
    "Subnets": "vars.subnets",
    "SecurityGroups": "vars.security_groups",
    "AssignPublicIp": "vars.assign_public_ip",
}
"""Where in envs/ the members come from that no template makes; the others from `schedule`."""
_OBJECTS: tuple[tuple[str, ...], ...] = (("FlexibleTimeWindow",), ("Target",), _ECS)


def placeholder_revision(target: Target) -> str:
    """Return an ARN of the target's family, with which a schedule is tried before there is a revision."""
    place = f"{target.access.region}:{target.access.account}"
    return f"arn:{partition_name(target.access.region)}:ecs:{place}:task-definition/{target.family}:1"


def definition_problems(asked: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what does not fit the shape of a job's RegisterTaskDefinition request, keys of other requests among it."""
    foreign = {key: why for key in asked if (why := _for_another(key, "RegisterTaskDefinition"))}
    yield from (Problem((key,), *why) for key, why in foreign.items())
    own = {key: value for key, value in asked.items() if key not in foreign}
    yield from problems(own, request_shape("RegisterTaskDefinition"))


def schedule_problems(job: JobSchedule, region: str, containers: Collection[str] = ()) -> Iterator[Problem]:
    """Find what is wrong with a job's schedule, of which the template is one part and envs/ fills in the rest.

    `containers` are the names in the job's definition; without any, the names in `Input` are not compared with them.
    """
    if found := list(_unfit_objects(job.named)):
        yield from found
        return
    foreign = {key: why for key in job.named if (why := _for_another(key, "CreateSchedule"))}
    made = {key: value for key, value in request(job).items() if key not in foreign}
    found = [Problem((key,), *why) for key, why in foreign.items()]
    shape = request_shape("CreateSchedule", "scheduler")
    found += (each for each in problems(made, shape) if each.path != ("Name",))
    yield from [*_name(made), *found]
    if not found:
        for rule in _RULES:
            yield from rule(made, job)
        yield from _input(made, containers)
        yield from region_rules(made, region)


def unchecked(job: JobSchedule) -> str:
    """Return which part of the schedule can't be checked here: a time zone without a tz database; "" if none."""
    zone = job.named.get("ScheduleExpressionTimezone", "")
    return f"time zone {zone}: this machine has no tz database" if zone and not _is_zone("UTC") else ""


def target_problems(
    target: Target, named: Mapping[str, Any] | None, definition: Mapping[str, Any]
) -> Iterator[Problem]:
    """Find what is wrong with the schedule of a job's target, of which its template names this; None without one."""
    containers = [each["name"] for each in definition.get("containerDefinitions", ())]
    job = job_schedule(target, placeholder_revision(target), named, definition)
    return schedule_problems(job, target.access.region, containers)


def without_template(found: Iterable[Problem], target: Target) -> list[Complaint]:
    """Return the complaints about a schedule that no template makes: their place is the setting in envs/."""
    made: list[Complaint] = []
    for each in found:
        setting = next((_SETTINGS[step] for step in each.path if step in _SETTINGS), "schedule")
        place = str(target.origins.get(setting, setting))
        what = f"{dotted(each.path)}: {each.what}" if each.path else each.what
        made.append(Complaint(f"{place}: {target}", what, each.to_do, file=place))
    return made


def _for_another(key: str, operation: str) -> tuple[str, str] | None:
    """Return what is wrong with a key that another request of a job or a service has, and what to do; else None."""
    taken = request_shape(operation, "scheduler" if operation == "CreateSchedule" else "ecs")
    if key in taken.members:
        return None
    if key in request_shape("CreateSchedule", "scheduler").members:
        return "is a key of CreateSchedule", "write it into templates/<job>.schedule.json.j2"
    if key in request_shape("RegisterTaskDefinition").members:
        return "is a key of RegisterTaskDefinition", "write it into templates/<job>.json.j2"
    if key in request_shape("CreateService").members:
        return "is a key of CreateService; a job has no service", "leave it out"
    return None


def _unfit_objects(named: Mapping[str, Any]) -> Iterator[Problem]:
    """Find the objects of the template that are none; only objects can be filled in."""
    shape: Any = request_shape("CreateSchedule", "scheduler")
    for path in _OBJECTS:
        value, member = named, shape
        for step in path:
            value, member = value.get(step, {}), member.members[step]
        if not isinstance(value, Mapping):
            yield from problems(value, member, path)
            return
    if isinstance(named.get("Target", {}).get("Input"), Mapping):
        to_do = 'pass it through two filters: "Input": {{ {"containerOverrides": []} | tojson | tojson }}'
        yield Problem(("Target", "Input"), "an object where a string that holds JSON is due", to_do)


def _name(made: Mapping[str, Any]) -> Iterator[Problem]:
    name = made["Name"]
    if isinstance(name, str) and len(name) > LONGEST_SCHEDULE_NAME:
        what = f"'{name}' has {len(name)} characters, and a schedule's name at most {LONGEST_SCHEDULE_NAME}"
        yield Problem(("Name",), what, 'set a shorter `family` in envs/, or a "Name" in the job\'s schedule template')
        return
    yield from problems(name, request_shape("CreateSchedule", "scheduler").members["Name"], ("Name",))


def _ours(_: Mapping[str, Any], job: JobSchedule) -> Iterator[Problem]:
    """Find what deploytasks itself sets."""
    if "TaskDefinitionArn" in job.named.get("Target", {}).get("EcsParameters", {}):
        to_do = "leave it out: it is the one that was just registered"
        yield Problem((*_ECS, "TaskDefinitionArn"), "the revision is set here", to_do)
    if "ClientToken" in job.named:
        yield Problem(("ClientToken",), "each call has a token of its own", "leave it out")


def _target(made: Mapping[str, Any], job: JobSchedule) -> Iterator[Problem]:
    arn = made["Target"]["Arn"]
    due = request(JobSchedule(job.family, job.cluster, job.revision))["Target"]["Arn"]
    if ":service/" in arn:
        yield Problem(("Target", "Arn"), "an ECS service can't be started by a schedule", "leave it out: envs/ decides")
    elif arn != due:
        yield Problem(("Target", "Arn"), f"'{arn}', but envs/ says '{due}'", "leave it out, and envs/ decides")
    for key in made["Target"]:
        if key.endswith("Parameters") and key != "EcsParameters":
            yield Problem(("Target", key), "a job's schedule runs ECS tasks", "leave it out")


def _launch(made: Mapping[str, Any], job: JobSchedule) -> Iterator[Problem]:
    """Source: botocore's documentation of ECS's RunTask (launchType) and of Scheduler's AwsVpcConfiguration."""
    named, ecs = job.named.get("Target", {}).get("EcsParameters", {}), made["Target"]["EcsParameters"]
    if "LaunchType" in named and named.get("CapacityProviderStrategy"):
        yield Problem((*_ECS, "LaunchType"), "it excludes CapacityProviderStrategy", "leave one of the two out")
    vpc = ecs.get("NetworkConfiguration", {}).get("awsvpcConfiguration", {})
    if vpc.get("AssignPublicIp") == "ENABLED" and ecs.get("LaunchType", "FARGATE") != "FARGATE":
        path: Path = (*_ECS, "NetworkConfiguration", "awsvpcConfiguration", "AssignPublicIp")
        yield Problem(path, "ENABLED is for the launch type FARGATE alone", "leave it out, or write DISABLED")


def _window(made: Mapping[str, Any], job: JobSchedule) -> Iterator[Problem]:
    """Source: Scheduler's user guide, "Configuring flexible time windows"."""
    window = {**made["FlexibleTimeWindow"], **job.named.get("FlexibleTimeWindow", {})}
    length: Path = ("FlexibleTimeWindow", "MaximumWindowInMinutes")
    if window["Mode"] == "OFF" and "MaximumWindowInMinutes" in window:
        yield Problem(length, "only the mode FLEXIBLE has it", 'leave it out, or write "Mode": "FLEXIBLE"')
    if window["Mode"] == "FLEXIBLE" and "MaximumWindowInMinutes" not in window:
        yield Problem(length[:1], "the key 'MaximumWindowInMinutes' is missing", "write 1 to 1440, or the mode OFF")


def _expression(made: Mapping[str, Any], _: JobSchedule) -> Iterator[Problem]:
    for what, to_do in cron.faults(made["ScheduleExpression"]):
        yield Problem(("ScheduleExpression",), what, to_do)


def _zone(made: Mapping[str, Any], _: JobSchedule) -> Iterator[Problem]:
    from zoneinfo import available_timezones

    zone = made.get("ScheduleExpressionTimezone")
    if zone and _is_zone("UTC") and not _is_zone(zone):
        to_do = nearest(zone, sorted(available_timezones())) or "name one of the IANA time zones, e.g. Europe/Berlin"
        yield Problem(("ScheduleExpressionTimezone",), f"there is no time zone '{zone}'", to_do)


def _is_zone(name: str) -> bool:
    """Return whether this machine's tz database has the time zone; without one, there is none."""
    from zoneinfo import ZoneInfo  # 2 ms, which only jobs need

    try:
        return bool(ZoneInfo(name)) and not name.startswith(("posix", "right/", "localtime"))
    except (KeyError, OSError, ValueError):  # a missing name, a folder's, and one that is no path
        return False


def _times(made: Mapping[str, Any], _: JobSchedule) -> Iterator[Problem]:
    times: dict[str, datetime] = {}
    for key in ("StartDate", "EndDate"):
        value = made.get(key)
        try:
            if isinstance(value, str):
                at = datetime.fromisoformat(value)
                times[key] = at if at.tzinfo else at.replace(tzinfo=UTC)
        except ValueError:
            yield Problem((key,), f"'{value}' is not a valid time", "e.g. 2027-01-31T00:00:00Z")
    if len(times) > 1 and times["EndDate"] <= times["StartDate"]:
        yield Problem(("EndDate",), "it is not after StartDate")


_RULES: tuple[Callable[[Mapping[str, Any], JobSchedule], Iterator[Problem]], ...] = (
    _ours,
    _target,
    _launch,
    _window,
    _expression,
    _zone,
    _times,
)


def _input(made: Mapping[str, Any], containers: Collection[str]) -> Iterator[Problem]:
    """Source: ECS developer guide, scheduled tasks: the input is RunTask's `overrides` as JSON."""
    path: Path = ("Target", "Input")
    if "Input" not in made["Target"]:
        return
    try:
        overrides = json.loads(made["Target"]["Input"])
    except (ValueError, RecursionError) as error:
        yield Problem(path, f"what it holds is not JSON: {error}", 'e.g. "Input": {{ {…} | tojson | tojson }}')
        return
    shape = request_shape("RunTask").members["overrides"]
    assert isinstance(shape, StructureShape)
    if found := list(problems(overrides, shape, path)):
        yield from found
        return
    for index, override in enumerate(overrides.get("containerOverrides", [])):
        if (name := override.get("name")) not in containers and containers:
            what = f"the job's definition has no container '{name}'"
            yield Problem((*path, "containerOverrides", index), what, nearest(str(name), sorted(containers)))
