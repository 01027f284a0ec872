"""`inv deploy.diff`: what differs is shown once, what is secret is not, and nothing is changed."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from benchmarks.world import tenant_account
from deploytasks.errors import Complaint
from deploytasks.model import Difference
from deploytasks.report import diff
from deploytasks.report.masking import masked
from deploytasks.report.paint import plain
from tests.commands import WRITES, Shop
from tests.given import target
from tests.reports.situations import expect

BEFORE: dict[str, Any] = {
    "family": "shop-prod-api",
    "cpu": "256",
    "containerDefinitions": [
        {
            "name": "api",
            "image": "registry/api@sha256:11",
            "command": ["./serve", "--token", "t0ps3cret", "--port=80"],
            "environment": [
                {"name": "DB_PASSWORD", "value": "hunter22"},
                {"name": "LOG_LEVEL", "value": "info"},
                {"name": "URL", "value": "db?auth=hunter22"},
            ],
            "secrets": [{"name": "SESSION_KEY", "valueFrom": "arn:aws:ssm:us-east-1:1:parameter/key"}],
            "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "sp1unk", "splunk-url": "u"}},
        }
    ],
}


def changed(**variables: str) -> dict[str, Any]:
    after = deepcopy(BEFORE)
    for pair in after["containerDefinitions"][0]["environment"]:
        pair["value"] = variables.get(pair["name"], pair["value"])
    return after


def difference(tenant: str = "main", before: Any = BEFORE, after: Any = None, **more: Any) -> Difference:
    where = target(tenant)
    return Difference(where, f"live {where} shop:7", f"rendered {where} for bbbbbbb", before, after or BEFORE, **more)


def situation() -> list[Difference]:
    family = {**BEFORE, "family": "shop-mb-prod-api"}
    louder, moved = changed(LOG_LEVEL="debug"), changed(DB_PASSWORD="correct horse")
    unseen = (Complaint("mb", "the credentials have expired", "sign in again"),)
    return [
        difference(after=louder),
        difference("mb", family, {**louder, "family": "shop-mb-prod-api"}),
        difference("acme"),
        difference("zoo", after=moved),
        difference("new", before=None, after={"family": "f\x1b[31m", "containerDefinitions": []}),
        replace(difference("shut"), complaints=unseen),
    ]


def test_the_differences_read_as_expected():
    expect("diff.txt", plain(diff.sheet(situation())))
    expect("diff.json", json.dumps(diff.as_json(situation()), indent=2, default=list) + "\n")


def test_the_same_change_in_many_tenants_is_shown_once_whatever_stands_around_it():
    first, *_ = diff.groups(situation())
    assert [str(each.target) for each in first.members] == ["prod/api", "mb-prod/api"]
    assert [line for line in first.lines if line[0] in "+-"] == [
        '-        {"name": "LOG_LEVEL", "value": "info"},',
        '+        {"name": "LOG_LEVEL", "value": "debug"},',
    ]


def test_the_same_change_of_different_members_is_not_the_same():
    two = {"family": "f", "containerDefinitions": [{"name": name, "cpu": 1, "links": ["x"]} for name in ("a", "b")]}
    left, right = deepcopy(two), deepcopy(two)
    left["containerDefinitions"][0]["cpu"] = right["containerDefinitions"][1]["cpu"] = 2
    assert len(diff.groups([difference(before=two, after=left), difference("mb", two, right)])) == 2


SECRETS = ("hunter22", "correct horse", "t0ps3cret", "sp1unk")


def test_no_secret_is_shown_and_that_one_differs_is():
    shown = plain(diff.sheet(situation())) + json.dumps(diff.as_json(situation()), default=list)
    assert not [secret for secret in SECRETS if secret in shown]
    assert '-        {"name": "DB_PASSWORD", "value": "*** (before)"},' in shown
    assert '+        {"name": "DB_PASSWORD", "value": "*** (after)"},' in shown


def test_secrets_are_masked_wherever_they_stand_and_references_are_not():
    (container,) = masked(BEFORE, None)[0]["containerDefinitions"]
    assert container["command"] == ["./serve", "--token", "***", "--port=80"]
    assert container["environment"][2]["value"] == "db?auth=***"
    assert container["logConfiguration"]["options"] == {"splunk-token": "***", "splunk-url": "u"}
    assert container["secrets"] == BEFORE["containerDefinitions"][0]["secrets"]
    assert masked({"command": ["--api-key=abc"]}, None)[0] == {"command": ["--api-key=***"]}


SECRET = some.text("abcdefghijklmnop", min_size=6, max_size=12).map("zq".__add__)


@given(SECRET, SECRET, some.sampled_from(["DB_PASSWORD", "apiKey", "SENTRY_DSN", "token"]))
def test_whatever_the_secret_its_value_never_appears(one: str, other: str, name: str):
    definitions = [
        {"containerDefinitions": [{"name": "api", "command": [value], "environment": [{"name": name, "value": value}]}]}
        for value in (one, other)
    ]
    text = str(masked(*definitions))
    assert one not in text and other not in text
    assert ("(before)" in text) == (one != other)


pytestmark = pytest.mark.waits


def test_after_a_deploy_nothing_differs_and_a_changed_setting_does(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    ran = shop.inv("deploy.diff", "prod")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "none of 2 targets differ\n", "")
    shop.edit("envs/t1.toml", 'env.LOG_LEVEL = "warning"', 'env.LOG_LEVEL = "error"')
    shop.endpoint.calls.clear()
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 3
    assert (
        '-        {"name": "LOG_LEVEL", "value": "warning"},\n+        {"name": "LOG_LEVEL", "value": "error"},'
        in ran.stdout
    )
    assert "no difference: t2-prod/api" in ran.stdout
    assert not WRITES & set(shop.endpoint.operations())


def test_two_environments_are_compared_with_each_other(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    ran = shop.inv("deploy.diff", "prod", "--tenant", "t1", "--across", "t2", "--json")
    (found,) = json.loads(ran.stdout)["different"]
    assert (ran.code, found["left"], found["right"]) == (
        3,
        ["live t1-prod/api shop-t1-prod-api:2"],
        ["live t2-prod/api shop-t2-prod-api:2"],
    )
    assert '-        {"name": "TENANT", "value": "t1"},' in found["diff"]
    assert shop.inv("deploy.diff", "prod", "--tenant", "t1", "--across", "t1-dev").code == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("prod", "--across", "t2"), "--across: no tenant main has prod to compare with\n    name one: --tenant t1,t2"),
        (("prod", "--tenant", "t1", "--across", "t3"), "there is no 't3'"),
        (("prod", "--across", ""), "--across: is empty"),
        (("prd",), "there is no tier 'prd'"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: Shop, words, complaint):
    ran = shop.inv("deploy.diff", *words)
    assert (ran.code, ran.stdout) == (2, "")
    assert complaint in ran.stderr


def test_a_target_that_cannot_be_seen_hides_no_other_and_is_no_success(shop: Shop):
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 1
    assert "--- live t1-prod/api" in ran.stdout
    assert "t2-prod/api: not compared:" in ran.stdout and "ExpiredTokenException" in ran.stdout


def test_a_template_that_cannot_be_rendered_is_refused(shop: Shop):
    shop.edit("templates/api.json.j2", '"cpu"', '"pidMode": "{{ env_var("NOWHERE_SET") }}", "cpu"')
    ran = shop.inv("deploy.diff", "prod")
    assert (ran.code, "NOWHERE_SET" in ran.stderr) == (2, True)
