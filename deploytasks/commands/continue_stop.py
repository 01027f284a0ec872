"""Continue a rollout that waits on a hook, or stop a rollout.

Neither takes the tier's lock: the command that follows the rollout holds it, and these intervene while it runs.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from deploytasks.aws import service_deployments
from deploytasks.aws.session import Clients
from deploytasks.commands.context import reach
from deploytasks.commands.observe import NO_ROLLOUT, no_service, observe
from deploytasks.commands.preflight import unfit
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import Intervention, Live, Project, Target
from deploytasks.model.service_deployments import ServiceDeployment
from deploytasks.template.render import Renderer

_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
"""Pauses between looks that do not find the service deployment of a rollout which the service shows under way.

Source: botocore's documentation of RunTask: the ECS API is eventually consistent, so that a change may show some
seconds later.
"""
Intervene = Callable[[Clients, Target, ServiceDeployment], str]
"""Change the rollout and return what was done; "" if there was nothing to do."""


def proceed(project: Project, targets: Iterable[Target], *, dry_run: bool) -> tuple[Intervention, ...]:
    """Continue every rollout of the targets that waits on a hook.

    Source: ecs ContinueServiceDeployment.

    """
    return _each(project, targets, partial(_continued, dry_run=dry_run), "no rollout waits on a hook")


def stop(project: Project, targets: Iterable[Target], *, back: bool, dry_run: bool) -> tuple[Intervention, ...]:
    """Stop every rollout of the targets: with `back` ECS rolls it back to what ran before, else it stays as it is.

    Source: ecs StopServiceDeployment.

    """
    return _each(project, targets, partial(_stopped, back=back, dry_run=dry_run), "no rollout is under way")


def _each(
    project: Project, targets: Iterable[Target], intervene: Intervene, otherwise: str
) -> tuple[Intervention, ...]:
    clients = reach(project)
    listed = tuple(targets)
    targets = [target for target in listed if not target.job]
    lives = observe(clients, targets, renderer=Renderer(project), reading="none")
    done = each(partial(_intervention, project.name, clients, intervene, otherwise), lives)
    return (*done, *(Intervention(target, NO_ROLLOUT) for target in listed if target.job))


def _intervention(project: str, clients: Clients, intervene: Intervene, otherwise: str, live: Live) -> Intervention:
    target = live.target
    if live.complaint:
        return Intervention(target, complaint=live.complaint)
    if not live.exists:
        absent = Complaint(str(target), no_service(target), "inv status shows what there is")
        return Intervention(target, complaint=absent)
    if complaint := next(unfit(live, project), None):
        return Intervention(target, complaint=complaint)
    try:
        under_way = _under_way(clients.of("ecs", target.access), live)
        done = intervene(clients, target, under_way) if under_way else ""
    except AwsError as error:
        return Intervention(target, complaint=error.complaints[0])
    return Intervention(target, done or otherwise, changed=bool(done))


def _under_way(client: Any, live: Live) -> ServiceDeployment | None:
    """Return the target's unfinished service deployment; None if there is none.

    Raises:
        AwsError: ECS does not answer, or lists none for a deployment that it shows under way.

    """
    primary = live.primary if live.primary and live.primary.rollout_state == "IN_PROGRESS" else None
    for pause_s in (*_AGAIN_S, 0.0):
        found = service_deployments.under_way(client, live.target)
        if found or not primary or service_deployments.of(client, live.target, primary):
            return found
        time.sleep(pause_s)
    what = "its rollout is under way, but ECS lists no service deployment of it"
    raise AwsError.of(str(live.target), what, "run the same command again")


def _continued(clients: Clients, target: Target, waiting: ServiceDeployment, *, dry_run: bool) -> str:
    if not waiting.hook:
        return ""
    if not dry_run:
        service_deployments.proceed(clients.of("ecs", target.access), target, waiting)
    return f"goes on from hook {waiting.hook}"


def _stopped(clients: Clients, target: Target, under_way: ServiceDeployment, *, back: bool, dry_run: bool) -> str:
    if not dry_run:
        service_deployments.stop(clients.of("ecs", target.access), target, under_way.arn, back=back)
    return "stopped; ECS takes it back to what ran before" if back else "stopped where it stands"
