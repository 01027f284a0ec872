"""The benchmark's endpoint answers real boto3 clients as AWS does, within AWS's limits, and counts what it is asked."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import clients
from tests.cloud.accounts import REGISTRY_ACCOUNT, AwsError, key_for
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import IMAGE, SERVICE, World, tenant_account

pytestmark = pytest.mark.slow

OLDER, NEWER = "a" * 40, "b" * 40
ONE, TWO = tenant_account(1), tenant_account(2)
CLUSTER = "t1-prod"
Clients = Callable[..., Any]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(World(tenants=2), latency_s=0) as running:
        yield running


def client_of(endpoint: Endpoint, service: str, account: str = ONE) -> Any:
    return clients.client(service, endpoint.url, account, max_pool_connections=20)


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[Clients]:
    opened: list[Any] = []

    def make(service: str, account: str = ONE) -> Any:
        opened.append(client_of(endpoint, service, account))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def ecs(client: Clients) -> Any:
    return client("ecs")


@pytest.fixture
def ecr(client: Clients) -> Any:
    return client("ecr", REGISTRY_ACCOUNT)


def error_of(call: Callable[..., Any], **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return str(caught.value.response["Error"]["Code"])


def service_of(ecs: Any, **members: Any) -> Any:
    return ecs.describe_services(cluster=CLUSTER, services=[SERVICE], **members)["services"][0]


def next_revision(ecs: Any, image: str) -> str:
    containers = [{"name": SERVICE, "image": image, "memory": 64}]
    registered = ecs.register_task_definition(family="api", containerDefinitions=containers)
    return str(registered["taskDefinition"]["taskDefinitionArn"])


def running_digests(ecs: Any, **members: Any) -> set[str]:
    arns = ecs.list_tasks(cluster=CLUSTER, **members)["taskArns"]
    tasks = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
    return {container["imageDigest"] for task in tasks for container in task["containers"]}


def test_assumed_role_names_the_account_of_the_role_asked_for(client: Clients) -> None:
    answer = client("sts", REGISTRY_ACCOUNT).assume_role(
        RoleArn=f"arn:aws:iam::{ONE}:role/deploy", RoleSessionName="bench"
    )
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ONE}:assumed-role/deploy/bench"
    assert answer["Credentials"]["AccessKeyId"] == key_for(ONE)


def test_caller_identity_is_the_account_of_the_keys(client: Clients) -> None:
    assert client("sts", TWO).get_caller_identity()["Account"] == TWO


def test_accounts_do_not_see_each_other(client: Clients, ecs: Any) -> None:
    assert client("ecs", TWO).describe_clusters(clusters=[CLUSTER])["failures"][0]["reason"] == "MISSING"
    assert ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["status"] == "ACTIVE"


def test_ten_services_are_described_and_missing_ones_are_failures(ecs: Any) -> None:
    answer = ecs.describe_services(cluster=CLUSTER, services=[SERVICE, *(f"no{n}" for n in range(9))])
    assert [service["serviceName"] for service in answer["services"]] == [SERVICE]
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"] * 9


@pytest.mark.parametrize("count", [0, 11])
def test_no_service_or_eleven_are_refused(ecs: Any, count: int) -> None:
    code = error_of(ecs.describe_services, cluster=CLUSTER, services=[f"s{n}" for n in range(count)])
    assert code == "InvalidParameterException"


def test_a_hundred_and_one_tasks_are_refused(ecs: Any) -> None:
    code = error_of(ecs.describe_tasks, cluster=CLUSTER, tasks=[f"t{n}" for n in range(101)])
    assert code == "InvalidParameterException"


def test_unknown_cluster_service_and_revision_have_their_own_errors(ecs: Any) -> None:
    assert error_of(ecs.describe_services, cluster="no", services=["api"]) == "ClusterNotFoundException"
    assert error_of(ecs.update_service, cluster=CLUSTER, service="no") == "ServiceNotFoundException"
    assert error_of(ecs.describe_task_definition, taskDefinition="no:1") == "ClientException"


def test_started_by_goes_with_no_other_filter(ecs: Any) -> None:
    code = error_of(ecs.list_tasks, cluster=CLUSTER, startedBy="x", serviceName=SERVICE)
    assert code == "InvalidParameterException"


def test_what_is_not_served_is_an_error_that_names_it(ecs: Any) -> None:
    with pytest.raises(ClientError, match="ecs ListAttributes is not served here"):
        ecs.list_attributes(targetType="container-instance")


def test_replies_carry_a_hundred_events(ecs: Any) -> None:
    assert len(service_of(ecs)["events"]) == 100


def test_an_update_makes_a_new_primary_that_completes_with_tasks_of_its_own(ecs: Any, ecr: Any) -> None:
    before = running_digests(ecs, serviceName=SERVICE)
    revision = next_revision(ecs, f"{IMAGE}:prod")
    updated = ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=revision)["service"]
    states = [(one["status"], one["rolloutState"]) for one in updated["deployments"]]
    assert states == [("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "COMPLETED")]

    (deployment,) = service_of(ecs)["deployments"]
    assert (deployment["id"], deployment["rolloutState"]) == (updated["deployments"][0]["id"], "COMPLETED")
    assert deployment["runningCount"] == deployment["desiredCount"] == 2
    named = ecr.describe_images(repositoryName=SERVICE, imageIds=[{"imageTag": "prod"}])["imageDetails"][0]
    assert running_digests(ecs, startedBy=deployment["id"]) == {named["imageDigest"]} != before


def test_the_same_definition_starts_nothing_unless_forced(ecs: Any) -> None:
    first = service_of(ecs)
    same = ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=first["taskDefinition"])
    assert same["service"]["deployments"][0]["id"] == first["deployments"][0]["id"]
    forced = ecs.update_service(cluster=CLUSTER, service=SERVICE, forceNewDeployment=True)
    assert forced["service"]["deployments"][0]["id"] != first["deployments"][0]["id"]


def test_a_rollout_lasts_as_long_as_it_was_told_to() -> None:
    now = [1_000_000.0]
    with Endpoint(World(), latency_s=0, rollout_s=180) as endpoint:
        endpoint.cloud.clock = lambda: now[0]
        ecs = client_of(endpoint, "ecs")
        ecs.update_service(cluster=CLUSTER, service=SERVICE, forceNewDeployment=True)
        now[0] += 179
        assert [one["rolloutState"] for one in service_of(ecs)["deployments"]] == ["IN_PROGRESS", "COMPLETED"]
        now[0] += 1
        assert [one["rolloutState"] for one in service_of(ecs)["deployments"]] == ["COMPLETED"]
        ecs.close()


def test_an_image_that_is_not_there_never_runs(ecs: Any) -> None:
    revision = next_revision(ecs, f"{IMAGE}:nobody-pushed-this")
    ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=revision)
    assert service_of(ecs)["deployments"][0]["rolloutState"] == "IN_PROGRESS"


def test_a_created_service_runs_and_is_not_created_twice(ecs: Any) -> None:
    members = {"cluster": CLUSTER, "serviceName": "worker", "taskDefinition": next_revision(ecs, f"{IMAGE}:prod")}
    created = ecs.create_service(**members, desiredCount=3, tags=[{"key": "k", "value": "v"}])["service"]
    assert created["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert len(ecs.list_tasks(cluster=CLUSTER, serviceName="worker")["taskArns"]) == 3
    assert ecs.list_tags_for_resource(resourceArn=created["serviceArn"])["tags"] == [{"key": "k", "value": "v"}]
    assert error_of(ecs.create_service, **members) == "InvalidParameterException"


def test_tasks_come_in_pages(ecs: Any) -> None:
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=150, forceNewDeployment=True)
    pages = list(ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER, serviceName=SERVICE))
    assert [len(page["taskArns"]) for page in pages] == [100, 50]


def test_tags_of_services_and_revisions_are_kept(ecs: Any) -> None:
    service = service_of(ecs)
    for arn in (service["serviceArn"], service["taskDefinition"]):
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "deploytasks:by", "value": "me"}])
    assert service_of(ecs, include=["TAGS"])["tags"] == [{"key": "deploytasks:by", "value": "me"}]
    described = ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
    assert described["tags"] == [{"key": "deploytasks:by", "value": "me"}]


def test_a_registered_definition_comes_back_with_what_ecs_adds(ecs: Any) -> None:
    members = ecs.describe_task_definition(taskDefinition=next_revision(ecs, f"{IMAGE}:prod"))["taskDefinition"]
    assert (members["status"], members["revision"], members["volumes"]) == ("ACTIVE", 1, [])
    assert members["containerDefinitions"][0]["essential"] is True
    ecs.deregister_task_definition(taskDefinition=members["taskDefinitionArn"])
    code = error_of(ecs.update_service, cluster=CLUSTER, service=SERVICE, taskDefinition=members["taskDefinitionArn"])
    assert code == "ClientException"


def manifest_of(ecr: Any, tag: str) -> dict[str, Any]:
    image = ecr.batch_get_image(repositoryName=SERVICE, imageIds=[{"imageTag": tag}])["images"][0]
    return {
        "repositoryName": SERVICE,
        "imageManifest": image["imageManifest"],
        "imageManifestMediaType": image["imageManifestMediaType"],
        "imageDigest": image["imageId"]["imageDigest"],
    }


def test_a_tier_tag_moves_and_a_release_tag_does_not(ecr: Any) -> None:
    older = manifest_of(ecr, OLDER)
    release = "prod-20260203T040506Z"
    assert error_of(ecr.put_image, **older, imageTag=release) == "ImageTagAlreadyExistsException"
    ecr.put_image(**older, imageTag="prod")
    tags = ecr.describe_images(repositoryName=SERVICE, imageIds=[{"imageTag": "prod"}])["imageDetails"][0]["imageTags"]
    assert OLDER in tags
    assert NEWER not in tags


def test_a_put_of_what_is_there_already_and_one_of_another_digest_are_refused(ecr: Any) -> None:
    newer = manifest_of(ecr, NEWER)
    assert error_of(ecr.put_image, **newer, imageTag="prod") == "ImageAlreadyExistsException"
    newer["imageDigest"] = manifest_of(ecr, OLDER)["imageDigest"]
    assert error_of(ecr.put_image, **newer, imageTag="new") == "ImageDigestDoesNotMatchException"


def test_missing_images_are_failures_of_one_call_and_an_error_of_the_other(ecr: Any) -> None:
    ids = [{"imageTag": "no"}, {"imageTag": NEWER}]
    got = ecr.batch_get_image(repositoryName=SERVICE, imageIds=ids)
    assert [len(got["images"]), got["failures"][0]["failureCode"]] == [1, "ImageNotFound"]
    assert error_of(ecr.describe_images, repositoryName=SERVICE, imageIds=ids) == "ImageNotFoundException"
    assert error_of(ecr.describe_images, repositoryName="no") == "RepositoryNotFoundException"


def test_images_come_in_pages(ecr: Any) -> None:
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=SERVICE, PaginationConfig={"PageSize": 1})
    assert [len(page["imageDetails"]) for page in pages] == [1, 1]


def test_the_policy_lets_every_tenant_pull(ecr: Any) -> None:
    policy = json.loads(ecr.get_repository_policy(repositoryName=SERVICE)["policyText"])
    assert policy["Statement"][0]["Principal"]["AWS"] == [f"arn:aws:iam::{one}:root" for one in (ONE, TWO)]
    assert ecr.describe_repositories(repositoryNames=[SERVICE])["repositories"][0]["registryId"] == REGISTRY_ACCOUNT


def test_one_writer_of_forty_gets_the_parameter(client: Clients) -> None:
    ssm = client("ssm", REGISTRY_ACCOUNT)

    def put(n: int) -> str:
        try:
            ssm.put_parameter(Name="/lock", Value=str(n), Type="String", Overwrite=False)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "won"

    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(put, range(40)))
    assert sorted(said) == ["ParameterAlreadyExists"] * 39 + ["won"]
    assert ssm.get_parameter(Name="/lock")["Parameter"]["Value"] == str(said.index("won"))
    ssm.delete_parameter(Name="/lock")
    assert error_of(ssm.get_parameter, Name="/lock") == "ParameterNotFound"


def test_log_lines_are_read_from_their_stream(endpoint: Endpoint, client: Clients) -> None:
    endpoint.cloud.account(ONE).log_streams["api", "api/api/1"] = [(1, "one"), (2, "two")]
    events = client("logs").get_log_events(logGroupName="api", logStreamName="api/api/1", limit=1)["events"]
    assert [event["message"] for event in events] == ["two"]


def over_http(url: str, *, method: str = "GET") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return json.load(answer)


def test_calls_are_counted_by_account_and_operation_until_a_reset(endpoint: Endpoint, ecs: Any) -> None:
    service_of(ecs)
    service_of(ecs)
    assert endpoint.calls == {(ONE, "DescribeServices"): 2}
    counted = {"total": 2, "operations": {"DescribeServices": 2}, "accounts": {ONE: {"DescribeServices": 2}}}
    counted |= {"throttled": {}}
    assert over_http(f"{endpoint.url}/calls") == counted
    over_http(f"{endpoint.url}/reset", method="POST")
    assert not endpoint.calls


def test_a_reset_makes_the_world_anew(endpoint: Endpoint, ecs: Any) -> None:
    first = service_of(ecs)["taskDefinition"]
    ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=next_revision(ecs, f"{IMAGE}:prod"))
    endpoint.reset()
    assert service_of(ecs)["taskDefinition"] == first


def test_a_fault_is_answered_instead(endpoint: Endpoint, ecs: Any) -> None:
    throttled = AwsError("ThrottlingException", "Rate exceeded")
    endpoint.fault = lambda call: throttled if call.operation == "DescribeServices" else None
    assert error_of(ecs.describe_services, cluster=CLUSTER, services=[SERVICE]) == "ThrottlingException"
    assert ecs.describe_clusters(clusters=[CLUSTER])["clusters"]


def test_ten_calls_at_once_wait_together() -> None:
    latency_s = 1.0
    with Endpoint(World(), latency_s=latency_s) as endpoint, ThreadPoolExecutor(10) as pool:
        ecs = client_of(endpoint, "ecs")
        started = time.perf_counter()
        list(pool.map(lambda _: ecs.describe_clusters(clusters=[CLUSTER]), range(10)))
        took_s = time.perf_counter() - started
        ecs.close()
    assert latency_s <= took_s < 10 * latency_s


def test_as_a_process_it_prints_its_address_and_ends_when_told_to() -> None:
    command = [sys.executable, "-m", "tests.cloud.endpoint", "--latency-ms", "0"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert over_http(f"{url}/calls")["total"] == 0
        process.terminate()
    assert process.returncode == 0
