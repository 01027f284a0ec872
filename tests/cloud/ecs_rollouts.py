"""What time does to ECS services: an update becomes a deployment, a deployment becomes tasks, or dies and is undone."""

import zlib
from collections import deque
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from tests.cloud.accounts import REGION, Account, Cloud, last_part
from tests.cloud.ecr import resolve
from tests.cloud.ecs_definitions import Revision, find_revision
from tests.cloud.ecs_deployments import OVER, Deployment, Hook, ServiceDeployment, revision_arn
from tests.cloud.ecs_fates import NEVER_STARTED, Death, Fate
from tests.cloud.ecs_services import EVENTS, HOURS_6, Cluster, Service, Task, add_task, open_record, quiet_events, tell
from tests.cloud.logs import regional, write_log

NEVER = float("inf")
TRIPPED = "ECS deployment circuit breaker: tasks failed to start."
STOPPED = "Service deployment was stopped by user."
_REMEMBERED = 720
"""The most tasks that died of which one look makes records: an hour of them, one every five seconds."""


def open_service(account: Account, cluster: Cluster, name: str, desired: int, at: float | None = None) -> Service:
    """A service with no deployment yet at that time (now); `start` gives it one."""
    now = account.cloud.clock() if at is None else at
    arn = account.arn("ecs", f"service/{cluster.name}/{name}")
    past = quiet_events(name, now // 86400 * 86400)
    events = deque(past, maxlen=EVENTS)
    service = Service(name, arn, cluster, account, desired, now - EVENTS * HOURS_6, events)
    cluster.services[name] = service
    return service


def start(account: Account, service: Service, revision: Revision, at: float | None = None) -> Deployment:
    """A new PRIMARY deployment of the revision, since `at` (now); it resolves tags, and dies for want of an image."""
    cloud = account.cloud
    now = cloud.clock() if at is None else at
    fate: Fate = cloud.fates(account, service, revision) if cloud.fates else Fate()
    digests = {name: resolve(cloud, image) for name, image in revision.images.items()}
    found = {name: digest for name, digest in digests.items() if digest}
    if len(found) < len(digests):
        fate = replace(fate, death=NEVER_STARTED, sick_s=None)
    name = f"ecs-svc/{10**18 + cloud.next_id()}"
    ends_at = now + _lasts(service, name, fate)
    deployment = Deployment(
        *(name, revision.arn, dict(revision.images), found, now, ends_at, service.desired),
        fate=fate,
    )
    source = next((each for each in service.deployments if each.state == "COMPLETED"), None)
    if service.history and service.history[0].status not in OVER:
        service.history[0].end("STOPPED", now, "A new service deployment started.")
    service.history.insert(0, open_record(service, deployment, source))
    _place(service, deployment)
    return deployment


def _lasts(service: Service, name: str, fate: Fate) -> float:
    """How long a deployment of that name takes, in seconds."""
    cloud = service.account.cloud
    if fate.doomed or fate.lasts_s is not None:
        return NEVER if fate.doomed or fate.lasts_s is None else fate.lasts_s
    if not cloud.spread or not cloud.rollout_s:
        return cloud.rollout_s
    return cloud.rollout_s * (1 + cloud.spread * (_chance(service.arn) + _chance(service.arn + name) / 5))


def _chance(name: str) -> float:
    """A number from -1 to 1, always the same for the same name."""
    return zlib.crc32(name.encode()) / 0x7FFFFFFF - 1


def _place(service: Service, deployment: Deployment) -> None:
    for older in service.deployments:
        older.status = "ACTIVE"
    service.deployments.insert(0, deployment)
    message = f"(service {service.name}) has started {service.desired} tasks."
    tell(service, message, deployment.created_at, int(deployment.number))


def settle(account: Account, service: Service) -> None:
    """The service as it is by now: what was due since the last look has happened, in its order."""
    now = account.cloud.clock()
    while _goes_on(account, service, service.deployments[0], now):
        pass
    for older in service.deployments[1:]:
        if older.fails_at is not None and now >= older.fails_at:
            older.state, older.fails_at = "FAILED", None


def _goes_on(account: Account, service: Service, primary: Deployment, now: float) -> bool:
    """Whether something happened to the primary after which more may be due."""
    if primary.state == "COMPLETED" and primary.fate.sick_s is not None:
        _lose_tasks(account, service, primary, since=primary.ends_at + primary.fate.sick_s, until=now)
    if primary.state != "IN_PROGRESS":
        return False
    record = service.history[0]
    if record.stop:
        return _obey(account, service, record, now)
    hook = record.waits_at
    if hook and now >= hook.at:
        return _halt(account, service, hook, now)
    if primary.fate.doomed:
        return _fall(account, service, primary, now)
    if now < primary.ends_at:
        return False
    if not _is_success(service, primary):
        primary.running = primary.fate.stays_at or 0
        return False
    _complete(account, service, primary)
    return True


def _is_success(service: Service, primary: Deployment) -> bool:
    """Whether so many tasks run that ECS calls the deployment successful.

    Source: botocore's DeploymentEarlySuccessCriteria: `healthyPercent` of the desired count; else all of them.
    """
    early = service.configuration.get("earlySuccessCriteria", {})
    percent = early.get("healthyPercent", 100) if early.get("enable") else 100
    reached = service.desired if primary.fate.stays_at is None else primary.fate.stays_at
    return reached * 100 >= percent * service.desired


def _complete(account: Account, service: Service, primary: Deployment) -> None:
    """The primary is COMPLETED and has replaced the others."""
    at = max(primary.ends_at, primary.created_at)
    primary.state, primary.desired, primary.reason, primary.updated_at = "COMPLETED", service.desired, "", at
    primary.running = min(service.desired, service.desired if primary.fate.stays_at is None else primary.fate.stays_at)
    service.deployments = [primary]
    _stop((task for task in service.cluster.tasks.values() if task.service == service.name), at)
    for n in range(primary.running):
        add_task(account, service, primary, n)
    message = f"(service {service.name}) (deployment {primary.id}) deployment completed."
    tell(service, message, at, account.cloud.next_id())
    service.history[0].end("ROLLBACK_SUCCESSFUL" if service.history[0].rollback else "SUCCESSFUL", at)


def _stop(tasks: Iterable[Task], at: float) -> None:
    """The scheduler has stopped those of the tasks that ran."""
    for task in tasks:
        if task.status == "RUNNING":
            task.status, task.stopped_at = "STOPPED", at


def _fall(account: Account, service: Service, primary: Deployment, now: float) -> bool:
    """The tasks of a doomed primary have died until now; True where the circuit breaker has tripped over it."""
    trips_at = primary.created_at + primary.fate.trips_s if service.breaker else NEVER
    _lose_tasks(account, service, primary, since=primary.created_at + primary.fate.every_s, until=min(now, trips_at))
    if now < trips_at:
        return False
    service.history[0].tripped = True
    if service.breaker.get("rollback") and not service.history[0].rollback:
        go_back(account, service, trips_at, TRIPPED)
    else:
        give_up(service, trips_at, TRIPPED)
    return True


def _lose_tasks(account: Account, service: Service, deployment: Deployment, *, since: float, until: float) -> None:
    """One task has died at `since`, and one more every time until `until` that the deployment's fate says."""
    every_s = deployment.fate.every_s
    due = int((until - since) // every_s) + 1 if until >= since else 0
    first = max(deployment.died, due - _REMEMBERED)
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


def give_up(service: Service, at: float, reason: str) -> None:
    """The primary is FAILED, and nothing is put in its place."""
    primary, record = service.deployments[0], service.history[0]
    primary.state, primary.reason = "FAILED", reason
    _say_failed(service, primary, at, reason)
    record.end("ROLLBACK_FAILED" if record.rollback else "STOPPED", at, reason)


def go_back(account: Account, service: Service, at: float, reason: str) -> None:
    """The primary is FAILED, and the revision of the last completed deployment is rolled out again, if there is one."""
    failed, record = service.deployments[0], service.history[0]
    before = next((each for each in service.deployments if each.state == "COMPLETED"), None)
    record.rollback = {"reason": reason, "startedAt": at}
    if before is None:
        give_up(service, at, reason)
        return
    failed.fails_at, failed.reason, failed.desired = at + failed.fate.lags_s, reason, 0
    _say_failed(service, failed, at, reason)
    fate = failed.fate.back or Fate()
    name = f"ecs-svc/{10**18 + account.cloud.next_id()}"
    ends_at = at + _lasts(service, name, fate)
    back = Deployment(
        *(name, before.revision, before.images, before.digests, at, ends_at, service.desired),
        reason=f"ECS deployment circuit breaker: rolling back to deploymentId {name}.",
        fate=fate,
    )
    record.rollback["serviceRevisionArn"] = revision_arn(record.arn, before)
    record.status, record.reason, record.updated_at = "ROLLBACK_IN_PROGRESS", reason, at
    tell(service, f"(service {service.name}) rolling back to deployment {back.id}.", at, int(back.number))
    _place(service, back)


def _say_failed(service: Service, failed: Deployment, at: float, reason: str) -> None:
    """The event; ECS leaves out of it who found the failure."""
    what = "tasks failed to start." if reason == TRIPPED else reason
    message = f"(service {service.name}) (deployment {failed.id}) deployment failed: {what}"
    tell(service, message, at, int(failed.number) << 1)


def _obey(account: Account, service: Service, record: ServiceDeployment, now: float) -> bool:
    """What StopServiceDeployment asked for is done, once its time has come."""
    how, asked_at = record.stop or ("", NEVER)
    at = asked_at + service.deployments[0].fate.obeys_s
    if now < at:
        return False
    record.stop = None
    if how == "ROLLBACK":
        go_back(account, service, at, STOPPED)
    else:
        give_up(service, at, STOPPED)
    return True


def _halt(account: Account, service: Service, hook: Hook, now: float) -> bool:
    """The deployment waits at the hook; True where it has waited too long and its timeout action was taken."""
    hook.status = "AWAITING_ACTION"
    if now < hook.expires_at:
        return False
    hook.status = "TIMED_OUT"
    if hook.on_timeout == "CONTINUE":
        go_on(service, hook, hook.expires_at)
    else:
        go_back(account, service, hook.expires_at, f"Lifecycle hook {hook.id} timed out.")
    return True


def go_on(service: Service, hook: Hook, at: float) -> None:
    """All that was still to come after the hook comes as much later as the deployment has waited there."""
    waited_s = at - hook.at
    service.deployments[0].ends_at += waited_s
    for later in service.history[0].hooks:
        if not later.status:
            later.at += waited_s


def last_rollouts(cloud: Cloud) -> list[dict[str, Any]]:
    """Every service with when its newest service deployment began and ended (None: it goes on), in seconds."""
    found = []
    for account in cloud.accounts.values():
        for service in (service for cluster in account.clusters.values() for service in cluster.services.values()):
            settle(account, service)
            record = service.history[0]
            times = {"began": record.deployment.created_at, "ended": record.finished_at}
            found.append({"service": service.arn, "status": record.status, **times})
    return found
