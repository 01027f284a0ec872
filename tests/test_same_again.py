"""A second deploy of the same registers nothing, however ECS and others have changed what they tell of the first."""

import json

import pytest

from tests.cloud.world import tenant_account
from tests.commands import Shop

pytestmark = pytest.mark.waits
EXECUTION = '"executionRoleArn": "arn:aws:iam::{{ account }}:role/execution"'
BRIDGE = '"networkMode": "bridge",\n  "requiresCompatibilities": ["EC2"]'
EDITS = {
    "a short name of a role": ("dev", EXECUTION, '"executionRoleArn": "execution"'),
    "short names of both": ("dev", EXECUTION, '"executionRoleArn": "execution", "taskRoleArn": "/team/app"'),
    "a port in a bridge network": (
        "dev",
        '"networkMode": "awsvpc",\n  "requiresCompatibilities": ["FARGATE"]',
        BRIDGE,
    ),
    "a fixed port of the host": (
        "dev",
        '"networkMode": "awsvpc",\n  "requiresCompatibilities": ["FARGATE"]',
        f'"placementConstraints": [],\n  {BRIDGE}',
    ),
}


def released(shop: Shop) -> None:
    assert shop.inv("deploy.dev", "--force").code == 0


def revisions(shop: Shop, number: int = 1):
    return shop.endpoint.cloud.account(tenant_account(number)).families[f"shop-t{number}-dev-api"]


def is_nothing_new(shop: Shop) -> None:
    before = shop.endpoint.operations()["RegisterTaskDefinition"]
    assert shop.inv("deploy.dev", "--json").summary["outcomes"] == {"unchanged": 2}
    assert shop.endpoint.operations()["RegisterTaskDefinition"] == before
    assert shop.inv("deploy.diff", "dev").code == 0
    cells = json.loads(shop.inv("status", "--json").stdout)["cells"]
    assert not [cell for cell in cells if cell["tier"] == "dev" and "drifted" in cell["marks"]]


@pytest.mark.parametrize(("tier", "old", "new"), EDITS.values(), ids=EDITS)
def test_what_ecs_spells_differently_registers_nothing_new(shop: Shop, tier: str, old: str, new: str):
    shop.edit("templates/api.json.j2", old, new)
    released(shop)
    is_nothing_new(shop)


def test_tags_that_a_robot_adds_register_nothing_new(shop: Shop):
    shop.edit("templates/api.json.j2", '"networkMode"', '"tags": [{"key": "team", "value": "a"}],\n  "networkMode"')
    released(shop)
    for number in (1, 2):
        revisions(shop, number)[-1].tags.update({"cost-center": "7", "owner": "robot"})
    is_nothing_new(shop)


def test_a_tag_that_the_template_names_no_longer_is_a_change(shop: Shop):
    plain = '"networkMode"'
    tagged = f'"tags": [{{"key": "team", "value": "a"}}],\n  {plain}'
    shop.edit("templates/api.json.j2", plain, tagged)
    released(shop)
    shop.edit("templates/api.json.j2", tagged, plain)
    for number in (1, 2):
        revisions(shop, number)[-1].tags["cost-center"] = "7"
    diff = shop.inv("deploy.diff", "dev").stdout
    assert '"key": "team"' in diff and "cost-center" not in diff
    assert shop.inv("deploy.dev", "--json").summary["outcomes"] == {"deployed": 2}
    assert "team" not in revisions(shop)[-1].tags
    is_nothing_new(shop)
