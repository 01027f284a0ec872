"""The simulated Scheduler and EventBridge answer boto3's clients, and the package's own, as AWS's documents say."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.retries.standard import ExponentialBackoff

from deploytasks.aws import events as aws_events
from deploytasks.aws import scheduler as aws_scheduler
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author, JobSchedule
from deploytasks.rules.schedule import differing_keys, repointed, request, revision_of
from tests import clients
from tests.cloud.accounts import REGION, Account
from tests.cloud.endpoint import Endpoint
from tests.cloud.events import Rule, add_rule
from tests.cloud.world import World, tenant_account
from tests.proxy import BROKEN, NONSENSE, THROTTLED, Cut, Effect, Proxy, Say
from tests.proxy import Rule as Breaks

ONE, TWO = tenant_account(1), tenant_account(2)
WHERE = "t1-prod/nightly"
ROLE = f"arn:aws:iam::{ONE}:role/schedule"
DEFINITION = f"arn:aws:ecs:{REGION}:{ONE}:task-definition/nightly"
JOB = JobSchedule("nightly", "t1-prod", f"{DEFINITION}:1", "cron(0 3 * * ? *)", ROLE)
TARGET = {"Id": "ecs", "Arn": f"arn:aws:ecs:{REGION}:{ONE}:cluster/t1-prod", "RoleArn": ROLE}
OF_ECS = {**TARGET, "EcsParameters": {"TaskDefinitionArn": f"{DEFINITION}:1", "TaskCount": 2}}


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands before the AWS of two tenants. Nobody waits for a retry."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    for name in ("throttling_base_scale", "non_throttling_base_scale"):
        monkeypatch.setitem(ExponentialBackoff._DEFAULT_BACKOFF_CONFIG, name, 0)
    with Endpoint(World(tenants=2), latency_s=0) as endpoint, Proxy(endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def account(proxy: Proxy) -> Account:
    return proxy.endpoint.cloud.account(ONE)


def of(service: str, region: str = REGION, account: str = ONE) -> Any:
    """A client as commands have it."""
    return Clients(Author("me")).of(service, Access(account, region, role=f"arn:aws:iam::{account}:role/deploy"))


def told(client: Any, name: str = "nightly", group: str = "default") -> dict[str, Any]:
    found = aws_scheduler.get_schedule(client, WHERE, name, group)
    assert found is not None
    return found


def test_accounts_regions_and_groups_are_kept_apart(account: Account):
    account.schedule_groups.add((REGION, "own"))
    for client, group in (
        (of("scheduler"), "default"),
        (of("scheduler"), "own"),
        (of("scheduler", "eu-west-1"), "default"),
    ):
        assert aws_scheduler.get_schedule(client, WHERE, "nightly", group) is None
        made = request(JobSchedule(JOB.family, JOB.cluster, JOB.revision, JOB.expression, ROLE, {"GroupName": group}))
        aws_scheduler.create_schedule(client, WHERE, made)
        assert told(client, group=group)["GroupName"] == group
    assert aws_scheduler.get_schedule(of("scheduler", account=TWO), WHERE, "nightly") is None
    assert len(account.schedules) == 3


def test_an_update_resets_what_it_leaves_out_and_a_merge_leaves_nothing_out(proxy: Proxy):
    scheduler = of("scheduler")
    own = {
        "State": "DISABLED",
        "Description": "by hand",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": 2e9,
    }
    aws_scheduler.create_schedule(scheduler, WHERE, {**request(JOB), **own})
    before = told(scheduler)
    later = JobSchedule("nightly", "t1-prod", f"{DEFINITION}:2", JOB.expression, ROLE)
    aws_scheduler.update_schedule(scheduler, WHERE, request(later, before))
    assert differing_keys(before, told(scheduler)) == ("Target.EcsParameters.TaskDefinitionArn",)
    aws_scheduler.update_schedule(scheduler, WHERE, request(later))
    reset = (
        "Description",
        "ScheduleExpressionTimezone",
        "StartDate",
        "State",
        "Target.EcsParameters.TaskDefinitionArn",
    )
    assert differing_keys(before, told(scheduler)) == reset


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda account: account.missing.add("schedule"), "ValidationException"),
        (lambda account: account.trust.update(schedule={"Statement": []}), "ValidationException"),
    ],
)
def test_a_role_that_scheduler_may_not_assume_is_refused(account: Account, change: Any, code: str):
    change(account)
    with pytest.raises(AwsError, match="must allow AWS EventBridge Scheduler to assume the role") as caught:
        aws_scheduler.create_schedule(of("scheduler"), WHERE, request(JOB))
    assert caught.value.error_code == code


def test_a_schedule_that_is_there_or_missing_is_told_with_its_status(proxy: Proxy):
    client = clients.client("scheduler", proxy.endpoint.url, ONE)
    with pytest.raises(ClientError) as missing:
        client.update_schedule(**request(JOB))
    client.create_schedule(**request(JOB))
    with pytest.raises(ClientError) as taken:
        client.create_schedule(**request(JOB))
    assert [
        (each.value.response["ResponseMetadata"]["HTTPStatusCode"], each.value.response["Error"])
        for each in (missing, taken)
    ] == [
        (404, {"Code": "ResourceNotFoundException", "Message": "Schedule nightly does not exist."}),
        (409, {"Code": "ConflictException", "Message": "Schedule nightly already exists."}),
    ]


SPOILT: dict[str, Effect] = {
    "throttled": THROTTLED,
    "broken": BROKEN,
    "cut before": Cut("before"),
    "cut after": Cut("after"),
    **NONSENSE,
}


@pytest.mark.parametrize("effect", SPOILT)
def test_an_answer_that_is_lost_or_spoilt_once_is_asked_for_again_and_nothing_is_done_twice(
    proxy: Proxy, account: Account, effect: str
):
    rule = add_rule(account, Rule("nightly", "rate(1 day)"), OF_ECS)
    proxy.rules = tuple(
        Breaks(SPOILT[effect], operation, times=1)
        for operation in (
            *("CreateSchedule", "GetSchedule", "UpdateSchedule", "DescribeRule", "ListTargetsByRule", "PutTargets"),
        )
    )
    scheduler, events = of("scheduler"), of("events")
    aws_scheduler.create_schedule(scheduler, WHERE, request(JOB))
    found = told(scheduler)
    aws_scheduler.update_schedule(scheduler, WHERE, {**found, "Description": "d"})
    assert told(scheduler)["Description"] == "d"
    assert aws_events.describe_rule(events, WHERE, "nightly") == aws_events.Rule("nightly", True, "rate(1 day)")
    (target,) = aws_events.rule_targets(events, WHERE, "nightly")
    aws_events.put_target(events, WHERE, "nightly", repointed(target, f"{DEFINITION}:2"))
    assert rule.targets["ecs"] == {**OF_ECS, "EcsParameters": {"TaskDefinitionArn": f"{DEFINITION}:2", "TaskCount": 2}}


@pytest.mark.parametrize(
    ("operation", "code"),
    [("UpdateSchedule", "ConflictException"), ("PutTargets", "ConcurrentModificationException")],
)
def test_an_update_that_collides_with_another_is_repeated_and_given_up_after_five(
    proxy: Proxy, account: Account, operation: str, code: str
):
    add_rule(account, Rule("nightly"), OF_ECS)
    scheduler, events = of("scheduler"), of("events")
    aws_scheduler.create_schedule(scheduler, WHERE, request(JOB))

    def update() -> None:
        aws_scheduler.update_schedule(scheduler, WHERE, request(JOB))
        aws_events.put_target(events, WHERE, "nightly", OF_ECS)

    collides = Say(code, "an inconsistent state", 409 if operation == "UpdateSchedule" else 400)
    proxy.rules = (Breaks(collides, operation, times=3),)
    update()
    proxy.rules = (Breaks(collides, operation),)
    with pytest.raises(AwsError, match=f"{operation}: {code}"):
        update()
    assert len(proxy.calls(operation)) == 4 + 5


def test_a_name_that_is_taken_is_not_asked_for_again(proxy: Proxy):
    scheduler = of("scheduler")
    aws_scheduler.create_schedule(scheduler, WHERE, request(JOB))
    with pytest.raises(AwsError, match="CreateSchedule: ConflictException"):
        aws_scheduler.create_schedule(scheduler, WHERE, request(JOB))
    assert len(proxy.calls("CreateSchedule")) == 2


def test_all_targets_of_a_rule_are_read_page_by_page(proxy: Proxy, account: Account):
    add_rule(account, Rule("nightly"), *({**TARGET, "Id": str(number)} for number in range(101)))
    assert len(aws_events.rule_targets(of("events"), WHERE, "nightly")) == 101
    assert proxy.endpoint.operations()["ListTargetsByRule"] == 2


def test_rules_of_another_region_or_account_are_others(account: Account):
    add_rule(account, Rule("nightly"), region="eu-west-1")
    assert aws_events.describe_rule(of("events"), WHERE, "nightly") is None
    assert aws_events.describe_rule(of("events", account=TWO), WHERE, "nightly") is None
    assert aws_events.describe_rule(of("events", "eu-west-1"), WHERE, "nightly") is not None


def test_a_target_that_fails_though_the_call_does_not_is_an_error_and_stays_as_it_was(account: Account):
    rule = add_rule(account, Rule("nightly", failing={"ecs"}), OF_ECS)
    with pytest.raises(AwsError, match="PutTargets: ConcurrentModificationException") as caught:
        aws_events.put_target(of("events"), WHERE, "nightly", repointed(OF_ECS, f"{DEFINITION}:2"))
    assert (caught.value.operation, caught.value.error_code) == ("PutTargets", "ConcurrentModificationException")
    assert "t1-prod/nightly: PutTargets: ConcurrentModificationException: Too many requests" in str(caught.value)
    assert revision_of(rule.targets["ecs"]) == f"{DEFINITION}:1"


@pytest.mark.parametrize(
    ("rule", "targets", "code"),
    [
        (Rule("managed", managed_by="ecs.amazonaws.com"), [], "ManagedRuleException"),
        (Rule("full"), [{**TARGET, "Id": str(number)} for number in range(5)], "LimitExceededException"),
    ],
)
def test_a_rule_that_takes_no_target_is_told(account: Account, rule: Rule, targets: list[Any], code: str):
    add_rule(account, rule, *targets)
    with pytest.raises(AwsError, match=code):
        aws_events.put_target(of("events"), WHERE, rule.name, OF_ECS)
