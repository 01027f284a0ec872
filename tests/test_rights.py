"""docs/rights.md shows the policies that derive from the table of operations; REWRITE=1 writes them anew."""

import json
import os
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.aws import rights
from deploytasks.aws.operations import OPERATIONS, Resource
from tests.template_stage import ROOT

DOCUMENT = ROOT / "docs/rights.md"
BLOCK = re.compile(r"^```json (\w+) (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A policy: the role, and the use that it is for."""
ARNS: dict[Resource, Sequence[str]] = {
    **rights.own_arns("shop", "ACCOUNT", "REGION"),
    "role": ["arn:aws:iam::ACCOUNT:role/deploy"],
    "named role": ["arn:aws:iam::ACCOUNT:role/execution", "arn:aws:iam::ACCOUNT:role/task"],
    "schedule": ["arn:aws:scheduler:REGION:ACCOUNT:schedule/*/shop-*"],
    "rule role": ["arn:aws:iam::ACCOUNT:role/schedule"],
    "service": ["arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*"],
    "service deployment": [
        "arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*",
        "arn:aws:ecs:REGION:ACCOUNT:service-deployment/CLUSTER/*",
    ],
    "service revision": [
        "arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*",
        "arn:aws:ecs:REGION:ACCOUNT:service-revision/CLUSTER/*",
    ],
    "tagged": [
        "arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*",
        "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/*",
        "arn:aws:ecs:REGION:ACCOUNT:task-definition/shop-*:*",
    ],
    "task": ["arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/*"],
    "task definition": ["arn:aws:ecs:REGION:ACCOUNT:task-definition/shop-*:*"],
    "log group": ["arn:aws:logs:REGION:ACCOUNT:log-group:/ecs/shop-*:*"],
    "schedule role": ["arn:aws:iam::ACCOUNT:role/schedule"],
    "rule": ["arn:aws:events:REGION:ACCOUNT:rule/*"],
    "named secret": ["arn:aws:secretsmanager:REGION:ACCOUNT:secret:shop/*"],
    "named parameter": ["arn:aws:ssm:REGION:ACCOUNT:parameter/shop/*"],
    "webhook secret": ["arn:aws:secretsmanager:REGION:ACCOUNT:secret:slack-*"],
    "webhook parameter": ["arn:aws:ssm:REGION:ACCOUNT:parameter/slack"],
    "webhook key": ["arn:aws:kms:REGION:ACCOUNT:key/KEY"],
}


def derived(role: Any, use: Any) -> str:
    """The policy's statements as JSON, whose lists of texts fill their lines."""
    written = json.dumps(rights.statements(role, use, ARNS), indent=2)
    return re.sub(r'^( +)("\w+": )\[([^][{]+)\](,?)$', filled, written, flags=re.MULTILINE) + "\n"


def filled(found: re.Match[str]) -> str:
    indent, key, texts, comma = found.groups()
    short = f"{indent}{key}[{' '.join(texts.split())}]{comma}"
    if len(short) <= 100:
        return short
    wrap = textwrap.TextWrapper(100, f"{indent}  ", f"{indent}  ", break_on_hyphens=False)
    lines = wrap.fill(" ".join(texts.split()))
    return f"{indent}{key}[\n{lines}\n{indent}]{comma}"


def documented() -> list[tuple[str, str, str]]:
    if os.environ.get("REWRITE") == "1":
        new = BLOCK.sub(lambda found: f"```json {found[1]} {found[2]}\n{derived(found[1], found[2])}```", text())
        DOCUMENT.write_text(new)
    return BLOCK.findall(text())


def text() -> str:
    return DOCUMENT.read_text()


def test_the_policies_are_those_of_the_operations():
    wrong = [(role, use) for role, use, shown in documented() if shown != derived(role, use)]
    assert wrong == [], "REWRITE=1 make test ARGS=tests/test_rights.py writes them anew"


def test_each_right_stands_in_one_policy():
    shown = [(role, use) for role, use, _ in documented()]
    assert sorted(shown) == sorted({(right.role, right.use) for right in rights.needed()})


def test_the_text_names_no_right_that_is_not_in_a_policy():
    prose = BLOCK.sub("", text())
    named = set(re.findall(r"\b(?:ecs|ecr|ssm|logs|iam|sts|kms|secretsmanager|scheduler|events):[A-Z]\w+", prose))
    elsewhere = {"sts:ExternalId", "logs:CreateLogGroup"}  # a condition; a right of the role that containers start with
    assert named - elsewhere <= {action for actions in rights.needed().values() for action in actions}


def test_a_right_with_a_condition_has_a_statement_of_its_own():
    passing = [actions for right, actions in rights.needed().items() if right.passed_to]
    assert passing == [("iam:PassRole",)] * 3


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("newer-than-botocore-1", "aws"),
    ],
)
def test_the_arns_are_of_the_regions_partition(region: str, partition: str):
    arns = [arn for listed in rights.own_arns("shop", "1", region).values() for arn in listed if arn != "*"]
    assert len(arns) == 2
    assert {arn.partition(f":{region}:")[0] for arn in arns} == {f"arn:{partition}:ecr", f"arn:{partition}:ssm"}


def test_a_row_is_a_right_of_its_role(monkeypatch: pytest.MonkeyPatch):
    row = replace(OPERATIONS["ecs", "ListTasks"], name="ListAttributes")
    monkeypatch.setitem(OPERATIONS, ("ecs", "ListAttributes"), row)
    assert '"ecs:ListAttributes"' in derived("tenant", "read")
    assert '"ecs:ListAttributes"' not in derived("registry", "read") + derived("tenant", "change")
