"""Tasks that die: one after the other, with a reason, an exit code, and last lines in their log."""

from tests.cloud.accounts import REGION, Account, last_part
from tests.cloud.ecs_definitions import find_revision
from tests.cloud.ecs_deployments import Deployment
from tests.cloud.ecs_fates import Death
from tests.cloud.ecs_services import Service, add_task, tell
from tests.cloud.logs import regional, write_log

REMEMBERED = 720
"""The most tasks that died of which one look makes records: an hour of them, one every five seconds."""


def lose_tasks(account: Account, service: Service, deployment: Deployment, *, since: float, until: float) -> None:
    """One task has died at `since`, and one more every time until `until` that the deployment's fate says."""
    every_s = deployment.fate.every_s
    due = int((until - since) // every_s) + 1 if until >= since else 0
    first = max(deployment.died, due - REMEMBERED)
    for n in range(first, due):
        _die(account, service, deployment, n, since + n * every_s)
    if deployment.died < 3 <= due:
        sorry = f"(service {service.name}) is unable to consistently start tasks successfully."
        tell(service, sorry, since + 2 * every_s, account.cloud.next_id())
    deployment.died = max(deployment.died, due)


def _die(account: Account, service: Service, deployment: Deployment, n: int, at: float) -> None:
    """One task of the deployment has stopped as its fate says: a running one, else one that had hardly begun."""
    tasks = service.cluster.tasks.values()
    running = (task for task in tasks if task.deployment is deployment and task.status == "RUNNING")
    task = next(running, None) or add_task(account, service, deployment, service.desired + n)
    task.status, task.stopped_at, task.death = "STOPPED", at, deployment.fate.death or Death()
    deployment.running = max(0, deployment.running - 1)
    if deployment.fate.restarts:
        _restart(account, service, deployment, n, at)
    if task.death.exit is None:
        return
    ago_s = account.cloud.clock() - at
    for container in find_revision(account, deployment.revision).members["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if "awslogs-group" in options:
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{last_part(task.arn)}"
            group = regional(options["awslogs-group"], options.get("awslogs-region", REGION))
            for line in task.death.lines:
                write_log(account, group, stream, line, ago_s=ago_s)


def _restart(account: Account, service: Service, deployment: Deployment, n: int, at: float) -> None:
    """Another task runs in the place of the one that died.

    Source: the event as ECS's documentation of service events shows it.
    """
    task = add_task(account, service, deployment, service.desired + 1_000 + n)
    deployment.running += 1
    message = f"(service {service.name}) has started 1 tasks: (task {last_part(task.arn)})."
    tell(service, message, at + 0.001, account.cloud.next_id())
