"""A service template counts where the service is created; what it says otherwise than the live service is told."""

import json
from typing import Any

import pytest

from deploytasks.template.service import differing_keys
from tests.cloud.world import tenant_account
from tests.commands import Shop

pytestmark = pytest.mark.waits
LIVE: dict[str, Any] = {
    "launchType": "FARGATE",
    "platformVersion": "LATEST",
    "desiredCount": 2,
    "schedulingStrategy": "REPLICA",
    "role": "arn:aws:iam::111111111111:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
    "deploymentConfiguration": {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    },
    "loadBalancers": [
        {"targetGroupArn": "arn:tg/one", "containerName": "api", "containerPort": 80},
        {"targetGroupArn": "arn:tg/two", "containerName": "api", "containerPort": 81},
    ],
    "networkConfiguration": {
        "awsvpcConfiguration": {"subnets": ["s-1", "s-2"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    },
    "placementStrategy": [{"type": "spread", "field": "instanceId"}, {"type": "binpack", "field": "cpu"}],
    "capacityProviderStrategy": [],
    "propagateTags": "NONE",
    "healthCheckGracePeriodSeconds": 0,
    "enableECSManagedTags": False,
    "tags": [{"key": "team", "value": "shop"}, {"key": "cost", "value": "7"}, {"key": "deploytasks:at", "value": "x"}],
    "serviceConnectConfiguration": {
        "enabled": True,
        "namespace": "arn:aws:servicediscovery:us-east-1:111111111111:namespace/ns-1",
        "services": [{"portName": "http", "discoveryName": "http", "clientAliases": [{"port": 80, "dnsName": "api"}]}],
    },
}
BREAKER = {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}}
NETWORK = "networkConfiguration.awsvpcConfiguration"


def network(**members: Any) -> dict[str, Any]:
    return {"networkConfiguration": {"awsvpcConfiguration": members}}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        BREAKER,
        {"deploymentConfiguration": {"maximumPercent": 200, "strategy": "ROLLING"}},
        network(subnets=["s-2", "s-1"]),
        network(subnets=["s-1", "s-2"], assignPublicIp="DISABLED"),
        {"tags": [{"key": "team", "value": "shop"}]},
        {"loadBalancers": list(reversed(LIVE["loadBalancers"]))},
        {"placementStrategy": [{"type": "spread", "field": "host"}, {"type": "binpack", "field": "CPU"}]},
        {"capacityProviderStrategy": [], "enableExecuteCommand": False, "propagateTags": "NONE"},
        {"serviceConnectConfiguration": {"enabled": True, "namespace": "shop", "services": [{"portName": "http"}]}},
        {"role": "AWSServiceRoleForECS"},
        {"deploymentController": {"type": "ECS"}},
        {"clientToken": "x", "gatewayConnectors": [], "monitoring": {}, "cluster": "other", "serviceName": "other"},
        {"schedulingStrategy": "REPLICA", "platformVersion": "LATEST", "desiredCount": 2},
    ],
    ids=str,
)
def test_what_means_the_same_or_is_not_named_is_no_difference(asked: dict[str, Any]):
    assert differing_keys(asked, LIVE) == ()


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        (network(subnets=["s-1", "s-3"]), (f"{NETWORK}.subnets",)),
        (network(assignPublicIp="ENABLED"), (f"{NETWORK}.assignPublicIp",)),
        (
            {"deploymentConfiguration": {"maximumPercent": 150, "deploymentCircuitBreaker": {"rollback": False}}},
            (
                "deploymentConfiguration.deploymentCircuitBreaker.rollback",
                "deploymentConfiguration.maximumPercent",
            ),
        ),
        ({"desiredCount": 5}, ("desiredCount",)),
        ({"tags": [{"key": "team", "value": "bill"}]}, ("tags.team",)),
        ({"tags": [{"key": "owner", "value": "ada"}]}, ("tags",)),
        ({"loadBalancers": LIVE["loadBalancers"][:1]}, ("loadBalancers",)),
        ({"enableExecuteCommand": True}, ("enableExecuteCommand",)),
        ({"healthCheckGracePeriodSeconds": 60}, ("healthCheckGracePeriodSeconds",)),
        ({"serviceConnectConfiguration": {"enabled": False}}, ("serviceConnectConfiguration.enabled",)),
        ({"placementStrategy": list(reversed(LIVE["placementStrategy"]))}, ("placementStrategy",)),
        ({"platformVersion": "1.4.0"}, ("platformVersion",)),
    ],
    ids=str,
)
def test_what_means_something_else_is_told_by_its_key(asked: dict[str, Any], keys: tuple[str, ...]):
    assert differing_keys(asked, LIVE) == keys


TEMPLATE = """{
  "desiredCount": {{ vars.desired_count }},
  "deploymentConfiguration": {"maximumPercent": 150},
  "networkConfiguration": {"awsvpcConfiguration": {"subnets": {{ vars.subnets | tojson }}, "securityGroups": ["sg-1"]}}
}"""
DIFFERS = "the service template differs; it is read only where the service does not exist yet"
KEYS = f"deploymentConfiguration.maximumPercent, {NETWORK}.subnets"


@pytest.fixture
def ready(shop: Shop) -> Shop:
    """Both tenants run the rendered definition in prod; then the project gets a service template."""
    (shop.root / "templates/api.service.json.j2").write_text(TEMPLATE)
    shop.edit("envs/project.toml", "vars.port = 8080", "vars.port = 8080\nvars.desired_count = 2")
    assert shop.inv("deploy.prod").code == 0
    return shop


@pytest.mark.parametrize("task", ["deploy.prod", "release.prod"])
def test_the_plan_says_that_the_service_template_differs_and_changes_nothing(ready: Shop, task: str):
    ran = ready.inv(task, "--dry-run")
    assert f"t1-prod/api, t2-prod/api: {DIFFERS}: {KEYS}\n" in ran.stdout
    assert "desiredCount" not in ran.stdout
    written = ready.writes()
    told = [json.loads(line) for line in ready.inv(task, "--json").stdout.splitlines()]
    (planned,) = (each["plan"] for each in told if each["event"] == "planned")
    assert planned["notes"] == [f"t1-prod/api, t2-prod/api: {DIFFERS}: {KEYS}"]
    assert ready.writes() == written


def test_diff_names_the_keys_and_is_no_difference_that_a_deploy_could_mend(ready: Shop):
    ran = ready.inv("deploy.diff", "prod")
    assert (ran.code, ran.stderr) == (0, "")
    assert f"t1-prod/api, t2-prod/api: {DIFFERS}: {KEYS}\n" in ran.stdout
    told = json.loads(ready.inv("deploy.diff", "prod", "--json").stdout)["notes"]
    assert [each["target"] for each in told] == ["t1-prod/api", "t2-prod/api"]


def test_another_desired_count_is_told_without_calling_autoscaling_a_fault(ready: Shop):
    ready.edit("envs/t1.toml", "[vars]", "[vars]\ndesired_count = 7")
    ran = ready.inv("deploy.diff", "prod")
    desired = ready.service(1, "prod").desired
    assert ran.code == 0
    assert (
        f"t1-prod/api: desiredCount is 7 in the service template and {desired} live: the template's counts"
        in ran.stdout
    )


def test_a_service_that_is_not_there_yet_has_no_such_note(ready: Shop):
    del ready.endpoint.cloud.account(tenant_account(1)).clusters["t1-prod"].services["api"]
    assert f"t2-prod/api: {DIFFERS}" in ready.inv("deploy.diff", "prod").stdout
