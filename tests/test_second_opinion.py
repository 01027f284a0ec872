"""The simulated AWS of tests/cloud answers as moto does; where it doesn't, a row says who is right, by which source.

ministack is compared where it runs, in tests/emulator.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws

from tests import clients, second_opinions, second_opinions_ecs, second_opinions_schedules
from tests.cloud.accounts import Account, Cloud
from tests.cloud.endpoint import SERVICES, Endpoint
from tests.cloud.events import Rule, add_rule
from tests.cloud.iam import USERS
from tests.cloud.logs import write_log
from tests.second_opinions import ACCOUNT, Row

TRUST = {"Effect": "Allow", "Principal": {"Service": USERS}, "Action": "sts:AssumeRole"}
TABLES: dict[str, tuple[str, Callable[[], Iterable[Row]]]] = {
    table.__name__: (service, table)
    for service, table in (
        ("ecr", second_opinions.ecr_repositories),
        ("ecr", second_opinions.ecr_images),
        ("ecr", second_opinions.ecr_immutable_tags),
        ("ssm", second_opinions.ssm_parameters),
        ("secretsmanager", second_opinions.secrets),
        ("iam", second_opinions.iam_roles),
        ("sts", second_opinions.sts_sessions),
        ("logs", second_opinions.log_lines),
        ("scheduler", second_opinions_schedules.schedules),
        ("events", second_opinions_schedules.rules),
        ("ecs", second_opinions_ecs.definitions),
        ("ecs", second_opinions_ecs.services),
        ("ecs", second_opinions_ecs.tasks),
    )
}
NOT_IN_MOTO = {
    "ecr": {"GetDownloadUrlForLayer": {"repositoryName": "api", "layerDigest": "sha256:" + "a" * 64}},
    "ecs": {
        "ListServiceDeployments": {"service": "s"},
        "DescribeServiceDeployments": {"serviceDeploymentArns": ["a"]},
        "DescribeServiceRevisions": {"serviceRevisionArns": ["a"]},
        "StopServiceDeployment": {"serviceDeploymentArn": "a"},
        "ContinueServiceDeployment": {"serviceDeploymentArn": "a", "hookId": "h"},
    },
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(latency_s=0) as endpoint:
        yield endpoint


def client(service: str, url: str | None = None) -> Any:
    return clients.client(service, url, ACCOUNT, parameter_validation=False)


def fill(account: Account) -> None:
    """What the tables find there."""
    account.secrets["db"] = "x"
    account.missing |= {"no", "/no"}
    account.deleted.add("gone")
    add_rule(account, Rule("nightly", "rate(1 day)", is_enabled=False))
    for line in ("one", "two"):
        write_log(account, "g", "s", line)


def fill_moto(now: float) -> None:
    """The same in moto."""
    secrets, logs = client("secretsmanager"), client("logs")
    for name in ("db", "gone"):
        secrets.create_secret(Name=name, SecretString="x")
    secrets.delete_secret(SecretId="gone")
    document = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    client("events").put_rule(Name="nightly", ScheduleExpression="rate(1 day)", State="DISABLED")
    client("iam").create_role(RoleName="task", AssumeRolePolicyDocument=document)
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    events = [{"timestamp": int(now * 1000), "message": line} for line in ("one", "two")]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)


def answer(of: Any, row: Row) -> Any:
    """What is read of the answer, or the status and code of the error, or the class of what moto raises."""
    try:
        told = getattr(of, xform_name(row.operation))(**row.ask)
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
    except Exception as error:
        return type(error).__name__
    told.pop("ResponseMetadata")
    return jmespath.search(row.reads, told) if row.reads else "200"


@pytest.mark.parametrize("name", TABLES)
def test_both_answer_the_same_or_as_the_row_explains(endpoint: Endpoint, name: str):
    service, table = TABLES[name]
    endpoint.cloud = Cloud()
    fill(endpoint.cloud.account(ACCOUNT))
    with mock_aws():
        fill_moto(endpoint.cloud.clock())
        ours, moto = client(service, endpoint.url), client(service)
        wrong = []
        for row in table():
            found = (answer(ours, row), answer(moto, row))
            expected = (row.ours, row.moto) if row.why else (found[1], found[1])
            if found != expected or (not row.why and row.reads == "" and found[0] == "200"):
                wrong.append(f"{row.operation} {row.ask}: ours {found[0]}, moto {found[1]}, expected {expected}")
    assert not wrong, "\n".join(wrong)


def test_every_operation_is_compared_but_for_those_that_moto_lacks():
    compared: dict[str, set[str]] = {}
    for service, table in TABLES.values():
        compared.setdefault(service, set()).update(row.operation for row in table())
    missing = {service: set(SERVICES[service]) - compared.get(service, set()) for service in SERVICES}
    assert {service: names for service, names in missing.items() if names} == {
        service: set(names) for service, names in NOT_IN_MOTO.items()
    }


@mock_aws
def test_moto_still_lacks_what_is_not_compared():
    asked = [Row(operation, "", ask) for asks in NOT_IN_MOTO.values() for operation, ask in asks.items()]
    services = [service for service, asks in NOT_IN_MOTO.items() for _ in asks]
    told = {row.operation: answer(client(service), row) for service, row in zip(services, asked, strict=True)}
    assert set(told.values()) == {"NotImplementedError"}


def test_every_difference_is_explained():
    rows = [row for _, table in TABLES.values() for row in table()]
    assert all(row.ours != row.moto and len(row.why) > 20 for row in rows if row.why)
    assert len(rows) > 150
