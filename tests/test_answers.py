"""What AWS answers is checked as it comes in; what nobody foresaw is one target's trouble, told in one line."""

import json
from pathlib import Path
from sys import modules
from typing import Any

import pytest
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import get_session

from deploytasks.aws import ecs, follow_task
from deploytasks.aws.responses import UNREADABLE, Factory, Members, Unreadable
from deploytasks.commands import rollouts
from deploytasks.errors import AwsError, contained
from deploytasks.report import board
from deploytasks.rollout import follow
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop
from tests.faulty import outcomes
from tests.proxy import NONSENSE, Proxy, Rule

ONE, TWO = tenant_account(1), tenant_account(2)
SERVICE = {"serviceName": "api", "status": "ACTIVE", "desiredCount": 2}
WELL = json.dumps({"services": [SERVICE], "failures": []}).encode()


def parsed(body: bytes, *, service: str = "ecs", operation: str = "DescribeServices", status: int = 200, **more: str):
    model = get_session().get_service_model(service).operation_model(operation)
    headers = {"content-type": "application/x-amz-json-1.1", **more}
    answer = {"body": body, "headers": headers, "status_code": status, "context": {"operation_name": operation}}
    return Factory().create_parser(model.service_model.resolved_protocol).parse(answer, model.output_shape)


def test_an_answer_that_is_whole_is_what_botocore_makes_of_it():
    found = parsed(WELL, **{"content-length": str(len(WELL))})
    assert (found["services"], found["ResponseMetadata"]["HTTPStatusCode"]) == ([SERVICE], 200)


def test_whatever_its_shapes_an_answer_is_read_as_botocores_own_parser_reads_it():
    definition = {
        "containerDefinitions": [
            {
                "name": "api",
                "memory": 64,
                "essential": True,
                "dockerLabels": {"a": "b"},
                "resourceRequirements": [{"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 1}}}],
                "healthCheck": {"command": ["CMD", "true"], "interval": None},
                "unheardOf": {"x": [None]},
            }
        ],
        "registeredAt": 1605177000.123,
        "status": "ACTIVE",
    }
    body = json.dumps({"tags": [], "taskDefinition": definition}).encode()
    model = get_session().get_service_model("ecs").operation_model("DescribeTaskDefinition")
    answer = {"body": body, "headers": {"x-amzn-requestid": "1"}, "status_code": 200, "context": {}}
    theirs = ResponseParserFactory().create_parser("json").parse(answer, model.output_shape)
    assert Factory().create_parser("json").parse(answer, model.output_shape) == theirs


@pytest.mark.parametrize("tags", [{"new": 1}, {}, {"nvidiaMps": {"memory": 1}, "__type": "x"}, {"new": 1, "newer": 2}])
def test_a_union_is_read_as_botocore_reads_it(tags: dict[str, Any]):
    resources = [{"type": "GPU", "sharingStrategy": tags}]
    body = {"taskDefinition": {"containerDefinitions": [{"resourceRequirements": resources}]}}
    answer = {"body": json.dumps(body).encode(), "headers": {}, "status_code": 200, "context": {}}
    shape = get_session().get_service_model("ecs").operation_model("DescribeTaskDefinition").output_shape
    ours = Factory().create_parser("json").parse(answer, shape)
    try:
        assert ours == ResponseParserFactory().create_parser("json").parse(answer, shape)
    except ResponseParserError:
        assert ours["Error"]["Code"] == UNREADABLE


@pytest.mark.parametrize(
    ("body", "length", "why"),
    [
        (WELL[:40], len(WELL), "40 of its 93 bytes came"),
        (b"", len(WELL), "0 of its 93 bytes came"),
        (b"", 0, "it has no `services`"),
        (b"{}", 2, "it has no `services`"),
        (b'{"services": null}', 18, "it has no `services`"),
        (b'{"failures": []}', 16, "it has no `services`"),
        (WELL[:40], 40, "it is not AWS's (HTTP 200, application/x-amz-json-1.1: {"),
        (b"<html>Sign in</html>", 20, "it is not AWS's (HTTP 200, application/x-amz-json-1.1: <html>Sign in</html>)"),
        (b"[]", 2, "it is not AWS's"),
        (b'"well"', 6, "it is not AWS's"),
        (b"null", 4, "it has no `services`"),
        (b"\xff\xfe", 2, "it is not AWS's"),
        (b'{"services": 5}', 15, "it is not AWS's"),
        (b'{"services": "api"}', 19, "it is not AWS's"),
        (b'{"services": [null]}', 20, "Services holds a null"),
        (b'{"services": [{"desiredCount": "2"}]}', 37, "Integer is not of type integer"),
        (b'{"services": [{"createdAt": "soon"}]}', 37, "it is not AWS's"),
        (b'{"services": [{"createdAt": 1e30}]}', 35, "(HTTP 200"),
    ],
)
def test_an_answer_that_is_cut_or_none_is_a_bad_gateways(body: bytes, length: int, why: str):
    found = parsed(body, **{"content-length": str(length)})
    assert (found["Error"]["Code"], found["ResponseMetadata"]["HTTPStatusCode"]) == (UNREADABLE, 502)
    assert why in found["Error"]["Message"]


def test_identity_centers_answers_are_read_as_botocore_reads_them_and_none_that_is_no_json():
    whole = b'{"roleCredentials": {"accessKeyId": "a", "expiration": 1}}'
    found = parsed(whole, service="sso", operation="GetRoleCredentials")
    assert found["roleCredentials"] == {"accessKeyId": "a", "expiration": 1}
    assert parsed(b"<html>", service="sso", operation="GetRoleCredentials")["Error"]["Code"] == UNREADABLE


@pytest.mark.parametrize("body", [b"", b"{}", b"<html/>", b"<A><AssumeRoleResult/></A>", b"<A"])
def test_the_query_protocols_answers_are_checked_too(body: bytes):
    assert parsed(body, service="sts", operation="AssumeRole")["Error"]["Code"] == UNREADABLE


@pytest.mark.parametrize(("status", "counts_as"), [(302, 302), (403, 403), (503, 502)])
def test_what_somebody_elses_gateway_says_keeps_its_status_and_its_page_is_cut(status: int, counts_as: int):
    found = parsed(b"<p>" + b"no entry " * 99, status=status)
    assert found["ResponseMetadata"]["HTTPStatusCode"] == counts_as
    assert len(found["Error"]["Message"]) < 200


def test_an_error_of_aws_is_as_before_and_one_that_was_cut_tells_nothing():
    body = json.dumps({"__type": "ClusterNotFoundException", "message": "no"}).encode()
    assert parsed(body, status=400)["Error"]["Code"] == "ClusterNotFoundException"
    assert parsed(body[:9], status=400, **{"content-length": str(len(body))})["Error"]["Code"] == UNREADABLE


def test_a_member_deep_inside_that_is_not_there_is_no_key_error():
    service = parsed(WELL)["services"][0]
    with pytest.raises(Unreadable, match="its answer has no `taskDefinition`"):
        service["taskDefinition"]
    assert (service.get("taskDefinition"), "taskDefinition" in service, isinstance(service, Members)) == (
        None,
        False,
        True,
    )


def broken(*_: Any, **__: Any) -> Any:
    return {}["nothing"]


def test_what_nobody_foresaw_is_its_targets_failure_and_stops_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    as_it_is = ecs.update

    def update(client: Any, target: Any, *rest: Any) -> Any:
        return broken() if target.access.account == TWO else as_it_is(client, target, *rest)

    monkeypatch.setattr(ecs, "update", update)
    ran = shop.inv("deploy.prod", "--json")
    assert (ran.code, outcomes(ran)) == (1, {"t1-prod/api": "deployed", "t2-prod/api": "failed"})
    detail = ran.summary["results"][1]["detail"]
    assert detail.startswith("unforeseen KeyError: 'nothing' (test_answers.py:") and "Traceback" not in ran.stderr
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


@pytest.mark.parametrize("step", ["look", "poll", "finish", "register"])
def test_wherever_that_is_the_lock_is_freed_and_no_traceback_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str
):
    from deploytasks.commands import rollouts

    where = {
        "look": (ecs, "look"),
        "poll": (follow, "judge"),
        "finish": (ecs, "record"),
        "register": (rollouts, "render"),
    }
    monkeypatch.setattr(*where[step], broken)
    ran = shop.inv("deploy.prod")
    assert ran.code in (1, 2) and "KeyError" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


def test_at_the_top_it_is_one_line_and_the_command_that_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch):

    monkeypatch.setattr(rollouts, "rollouts", broken)
    ran = shop.inv("deploy.prod", "--tenant", "t1")
    assert ran.code == 1
    first, *rest = ran.stderr.splitlines()
    assert first.startswith("deploy.prod: unforeseen KeyError: 'nothing' (test_answers.py:")
    assert rest == [
        "    DEPLOYTASKS_DEBUG=1 writes the whole traceback to a file",
        "prod: what was changed so far stands",
        "    to go on: inv deploy.prod --tenant t1",
    ]


def test_a_task_of_no_tier_says_to_run_it_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):

    monkeypatch.setattr(board, "sheet", broken)
    ran = shop.inv("status")
    assert (ran.code, "Traceback" in ran.stderr) == (1, False)
    assert ran.stderr.endswith("    run the same command again: it goes on from here\n")


def test_a_file_that_a_copy_lacks_is_named_with_how_to_get_it_back(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(modules, "deploytasks.report.board", None)
    ran = shop.inv("status")
    assert ran.code == 1
    assert ran.stderr.splitlines() == [
        "inv: deploytasks lacks a file: import of deploytasks.report.board halted; None in sys.modules",
        "    git checkout deploytasks/ restores a copy's files; else install it again",
    ]


def test_the_whole_traceback_is_in_a_file_on_demand(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOYTASKS_DEBUG", "1")
    with pytest.raises(AwsError) as caught, contained("t1"):
        broken()
    name = caught.value.complaints[0].to_do.removeprefix("its traceback is in ")
    text = Path(name).read_text()
    Path(name).unlink()
    assert text.startswith("Traceback (most recent call last):") and text.endswith("KeyError: 'nothing'\n")


@pytest.mark.waits
def test_a_command_whose_task_can_no_longer_be_read_of_names_it(shop: Shop, proxy: Proxy, monkeypatch):

    monkeypatch.setattr(follow_task, "ending", broken)
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "date")
    (task,) = shop.endpoint.cloud.account(ONE).one_offs.values()
    assert ran.code == 1 and f"task {task.arn} can no longer be seen, and goes on: unforeseen KeyError" in ran.stderr
    assert "aws ecs stop-task" in ran.stderr


@pytest.mark.waits
def test_a_command_of_which_nobody_knows_whether_it_began_is_not_said_to_have_never_started(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(NONSENSE["HTML"], "RunTask"),)
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "date")
    assert (ran.code, len(shop.endpoint.cloud.account(ONE).one_offs)) == (1, 1)
    assert "whether its task was started is not known\n    aws ecs list-tasks --cluster t1-prod" in ran.stderr
