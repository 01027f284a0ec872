"""What ECS would refuse stops every command before anything is written, for all targets at once."""

import json

import pytest

from tests.commands import Shop

pytestmark = pytest.mark.waits
ROLE = '  "executionRoleArn": "arn:aws:iam::{{ account }}:role/execution",\n'
TAGS = '"tags": {},\n  "networkMode"'
TWICE = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
MANY = [{"key": f"k{number}", "value": ""} for number in range(45)]
EDITS = {
    "no execution role": (ROLE, "", "the key 'executionRoleArn' is missing"),
    "a tag without its key": ('"networkMode"', TAGS.format('[{"value": "x"}]'), "tags[0]: the key 'key' is missing"),
    "a tag twice": ('"networkMode"', TAGS.format(json.dumps(TWICE)), "the tag 'a' appears twice"),
    "45 tags and our own": ('"networkMode"', TAGS.format(json.dumps(MANY)), "15 are kept for deploytasks' own"),
    "nothing essential": ('"essential": true', '"essential": false', "no container is essential"),
    "too many bytes": ('"essential": true', f'"command": ["{"x" * 65536}"]', "and ECS allows 65,536"),
}


@pytest.mark.parametrize("task", ["envs.check", "release.prod", "deploy.prod"])
@pytest.mark.parametrize(("old", "new", "message"), EDITS.values(), ids=EDITS)
def test_what_ecs_refuses_stops_before_anything_is_written(shop: Shop, task: str, old: str, new: str, message: str):
    shop.edit("templates/api.json.j2", old, new)
    ran = shop.inv(task)
    assert (ran.code, shop.writes()) == (2, {})
    assert message in ran.stderr and "Traceback" not in ran.stderr
    assert ran.stderr.count("t1-prod/api") == 1, ran.stderr


def test_the_board_is_shown_all_the_same(shop: Shop):
    shop.edit("templates/api.json.j2", '"networkMode"', TAGS.format('[{"value": "x"}]'))
    ran = shop.inv("status")
    assert ran.code == 0 and "t1" in ran.stdout and "the key 'key' is missing" in ran.stdout + ran.stderr
