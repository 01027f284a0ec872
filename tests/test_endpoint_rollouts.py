"""The endpoint's rollouts end as ECS's do: they complete, die, are undone or stopped, wait at hooks, fall ill later."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cloud.ecs_fates import NEVER_STARTED, Death, Fate
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import IMAGE, SERVICE, World
from tests.test_endpoint import CLUSTER, ONE, client_of, error_of, next_revision, over_http, service_of

pytestmark = pytest.mark.slow

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
BLUE_GREEN = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
START = 4_000_000_000.0
"""When each test begins, in seconds; the world was prepared long before."""
DIES = Fate(death=Death(lines=["no database"], why="OOM"))


class Stand:
    """One tenant's service in a cloud whose clock moves only when told to."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.now = endpoint, START
        endpoint.cloud.clock = lambda: self.now
        self.ecs, self.logs = client_of(endpoint, "ecs"), client_of(endpoint, "logs")

    def roll(self, fate: Fate | None = None, **members: Any) -> Any:
        """A new deployment of another definition, that has this fate: the service as UpdateService answers it."""
        self.endpoint.cloud.fates = lambda _account, _service, _revision: fate or Fate()
        return self.ecs.update_service(
            cluster=CLUSTER,
            service=SERVICE,
            taskDefinition=next_revision(self.ecs, f"{IMAGE}:prod"),
            **({"deploymentConfiguration": members} if members else {}),
        )["service"]

    def later(self, seconds: float) -> Any:
        """The service some time later."""
        self.now += seconds
        return service_of(self.ecs)

    def states(self) -> list[tuple[str, str, int]]:
        return [(one["status"], one["rolloutState"], one["runningCount"]) for one in self.later(0)["deployments"]]

    def record(self) -> Any:
        """The current service deployment."""
        arn = service_of(self.ecs)["currentServiceDeployment"]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def stop(self, **members: Any) -> Any:
        arn = service_of(self.ecs)["currentServiceDeployment"]
        return self.ecs.stop_service_deployment(serviceDeploymentArn=arn, **members)

    def go_on(self, **members: Any) -> Any:
        record = self.record()
        hook = record["lifecycleHookDetails"][-1]["hookId"]
        members = {"hookId": hook, **members}
        return self.ecs.continue_service_deployment(serviceDeploymentArn=record["serviceDeploymentArn"], **members)

    def dead(self) -> list[Any]:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE, desiredStatus="STOPPED")["taskArns"]
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []

    def events(self) -> list[str]:
        return [event["message"] for event in service_of(self.ecs)["events"]]


def moment(seconds: float) -> datetime:
    """So long after the test's start."""
    return datetime.fromtimestamp(START + seconds, UTC)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Endpoint(World(), latency_s=0, rollout_s=60) as endpoint:
        made = Stand(endpoint)
        yield made
        made.ecs.close()
        made.logs.close()


def test_without_a_breaker_a_dying_deployment_goes_on_for_ever_and_counts(stand: Stand) -> None:
    stand.roll(DIES)
    primary, before = stand.later(22)["deployments"]
    assert (primary["rolloutState"], primary["runningCount"], primary["failedTasks"]) == ("IN_PROGRESS", 0, 4)
    assert (before["status"], before["runningCount"]) == ("ACTIVE", 2)
    assert stand.later(3600)["deployments"][0]["failedTasks"] == 724
    assert stand.states()[0] == ("PRIMARY", "IN_PROGRESS", 0)


def test_a_task_that_died_says_why_and_has_left_its_lines_in_the_log(stand: Stand) -> None:
    options = {"awslogs-group": "/api", "awslogs-stream-prefix": "app", "awslogs-region": "us-east-1"}
    container = {"name": SERVICE, "image": f"{IMAGE}:prod", "memory": 64}
    logged = {**container, "logConfiguration": {"logDriver": "awslogs", "options": options}}
    made = stand.ecs.register_task_definition(family="api", containerDefinitions=[logged])["taskDefinition"]
    stand.endpoint.cloud.fates = lambda *_: DIES
    update = {"cluster": CLUSTER, "service": SERVICE, "taskDefinition": made["taskDefinitionArn"]}
    deployment = stand.ecs.update_service(**update)["service"]["deployments"][0]["id"]
    stand.now += 5
    (task,) = stand.dead()
    assert (task["stopCode"], task["startedBy"]) == ("EssentialContainerExited", deployment)
    assert task["stoppedReason"] == "Essential container in task exited"
    assert (task["containers"][0]["exitCode"], task["containers"][0]["reason"]) == (1, "OOM")
    stream = f"app/{SERVICE}/{task['taskArn'].rsplit('/', 1)[-1]}"
    events = stand.logs.get_log_events(logGroupName="/api", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["no database"]


def test_a_task_that_never_started_has_no_exit_code(stand: Stand) -> None:
    stand.roll(Fate(death=NEVER_STARTED))
    stand.later(5)
    (task,) = stand.dead()
    assert task["stopCode"] == "TaskFailedToStart"
    assert "exitCode" not in task["containers"][0]


def test_tasks_of_an_image_that_is_not_there_fail_to_start(stand: Stand) -> None:
    missing = next_revision(stand.ecs, f"{IMAGE}:nobody-pushed-this")
    stand.ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=missing)
    assert stand.later(600)["deployments"][0]["failedTasks"] == 120
    assert {task["stopCode"] for task in stand.dead()} == {"TaskFailedToStart"}


def test_a_breaker_with_rollback_goes_back_to_the_last_completed_revision(stand: Stand) -> None:
    completed = service_of(stand.ecs)["deployments"][0]
    bad = stand.roll(DIES, **BREAKER)["deployments"][0]
    assert stand.states() == [("PRIMARY", "IN_PROGRESS", 0), ("ACTIVE", "COMPLETED", 2)]

    back, failed, before = stand.later(30)["deployments"]
    assert (back["status"], back["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert back["taskDefinition"] == completed["taskDefinition"] == before["taskDefinition"]
    assert back["id"] not in (completed["id"], bad["id"])
    assert (failed["id"], failed["status"], failed["rolloutState"]) == (bad["id"], "ACTIVE", "FAILED")
    assert failed["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert stand.events()[1:3] == [
        f"(service api) rolling back to deployment {back['id']}.",
        f"(service api) (deployment {bad['id']}) deployment failed: tasks failed to start.",
    ]
    (only,) = stand.later(60)["deployments"]
    assert (only["id"], only["rolloutState"], only["runningCount"]) == (back["id"], "COMPLETED", 2)


def test_the_failed_deployment_may_say_for_a_while_that_it_is_in_progress(stand: Stand) -> None:
    stand.roll(Fate(death=Death(), lags_s=20), **BREAKER)
    back, failed, _ = stand.later(40)["deployments"]
    assert (back["rolloutState"], failed["rolloutState"]) == ("IN_PROGRESS", "IN_PROGRESS")
    assert back["rolloutStateReason"].endswith(f"rolling back to deploymentId {back['id']}.")
    assert failed["rolloutStateReason"] == f"ECS deployment {failed['id']} in progress."
    assert stand.later(10)["deployments"][1]["rolloutState"] == "FAILED"


def test_a_breaker_without_rollback_leaves_the_failed_deployment_where_it_is(stand: Stand) -> None:
    stand.roll(DIES, deploymentCircuitBreaker={"enable": True, "rollback": False})
    stand.now += 3600
    assert stand.states() == [("PRIMARY", "FAILED", 0), ("ACTIVE", "COMPLETED", 2)]
    record = stand.record()
    assert (record["status"], record["deploymentCircuitBreaker"]["status"]) == ("STOPPED", "TRIGGERED")
    assert record["stoppedAt"] == record["finishedAt"] == moment(30)


def test_a_rollback_can_fail_too(stand: Stand) -> None:
    stand.roll(Fate(death=Death(), back=DIES), **BREAKER)
    stand.now += 60
    assert stand.states()[0] == ("PRIMARY", "FAILED", 0)
    assert stand.record()["status"] == "ROLLBACK_FAILED"


def test_a_first_deployment_has_nothing_to_go_back_to(stand: Stand) -> None:
    stand.endpoint.cloud.fates = lambda *_: DIES
    members = {"cluster": CLUSTER, "taskDefinition": next_revision(stand.ecs, f"{IMAGE}:prod")}
    stand.ecs.create_service(**members, serviceName="worker", deploymentConfiguration=BREAKER)
    stand.now += 30
    (worker,) = stand.ecs.describe_services(cluster=CLUSTER, services=["worker"])["services"]
    assert [one["rolloutState"] for one in worker["deployments"]] == ["FAILED"]


def test_a_deployment_that_completed_becomes_unhealthy_later(stand: Stand) -> None:
    stand.roll(Fate(sick_s=20, death=Death()))
    (well,) = stand.later(79)["deployments"]
    assert (well["rolloutState"], well["runningCount"], well["failedTasks"]) == ("COMPLETED", 2, 0)
    (ill,) = stand.later(1)["deployments"]
    assert (ill["rolloutState"], ill["runningCount"], ill["failedTasks"]) == ("COMPLETED", 1, 0)
    (dead,) = stand.later(60)["deployments"]
    assert (dead["runningCount"], dead["failedTasks"], dead["desiredCount"]) == (0, 0, 2)


def test_a_service_deployment_tells_its_rollout_from_pending_to_successful(stand: Stand) -> None:
    rolled = stand.roll(Fate(pending_s=5))
    number = rolled["deployments"][0]["id"].partition("/")[2]
    record = stand.record()
    assert record["status"] == "PENDING" and "startedAt" not in record
    assert record["serviceDeploymentArn"] == rolled["currentServiceDeployment"]
    prefix = f"arn:aws:ecs:us-east-1:{ONE}:service-deployment/{CLUSTER}/{SERVICE}/"
    name = record["serviceDeploymentArn"].removeprefix(prefix)
    assert (len(name), name.isalnum()) == (22, True)
    assert record["targetServiceRevision"] == {
        "arn": f"arn:aws:ecs:us-east-1:{ONE}:service-revision/{CLUSTER}/{SERVICE}/{number}",
        **{"requestedTaskCount": 2, "runningTaskCount": 0, "pendingTaskCount": 2},
    }
    stand.now += 5
    assert stand.record()["status"] == "IN_PROGRESS"
    stand.now += 55
    record = stand.record()
    assert (record["status"], record["lifecycleStage"]) == ("SUCCESSFUL", "CLEAN_UP")
    assert record["finishedAt"] == moment(60)
    assert record["deploymentConfiguration"]["strategy"] == "ROLLING"


def test_a_rollback_belongs_to_the_service_deployment_that_it_undoes(stand: Stand) -> None:
    source = stand.record()["targetServiceRevision"]["arn"]
    rolled = stand.roll(DIES, **BREAKER)
    stand.now += 30
    record = stand.record()
    assert (record["serviceDeploymentArn"], record["status"]) == (
        rolled["currentServiceDeployment"],
        "ROLLBACK_IN_PROGRESS",
    )
    assert record["rollback"] == {
        "reason": "ECS deployment circuit breaker: tasks failed to start.",
        "startedAt": moment(30),
        "serviceRevisionArn": source,
    }
    assert record["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 6, "threshold": 3}
    stand.now += 60
    assert stand.record()["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_newer_deployment_stops_the_one_under_way(stand: Stand) -> None:
    arn = stand.roll()["currentServiceDeployment"]
    stand.roll()
    (older,) = stand.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
    assert older["status"] == "STOPPED"
    assert stand.record()["serviceDeploymentArn"] != arn


def test_service_deployments_are_listed_newest_first_by_status_and_time(stand: Stand) -> None:
    def listed(**members: Any) -> list[str]:
        asked = {"cluster": CLUSTER, "service": SERVICE, **members}
        return [one["status"] for one in stand.ecs.list_service_deployments(**asked)["serviceDeployments"]]

    stand.later(100)
    stand.roll()
    stand.later(100)
    stand.roll()
    assert listed() == ["IN_PROGRESS", "SUCCESSFUL", "SUCCESSFUL"]
    assert listed(status=["IN_PROGRESS"]) == ["IN_PROGRESS"]
    middle = moment(100)
    assert listed(createdAt={"after": middle, "before": middle}) == ["SUCCESSFUL"]
    assert listed(createdAt={"after": moment(101)}) == ["IN_PROGRESS"]
    first = stand.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE, maxResults=2)
    assert len(first["serviceDeployments"]) == 2
    assert listed(nextToken=first["nextToken"]) == ["SUCCESSFUL"]


def test_twenty_are_described_a_call_and_missing_ones_are_failures(stand: Stand) -> None:
    arn = f"arn:aws:ecs:us-east-1:{ONE}:service-deployment/{CLUSTER}/{SERVICE}/no"
    answer = stand.ecs.describe_service_deployments(serviceDeploymentArns=[arn])
    assert (answer["serviceDeployments"], answer["failures"]) == ([], [{"arn": arn, "reason": "MISSING"}])
    code = error_of(stand.ecs.describe_service_deployments, serviceDeploymentArns=[f"{arn}{n}" for n in range(21)])
    assert code == "InvalidParameterException"


def test_service_revisions_tell_the_definition_and_the_digests_that_were_rolled_out(stand: Stand) -> None:
    listed = stand.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
    arns = [one["targetServiceRevisionArn"] for one in listed]
    answer = stand.ecs.describe_service_revisions(serviceRevisionArns=[*arns, f"{arns[0]}1"])
    (told,) = answer["serviceRevisions"]
    assert told["taskDefinition"] == service_of(stand.ecs)["taskDefinition"]
    assert [one["imageDigest"][:7] for one in told["containerImages"]] == ["sha256:"]
    assert answer["failures"] == [{"arn": f"{arns[0]}1", "reason": "MISSING"}]


def test_stopping_rolls_back_even_where_no_breaker_is_configured(stand: Stand) -> None:
    before = service_of(stand.ecs)["taskDefinition"]
    stand.roll(Fate(lasts_s=600, obeys_s=10))
    stand.stop()
    assert stand.record()["status"] == "ROLLBACK_REQUESTED"
    stand.stop()
    stand.now += 10
    assert stand.record()["status"] == "ROLLBACK_IN_PROGRESS"
    assert stand.later(60)["taskDefinition"] == before
    assert stand.record()["status"] == "ROLLBACK_SUCCESSFUL"
    assert error_of(stand.stop) == "ConflictException"


def test_aborting_leaves_things_as_they_are(stand: Stand) -> None:
    rolled = stand.roll(Fate(lasts_s=600, obeys_s=10))
    stand.stop(stopType="ABORT")
    assert stand.record()["status"] == "STOP_REQUESTED"
    stand.now += 10
    assert stand.record()["status"] == "STOPPED"
    assert stand.states() == [("PRIMARY", "FAILED", 0), ("ACTIVE", "COMPLETED", 2)]
    assert service_of(stand.ecs)["taskDefinition"] == rolled["taskDefinition"]


def test_what_is_over_or_unknown_cannot_be_stopped(stand: Stand) -> None:
    assert error_of(stand.stop) == "ConflictException"
    arn = f"arn:aws:ecs:us-east-1:{ONE}:service-deployment/{CLUSTER}/{SERVICE}/no"
    for call in (
        lambda: stand.ecs.stop_service_deployment(serviceDeploymentArn=arn),
        lambda: stand.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId="x"),
    ):
        assert error_of(call) == "ServiceDeploymentNotFoundException"


def test_a_region_without_service_deployments_answers_none_of_their_calls(stand: Stand) -> None:
    arn = stand.record()["serviceDeploymentArn"]
    stand.endpoint.cloud.native = False
    assert "currentServiceDeployment" not in service_of(stand.ecs)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: stand.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE),
        lambda: stand.ecs.describe_service_deployments(serviceDeploymentArns=[arn]),
        lambda: stand.ecs.stop_service_deployment(serviceDeploymentArn=arn),
        lambda: stand.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId="x"),
    )
    assert {error_of(call) for call in calls} == {"UnknownOperationException"}


def test_a_pause_hook_is_waited_at_until_somebody_continues(stand: Stand) -> None:
    stand.roll(**BLUE_GREEN)
    assert "lifecycleHookDetails" not in stand.record()
    stand.now += 600
    record = stand.record()
    assert (record["status"], record["lifecycleStage"]) == ("IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT")
    (hook,) = record["lifecycleHookDetails"]
    assert (hook["targetType"], hook["status"]) == ("PAUSE", "AWAITING_ACTION")
    assert error_of(stand.go_on, hookId="other") == "InvalidParameterException"

    stand.go_on()
    assert stand.record()["lifecycleHookDetails"][0]["status"] == "SUCCEEDED"
    assert stand.states()[0] == ("PRIMARY", "IN_PROGRESS", 0)
    stand.now += 60
    assert stand.states() == [("PRIMARY", "COMPLETED", 2)]


def test_a_pause_hook_can_be_answered_with_a_rollback(stand: Stand) -> None:
    before = service_of(stand.ecs)["taskDefinition"]
    stand.roll(**BLUE_GREEN)
    stand.now += 60
    stand.go_on(action="ROLLBACK")
    assert stand.record()["status"] == "ROLLBACK_IN_PROGRESS"
    assert stand.later(60)["taskDefinition"] == before
    assert stand.states() == [("PRIMARY", "COMPLETED", 2)]


@pytest.mark.parametrize(("action", "ends"), [("CONTINUE", "SUCCESSFUL"), ("ROLLBACK", "ROLLBACK_SUCCESSFUL")])
def test_a_hook_that_nobody_answers_takes_its_timeout_action(stand: Stand, action: str, ends: str) -> None:
    hook = {**PAUSE, "timeoutConfiguration": {"timeoutInMinutes": 5, "action": action}}
    stand.roll(strategy="CANARY", lifecycleHooks=[hook])
    stand.now += 320
    assert stand.record()["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION"
    stand.now += 120
    assert stand.record()["status"] == ends


def test_a_paused_deployment_can_be_stopped(stand: Stand) -> None:
    stand.roll(**BLUE_GREEN)
    stand.later(60)
    stand.stop()
    stand.later(60)
    assert stand.record()["status"] == "ROLLBACK_SUCCESSFUL"


def test_one_off_tasks_are_listed_by_who_started_them_and_by_family(stand: Stand) -> None:
    revision = next_revision(stand.ecs, f"{IMAGE}:prod")
    run = {"cluster": CLUSTER, "taskDefinition": revision, "startedBy": "deploytasks"}
    arn = stand.ecs.run_task(**run)["tasks"][0]["taskArn"]

    def listed(**members: Any) -> list[str]:
        return list(stand.ecs.list_tasks(cluster=CLUSTER, **members)["taskArns"])

    assert listed(startedBy="deploytasks", desiredStatus="STOPPED") == [arn]
    assert listed(family="api", desiredStatus="STOPPED") == [arn]
    assert listed(startedBy="deploytasks") == listed(startedBy="other", desiredStatus="STOPPED") == []
    assert listed(serviceName=SERVICE, desiredStatus="STOPPED") == []
    assert stand.ecs.list_tasks(cluster="t1-dev", family="api", desiredStatus="STOPPED")["taskArns"] == []


def test_the_last_rollout_was_a_day_ago_and_took_as_long_as_the_next_one_will(stand: Stand) -> None:
    service = service_of(stand.ecs)
    deployment, newest = service["deployments"][0], service["events"][0]
    assert newest["message"] == f"(service api) (deployment {deployment['id']}) deployment completed."
    assert (newest["createdAt"] - deployment["createdAt"]).total_seconds() == pytest.approx(60, abs=0.01)
    assert [event["createdAt"] for event in service["events"]] == sorted(
        (event["createdAt"] for event in service["events"]), reverse=True
    )


def test_with_a_spread_tenants_differ_much_and_a_tenants_rollouts_little() -> None:
    with Endpoint(World(tenants=20), latency_s=0, rollout_s=100, spread=0.2) as endpoint:
        began = {one["service"]: one for one in over_http(f"{endpoint.url}/rollouts")}
        took = {name: one["ended"] - one["began"] for name, one in began.items()}
    assert len({round(seconds) for seconds in took.values()}) > 10
    assert 75 < min(took.values()) < 90
    assert 110 < max(took.values()) < 125


def test_the_ends_of_rollouts_can_be_read_without_counting_as_a_call(stand: Stand) -> None:
    stand.roll()
    stand.endpoint.calls.clear()
    (under_way,) = (one for one in over_http(f"{stand.endpoint.url}/rollouts") if one["began"] == START)
    assert (under_way["status"], under_way["ended"]) == ("IN_PROGRESS", None)
    stand.now += 500
    ended = {one["service"]: one["ended"] for one in over_http(f"{stand.endpoint.url}/rollouts")}
    assert ended[under_way["service"]] == START + 60
    assert not stand.endpoint.calls
