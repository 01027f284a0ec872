"""A rollout under way is taken further from the hook that it waits on, or stopped, by a person's word.

Neither takes the tier's lock: whoever follows the rollout holds it, and these are for that very moment.
"""

from collections.abc import Callable, Iterable
from functools import partial

from deploytasks.aws import native
from deploytasks.aws.native import ServiceDeployment
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Complaint
from deploytasks.fleet import each
from deploytasks.journey.errand import images, reach
from deploytasks.journey.observe import observe
from deploytasks.journey.preflight import unfit
from deploytasks.model import Live, Project, Steered, Target

Steer = Callable[[Clients, Target, ServiceDeployment], str]
"""Does it, and says what was done; "" where there is nothing to do."""


def proceed(project: Project, targets: Iterable[Target], *, dry_run: bool) -> tuple[Steered, ...]:
    """Every rollout of the targets that waits on a hook goes on from there.

    Source: ecs ContinueServiceDeployment.

    """
    return _each(project, targets, partial(_continued, dry_run=dry_run), "no rollout waits on a hook")


def stop(project: Project, targets: Iterable[Target], *, back: bool, dry_run: bool) -> tuple[Steered, ...]:
    """Every rollout of the targets that is under way ends: `back` on what ran before, else where it stands.

    Source: ecs StopServiceDeployment.

    """
    return _each(project, targets, partial(_stopped, back=back, dry_run=dry_run), "no rollout is under way")


def _each(project: Project, targets: Iterable[Target], steer: Steer, otherwise: str) -> tuple[Steered, ...]:
    clients = reach()
    lives = observe(clients, targets, images(project), reading="none")
    return tuple(each(partial(_steered, project.name, clients, steer, otherwise), lives))


def _steered(project: str, clients: Clients, steer: Steer, otherwise: str, live: Live) -> Steered:
    target = live.target
    if live.complaint:
        return Steered(target, complaint=live.complaint)
    if not live.exists:
        what = f"there is no ECS service {target.ecs_service} in cluster {target.cluster}"
        return Steered(target, complaint=Complaint(str(target), what, "inv status shows what there is"))
    if complaint := next(unfit(live, project), None):
        return Steered(target, complaint=complaint)
    try:
        under_way = native.under_way(clients.of("ecs", target.access), target)
        done = steer(clients, target, under_way) if under_way else ""
    except AwsError as error:
        return Steered(target, complaint=error.complaints[0])
    return Steered(target, done or otherwise, changed=bool(done))


def _continued(clients: Clients, target: Target, waiting: ServiceDeployment, *, dry_run: bool) -> str:
    if not waiting.hook:
        return ""
    if not dry_run:
        native.proceed(clients.of("ecs", target.access), target, waiting)
    return f"goes on from hook {waiting.hook}"


def _stopped(clients: Clients, target: Target, under_way: ServiceDeployment, *, back: bool, dry_run: bool) -> str:
    if not dry_run:
        native.stop(clients.of("ecs", target.access), target, under_way.arn, back=back)
    return "stopped; ECS takes it back to what ran before" if back else "stopped where it stands"
