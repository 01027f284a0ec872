"""The policies that `inv envs.rights` prints allow each call of each task, about the very resources that it names."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.aws.operations import OPERATIONS
from deploytasks.commands import envs_rights
from deploytasks.commands.envs_rights import Asked, grants
from deploytasks.config.load import load
from deploytasks.model import Project
from tests.cloud.accounts import AwsError, Call
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop
from tests.every_task import SCENES, Played, hurry
from tests.proxy import Proxy

pytestmark = pytest.mark.waits
ASKED = Asked(repository="github.com/acme/shop")
Needs = tuple[str, str, Mapping[str, str]]
"""What IAM is asked for: an action, a resource's ARN, and what is known besides."""
DENIED_WELL = {("ecr:DescribeRepositories", f"arn:aws:ecr:us-east-1:{REGISTRY}:repository/worker")}
"""Of an image without a repository, the one of its former name: it is another project's for all that IAM knows."""
PASSED = {"ecs": "ecs-tasks.amazonaws.com", "scheduler": "scheduler.amazonaws.com", "events": "events.amazonaws.com"}
RANDOM = "-A1b2C3"
"""How Secrets Manager ends the ARN of a secret."""
PATHS: Mapping[str, Callable[[Mapping[str, Any]], str | list[str]]] = {
    "ecr.DescribeRepositories": lambda ask: [f"repository/{each}" for each in ask["repositoryNames"]],
    "ecs.CreateService": lambda ask: f"service/{cluster(ask)}/{ask['serviceName']}",
    "ecs.DescribeServiceDeployments": lambda ask: ask["serviceDeploymentArns"],
    "ecs.DescribeServiceRevisions": lambda ask: ask["serviceRevisionArns"],
    "ecs.DescribeServices": lambda ask: [f"service/{cluster(ask)}/{last(each)}" for each in ask["services"]],
    "ecs.DescribeTasks": lambda ask: [f"task/{cluster(ask)}/{last(each)}" for each in ask["tasks"]],
    "ecs.ListServiceDeployments": lambda ask: f"service/{cluster(ask)}/{last(ask['service'])}",
    "ecs.RegisterTaskDefinition": lambda ask: f"task-definition/{ask['family']}:1",
    "ecs.RunTask": lambda ask: f"task-definition/{last(ask['taskDefinition'])}",
    "ecs.StopTask": lambda ask: f"task/{cluster(ask)}/{last(ask['task'])}",
    "ecs.UpdateService": lambda ask: f"service/{cluster(ask)}/{last(ask['service'])}",
    "events.DescribeRule": lambda ask: f"rule/{ask['Name']}",
    "events.ListTargetsByRule": lambda ask: f"rule/{ask['Rule']}",
    "events.PutTargets": lambda ask: f"rule/{ask['Rule']}",
    "iam.GetRole": lambda ask: f"role/{ask['RoleName']}",
    "logs.FilterLogEvents": lambda ask: f"log-group:{ask['logGroupName']}:log-stream:",
    "logs.GetLogEvents": lambda ask: f"log-group:{ask['logGroupName']}:log-stream:{ask['logStreamName']}",
    "ssm.GetParameters": lambda ask: [parameter(each) for each in ask["Names"]],
    "ssm.GetParametersByPath": lambda ask: parameter(ask["Path"].rstrip("/")),
    "sts.AssumeRole": lambda ask: ask["RoleArn"],
}
"""What a call is about, below its service: where its service has no one way to say it."""
WAYS: Mapping[str, Callable[[Mapping[str, Any]], str | list[str]]] = {
    "ecr": lambda ask: f"repository/{ask['repositoryName']}",
    "scheduler": lambda ask: f"schedule/{ask.get('GroupName', 'default')}/{ask['Name']}",
    "secretsmanager": lambda ask: secret(ask["SecretId"]),
    "ssm": lambda ask: parameter(ask["Name"]),
}


def last(arn: str) -> str:
    return arn.rpartition("/")[2]


def cluster(ask: Mapping[str, Any]) -> str:
    return last(ask["cluster"])


def parameter(name: str) -> str:
    return name if name.startswith("arn:") else f"parameter/{name.lstrip('/')}"


def secret(name: str) -> str:
    return f"{name if name.startswith('arn:') else f'secret:{name}'}{RANDOM}"


def needs(call: Call) -> Iterator[Needs]:
    """Yield what AWS asks IAM for at a call. Source: the service authorization reference."""
    row = OPERATIONS[call.service, call.operation]
    if row.right is None:
        return
    found = about(call) if row.right.resource != "any" else "*"
    for each in [found] if isinstance(found, str) else found:
        yield row.action, whole(each, call), {}
    for role in passed(call.ask):
        yield "iam:PassRole", whole(f"role/{role}", call, "iam"), {"iam:PassedToService": PASSED[call.service]}
    if call.service == "ecs" and call.ask.get("tags"):
        made = f"task/{cluster(call.ask)}/1" if call.operation == "RunTask" else str(about(call))
        yield "ecs:TagResource", whole(made, call), {}


def about(call: Call) -> str | list[str]:
    ask = call.ask
    if arn := ask.get("resourceArn") or ask.get("serviceDeploymentArn"):
        return str(arn)
    return PATHS.get(f"{call.service}.{call.operation}", WAYS.get(call.service, lambda _: "*"))(ask)


def passed(ask: Mapping[str, Any]) -> Iterator[str]:
    """Yield the roles that a request hands to a service."""
    targets = [ask.get("Target") or {}, *ask.get("Targets", ())]
    found = [ask.get("taskRoleArn"), ask.get("executionRoleArn"), *(each.get("RoleArn") for each in targets)]
    yield from (each for each in found if each)


def whole(path: str, call: Call, service: str = "") -> str:
    """Return the ARN of what is below an account's service."""
    service = service or call.service
    if path == "*" or path.startswith("arn:"):
        return path
    if "/arn:" in path:
        return path.partition("/")[2]
    region = "" if service == "iam" else call.region
    return f"arn:aws:{service}:{region}:{call.account}:{path}"


def allowed(statements: list[dict[str, Any]], need: Needs) -> bool:
    """Return whether one statement allows it, as IAM decides where nothing is denied."""
    action, arn, context = need
    return any(
        action in each["Action"]
        and any(
            re.fullmatch(re.escape(like).replace(r"\*", ".*").replace(r"\?", "."), arn) for like in each["Resource"]
        )
        and all(context.get(key) == value for key, value in each.get("Condition", {}).get("StringEquals", {}).items())
        for each in statements
    )


def statements(project: Project, account: str, task: str) -> list[dict[str, Any]]:
    """Return what the role may do whose credentials of the account a task has."""
    registrys = ("ci", "bootstrap") if task == "envs.bootstrap" else ("ci",)
    holders = registrys if account == project.registry.access.account else ("tenant",)
    found = [each for each in grants(project, replace(ASKED, holders=holders)) if each.account == account]
    return [each for grant in found for document in grant.policies for each in document["Statement"]]


def denied(played: Played) -> set[tuple[str, str]]:
    """Play the scene, and return what the policies of its project do not allow."""
    assert played.run().code in (0, 1, 3)
    project = load(played.shop.root)
    calls = [each.call for each in played.proxy.seen if each.call.service != "s3"]
    of = {account: statements(project, account, played.scene.task) for account in {each.account for each in calls}}
    return {need[:2] for call in calls for need in needs(call) if not allowed(of[call.account], need)} - DENIED_WELL


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.mark.parametrize("name", SCENES)
def test_the_policies_allow_each_call_about_the_resources_that_it_names(shop: Shop, proxy: Proxy, name: str):
    assert denied(Played(shop, proxy, SCENES[name])) == set()


def test_a_policy_about_other_resources_is_noticed(shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    real = envs_rights.of_target
    monkeypatch.setattr(envs_rights, "of_target", lambda form, target: real(form, replace(target, cluster="elsewhere")))
    service = f"arn:aws:ecs:us-east-1:{tenant_account(1)}:service/t1-prod/api"
    assert ("ecs:UpdateService", service) in denied(Played(shop, proxy, SCENES["deploy.prod"]))


def test_a_first_bootstrap_goes_on_where_the_repository_of_the_former_name_may_not_be_read(shop: Shop):
    shop.add_service("worker")

    def fault(call: Call) -> AwsError | None:
        return AwsError("AccessDeniedException", "no") if call.ask.get("repositoryNames") == ["worker"] else None

    shop.endpoint.fault = fault
    ran = shop.inv("envs.bootstrap", "--yes")
    assert (ran.code, "repository shop/worker: made for project shop" in ran.stdout) == (0, True), ran
