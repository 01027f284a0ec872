"""What starts a job: its schedule in EventBridge Scheduler, or the target of an EventBridge rule."""

from collections.abc import Mapping
from typing import Any

from deploytasks.aws import events, scheduler
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import JobSchedule, Schedule, Target
from deploytasks.rules import schedule as rules


def found(clients: Clients, target: Target, wanted: JobSchedule | None) -> Schedule | None:
    """Return what starts the job; None if nothing should, or if there is no such schedule yet.

    Raises:
        AwsError: an AWS call failed, the schedule runs another family, or the rule is missing or does not tell which
            of its targets is the job's.

    """
    if wanted is None or target.job is None:
        return None
    if target.job.rule:
        return _of_rule(clients.of("events", target.access), target, target.job.rule)
    client = clients.of("scheduler", target.access)
    told = scheduler.get_schedule(client, str(target), wanted.name, wanted.group)
    if told is None:
        return None
    if complaint := rules.foreign(told, target.family):
        raise AwsError(complaint)
    return Schedule(wanted.name, told["ScheduleExpression"], told.get("State") != "DISABLED", told)


def point(clients: Clients, target: Target, wanted: JobSchedule, there: Schedule | None) -> None:
    """Let the schedule, or the target of the rule, run the wanted revision; what is not named stays as it is there.

    Raises:
        AwsError: an AWS call failed.

    """
    where, sent = str(target), rules.pointed(wanted, there)
    if there and there.is_rule:
        events.put_target(clients.of("events", target.access), where, there.name, sent)
    elif there:
        scheduler.update_schedule(clients.of("scheduler", target.access), where, sent)
    else:
        scheduler.create_schedule(clients.of("scheduler", target.access), where, sent)


def _of_rule(client: Any, target: Target, name: str) -> Schedule:
    rule = events.describe_rule(client, str(target), name)
    if rule is None:
        to_do = "make it, since rules are never created; or fix `rule` in envs/"
        raise AwsError(Complaint(f"rule {name}", "there is none of that name", to_do))
    chosen: Mapping[str, Any] | Complaint = rules.rule_target(
        name, events.rule_targets(client, str(target), name), target.family
    )
    if isinstance(chosen, Complaint):
        raise AwsError(chosen)
    return Schedule(name, rule.expression, rule.is_enabled, chosen, is_rule=True)
