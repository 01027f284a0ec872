"""What a definition names (secrets, parameters, roles) is looked up before the first write, for all targets at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from deploytasks.aws import iam as aws_iam
from deploytasks.aws import secrets as aws_secrets
from deploytasks.aws.errors import translated
from deploytasks.aws.session import Clients
from deploytasks.template.references import references
from tests.clients import client
from tests.cloud.accounts import Account, AwsError, Call
from tests.cloud.world import tenant_account
from tests.commands import Shop

waits = pytest.mark.waits
SECRET = "arn:aws:secretsmanager:us-east-1:100000000001:secret:db"
CALLS = {"DescribeSecret", "GetParameters", "GetRole"}
Spoil = Callable[[Account], object]


def account(shop: Shop, tenant: int = 1) -> Account:
    return shop.endpoint.cloud.account(tenant_account(tenant))


def trust(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **statement}]}


SPOILT: dict[str, tuple[Spoil, str, str]] = {
    "a secret that was never made": (
        lambda one: one.missing.add("db"),
        f"the secret {SECRET} does not exist",
        "create it, or correct envs/t1.toml: secrets.DATABASE_URL",
    ),
    "a secret that is being deleted": (
        lambda one: one.deleted.add("db"),
        f"the secret {SECRET} is marked for deletion",
        "restore it (aws secretsmanager restore-secret), or name another: envs/t1.toml: secrets.DATABASE_URL",
    ),
    "a role that was never made": (
        lambda one: one.missing.add("execution"),
        "the role arn:aws:iam::100000000001:role/execution does not exist",
        "create it, or correct executionRoleArn in templates/api.json.j2",
    ),
    "a role whose path was left out": (
        lambda one: one.paths.update(execution="/service-role/"),
        "the role arn:aws:iam::100000000001:role/execution does not exist: the one of that "
        "name is arn:aws:iam::100000000001:role/service-role/execution",
        "create it, or correct executionRoleArn in templates/api.json.j2",
    ),
    "a role with another path": (
        lambda one: one.paths.update(task="/teams/shop/"),
        "the role arn:aws:iam::100000000001:role/teams/bill/task does not exist: the one of that "
        "name is arn:aws:iam::100000000001:role/teams/shop/task",
        "create it, or correct taskRoleArn in templates/api.json.j2",
    ),
    "a role that only EC2 may assume": (
        lambda one: one.trust.update(execution=trust(Principal={"Service": "ec2.amazonaws.com"})),
        "the role arn:aws:iam::100000000001:role/execution does not trust ecs-tasks.amazonaws.com",
        "let its trust policy allow that service sts:AssumeRole, or name another: executionRoleArn in "
        "templates/api.json.j2",
    ),
}


@waits
@pytest.mark.parametrize("case", SPOILT)
def test_what_a_definition_names_in_vain_refuses_before_the_first_write(shop: Shop, case: str):
    spoil, what, to_do = SPOILT[case]
    spoil(account(shop))
    if "taskRoleArn" in to_do:
        role = '"taskRoleArn": "arn:aws:iam::{{ account }}:role/teams/bill/task"'
        shop.edit("templates/api.json.j2", '"networkMode"', f'{role}, "networkMode"')
        account(shop, 2).paths.update(task="/teams/bill/")
    ran = shop.inv("deploy.prod")
    assert (ran.code, ran.stderr, shop.writes()) == (2, f"t1-prod/api: {what}\n    {to_do}\n", {})


@waits
@pytest.mark.parametrize(
    "command", ["deploy.prod", "release.prod", "deploy.register prod", "release.matrix prod --shards 2 --run 1"]
)
def test_every_command_that_registers_looks_and_so_does_its_dry_run(shop: Shop, command: str):
    account(shop).missing.add("db")
    account(shop, 2).missing.add("execution")
    for words in (command.split(), [*command.split(), "--dry-run"]):
        ran = shop.inv(*words)
        assert (ran.code, shop.writes()) == (2, {})
        assert f"t1-prod/api: the secret {SECRET} does not exist" in ran.stderr
        assert "t2-prod/api: the role " in ran.stderr


@waits
def test_names_are_told_beside_what_else_is_wrong(shop: Shop):
    account(shop).missing.update({"db", "execution"})
    shop.edit("envs/t1.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    shop.add_service("worker")
    ran = shop.inv("release.dev")
    assert (ran.code, shop.writes()) == (2, {})
    for told in (
        "ClusterNotFoundException",
        "ECR shop/worker: ",
        f"{SECRET} does not exist",
        "role/execution does not exist",
    ):
        assert ran.stderr.count(told) == 1, told


@waits
def test_an_image_that_is_still_to_be_built_is_a_change(shop: Shop):
    account(shop).missing.add("session")
    (shop.root / "Dockerfile").write_text("FROM scratch\nLABEL release=three\n")
    shop.git("commit", "-qam", "Third")
    ran = shop.inv("release.dev", "--dry-run")
    assert (ran.code, ":secret:session does not exist" in ran.stderr) == (2, True)


@waits
def test_a_target_that_would_not_change_is_not_looked_at(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    account(shop).missing.update({"db", "execution"})
    shop.endpoint.calls.clear()
    ran = shop.inv("deploy.prod", "--json")
    assert (ran.summary["outcomes"], CALLS & set(shop.endpoint.operations())) == ({"unchanged": 2}, set())


@waits
@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnknownOperationException"])
def test_what_may_not_be_asked_is_one_note_a_kind_and_no_refusal(shop: Shop, code: str):
    shop.edit("envs/t1.toml", f'SESSION_KEY = "{SECRET[:-2]}session"', 'SESSION_KEY = "/shop/session"')
    shop.endpoint.fault = lambda call: AwsError(code, "no") if call.operation in CALLS else None
    ran = shop.inv("deploy.prod", "--json")
    assert ran.code == 0, ran.stderr
    (plan,) = [one for one in map(json.loads, ran.stdout.splitlines()) if one.get("event") == "planned"]
    assert plan["plan"]["notes"] == [
        f"not checked: 2 roles of accounts 100000000001, 100000000002 (GetRole: {code})",
        f"not checked: 3 secrets of accounts 100000000001, 100000000002 (DescribeSecret: {code})",
        f"not checked: 1 parameter of account 100000000001 (GetParameters: {code})",
    ]


@waits
def test_a_repository_that_may_not_be_looked_at_is_a_note_and_no_refusal(shop: Shop):
    asked = {"GetRepositoryPolicy", "DescribeRepositories", "ListTagsForResource"}
    shop.endpoint.fault = lambda call: AwsError("AccessDenied", "no") if call.operation in asked else None
    ran = shop.inv("release.prod", "--dry-run", "--json")
    assert ran.code == 0, ran.stderr
    (plan,) = [one for one in map(json.loads, ran.stdout.splitlines()) if one.get("event") == "planned"]
    assert plan["plan"]["notes"] == [
        "not checked: the project of 1 repository (ListTagsForResource: AccessDenied)",
        "not checked: who may pull from 1 repository (GetRepositoryPolicy: AccessDenied)",
        "not checked: whether the tag prod may move in 1 repository (DescribeRepositories: AccessDenied)",
    ]


@waits
def test_a_service_out_of_reach_is_a_note_and_not_asked_for_every_name(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    asked, real = [], Clients.of

    def of(self: Clients, service: str, access: Any) -> Any:
        if service != "iam":
            return real(self, service, access)
        asked.append(access)
        with translated("role"):
            raise EndpointConnectionError(endpoint_url="https://iam.amazonaws.com/")

    monkeypatch.setattr(Clients, "of", of)
    shop.edit("templates/api.json.j2", '"cpu":', '"taskRoleArn": "task", "cpu":')
    ran = shop.inv("deploy.prod")
    assert ran.code == 0, ran.stderr
    why = 'Could not connect to the endpoint URL: "https://iam.amazonaws.com/"'
    assert f"not checked: 4 roles of accounts 100000000001, 100000000002 ({why})" in ran.stdout
    assert 1 <= len(asked) <= 4


@waits
def test_a_secret_of_another_account_is_a_note_and_not_asked_for(shop: Shop):
    for tenant in (1, 2):
        own = f"arn:aws:secretsmanager:us-east-1:{tenant_account(tenant)}:secret:db"
        shop.edit(f"envs/t{tenant}.toml", own, "arn:aws:secretsmanager:us-east-1:999999999999:secret:db")
    shop.endpoint.cloud.account("999999999999").missing.add("db")
    ran = shop.inv("deploy.prod")
    assert ran.code == 0, ran.stderr
    name = "arn:aws:secretsmanager:us-east-1:999999999999:secret:db"
    note = f"not checked: 1 secret of other accounts: {name} (named by t1-prod/api, t2-prod/api)"
    assert note in " ".join(ran.stdout.split())
    assert shop.endpoint.operations()["DescribeSecret"] == 2


@waits
def test_parameters_are_asked_for_ten_a_call_and_one_that_may_not_be_read_hides_no_other(shop: Shop):
    more = "\n".join(f'KEY_{n} = "/shop/{n}"' for n in range(11))
    shop.edit("envs/t1.toml", "[secrets]", f"[secrets]\n{more}")
    account(shop).missing.add("/shop/3")

    def fault(call: Call) -> AwsError | None:
        denied = call.operation == "GetParameters" and "/shop/2" in call.ask["Names"]
        return AwsError("AccessDeniedException", "no") if denied else None

    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.endpoint.operations()["GetParameters"]) == (2, 2)
    assert "the parameter /shop/3 does not exist in account 100000000001, us-east-1\n" in ran.stderr
    shop.endpoint.fault = fault
    assert shop.inv("deploy.prod").stderr == ran.stderr


@waits
def test_a_rollback_looks_at_what_it_renders_now(shop: Shop):
    for commit in ("older", "newer"):
        assert shop.inv("release.prod", "--commit", shop.commits[commit], "--allow-older", "--override", "x").code == 0
    for number in (1, 2):
        for revision in account(shop, number).families[f"shop-t{number}-prod-api"]:
            revision.tags.pop("deploytasks:release", None)
    account(shop).missing.add("db")
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, f"the secret {SECRET} does not exist" in ran.stderr) == (2, True)


def request(**members: Any) -> dict[str, Any]:
    return {"family": "f", **members}


def container(**members: Any) -> dict[str, Any]:
    return request(containerDefinitions=[{"name": "api", **members}])


def secret(text: str) -> dict[str, Any]:
    return container(secrets=[{"name": "KEY", "valueFrom": text}])


ARN = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf"
SSM = "arn:aws:ssm:eu-west-1:111111111111:parameter"
NAMES: list[tuple[dict[str, Any], tuple[str, str, str, str]]] = [
    (secret("/shop/key"), ("parameter", "/shop/key", "", "")),
    (secret("key"), ("parameter", "key", "", "")),
    (secret(f"{SSM}/shop/key"), ("parameter", "/shop/key", "111111111111", "eu-west-1")),
    (secret(f"{SSM}/key"), ("parameter", "parameter/key", "111111111111", "eu-west-1")),
    (secret(f"{SSM}/aws/reference/secretsmanager/db"), ("secret", "db", "111111111111", "eu-west-1")),
    (secret("/aws/reference/secretsmanager/a/db:AWSPREVIOUS"), ("secret", "a/db", "", "")),
    (secret(ARN), ("secret", ARN, "111111111111", "eu-west-1")),
    (secret(f"{ARN}:password:AWSPREVIOUS:"), ("secret", ARN, "111111111111", "eu-west-1")),
    (secret(f"{ARN}:::"), ("secret", ARN, "111111111111", "eu-west-1")),
    (container(repositoryCredentials={"credentialsParameter": "hub"}), ("secret", "hub", "", "")),
    (
        container(logConfiguration={"logDriver": "splunk", "secretOptions": [{"name": "t", "valueFrom": "/token"}]}),
        ("parameter", "/token", "", ""),
    ),
    (
        request(
            volumes=[
                {"fsxWindowsFileServerVolumeConfiguration": {"authorizationConfig": {"credentialsParameter": ARN}}}
            ]
        ),
        ("secret", ARN, "111111111111", "eu-west-1"),
    ),
    (request(taskRoleArn="task"), ("role", "task", "", "")),
    (
        request(executionRoleArn="arn:aws:iam::111111111111:role/a/b"),
        ("role", "arn:aws:iam::111111111111:role/a/b", "111111111111", ""),
    ),
]


@pytest.mark.parametrize(("definition", "named"), NAMES)
def test_a_definition_names(definition: dict[str, Any], named: tuple[str, str, str, str]):
    assert [(one.kind, one.name, one.account, one.region) for one in references(definition)] == [named]


@pytest.mark.parametrize(
    "definition",
    [
        container(dockerLabels={"valueFrom": "x", "credentialsParameter": "y"}),
        container(environment=[{"name": "valueFrom", "value": "x"}]),
        request(taskRoleArn="", executionRoleArn=None),
        secret("arn:aws:s3:::bucket"),
    ],
)
def test_a_definition_names_nothing_where_words_only_look_alike(definition: dict[str, Any]):
    assert list(references(definition)) == []


ECS, EC2 = "ecs-tasks.amazonaws.com", "ec2.amazonaws.com"


@pytest.mark.parametrize(
    ("statement", "trusts"),
    [
        ({"Principal": {"Service": ECS}}, True),
        ({"Principal": {"Service": [EC2, ECS]}}, True),
        ({"Principal": {"Service": ECS}, "Action": ["sts:TagSession", "sts:AssumeRole"]}, True),
        ({"Principal": {"Service": ECS}, "Action": "sts:*"}, True),
        ({"Principal": {"Service": ECS}, "Action": "*"}, True),
        ({"Principal": {"Service": ECS}, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"Service": EC2}}, False),
        ({"Principal": {"Service": "ecs.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::111111111111:root"}}, False),
        ({"Principal": {"Service": ECS}, "Action": "sts:TagSession"}, False),
        ({"Principal": {"Service": ECS}, "Effect": "Deny"}, False),
    ],
)
def test_a_role_trusts_ecs_where_some_allow_names_its_tasks(statement: dict[str, Any], trusts: bool):
    document = trust(**statement)
    assert aws_iam.trusts(document) == trusts
    assert aws_iam.trusts({**document, "Statement": document["Statement"][0]}) == trusts
    also = {**document, "Statement": [*document["Statement"], *trust(Principal={"Service": ECS})["Statement"]]}
    assert aws_iam.trusts(also)


def test_a_trust_policy_that_is_not_shown_is_believed():
    assert aws_iam.trusts(None) and aws_iam.trusts("%7Bnot json")
    assert not aws_iam.trusts({"Version": "2012-10-17", "Statement": []})


def test_moto_answers_the_three_reads_as_they_are_understood():
    with mock_aws():
        secrets, ssm, iam = (client(name) for name in ("secretsmanager", "ssm", "iam"))
        arn = secrets.create_secret(Name="db", SecretString="x")["ARN"]
        faults = {name: aws_secrets.secret_fault(secrets, name) for name in ("db", arn, arn[:-7], "other")}
        assert faults == {"db": "", arn: "", arn[:-7]: "", "other": aws_secrets.MISSING}
        secrets.delete_secret(SecretId="db")
        assert aws_secrets.secret_fault(secrets, arn) == aws_secrets.DELETED
        for name in ("/shop/key", "/top", "bare"):
            ssm.put_parameter(Name=name, Value="x", Type="SecureString")
        names = ["/shop/key", "/shop/no", "bare", "parameter/bare", "parameter/top", "parameter/no"]
        assert aws_secrets.missing_parameters(ssm, names) == {"/shop/no", "parameter/no"}
        for name, service in (("task", ECS), ("host", EC2)):
            document = json.dumps(trust(Principal={"Service": service}))
            iam.create_role(RoleName=name, Path="/p/", AssumeRolePolicyDocument=document)
        roles = ("arn:aws:iam::123456789012:role/p/task", "p/task", "/p/task", "p/host", "other")
        assert [aws_iam.role_fault(iam, each) for each in roles] == [
            *("", "", ""),
            *(aws_secrets.UNTRUSTING, aws_secrets.MISSING),
        ]
        assert aws_iam.role_fault(iam, "p/task", aws_iam.SCHEDULER) == "does not trust scheduler.amazonaws.com"
        assert aws_iam.role_fault(iam, "p/host", EC2) == ""
        without_path = aws_iam.role_fault(iam, "arn:aws:iam::123456789012:role/task")
        assert without_path == "does not exist: the one of that name is arn:aws:iam::123456789012:role/p/task"
