"""docs/templates.md tells the truth: its examples are rendered, its messages are the real ones."""

import re

from msgspec.structs import replace

from deploytasks.model import JobSettings
from deploytasks.template.check import check_all, rendered
from deploytasks.template.language import SEEN
from tests.cloud.world import IMAGE
from tests.template_stage import ROOT, project, target, write

TEXT = (ROOT / "docs" / "templates.md").read_text()


def blocks(info):
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_each_example_is_a_request_that_ecs_takes(tmp_path):
    sidecars = {"port": 80, "subnets": ["a"], "sidecars": [{"name": "proxy", "image": "envoy"}]}
    whole = project(tmp_path, target(), target(tenant="acme", vars=sidecars))
    whole = replace(whole, registry=replace(whole.registry, host=IMAGE.partition("/")[0]))  # ECR asks for more
    (service,) = blocks("jinja api.service.json.j2")
    definitions = blocks("jinja api.json.j2")
    assert len(definitions) == 2
    for definition in definitions:
        write(tmp_path, definition, service)
        assert check_all(whole) == ()


def test_the_example_of_a_schedule_is_one_that_scheduler_takes(tmp_path):
    (example,) = blocks("jinja nightly.schedule.json.j2")
    job = JobSettings("cron(0 3 * * ? *)", "arn:aws:iam::222222222222:role/schedule")
    there = replace(target(), name="nightly", ecs_service="", family="shop-mb-dev-nightly", job=job)
    (definition, _) = blocks("jinja api.json.j2")
    write(tmp_path, definition, **{"nightly.json": definition, "nightly.schedule.json": example})
    whole = project(tmp_path, there)
    assert check_all(whole) == ()
    assert rendered(whole, [there])["nightly.schedule"]["State"] == "ENABLED"


def test_the_messages_shown_are_those_of_the_example(tmp_path):
    (broken,), (messages,) = blocks("jinja broken"), blocks("text")
    write(tmp_path, broken)
    assert "\n".join(map(str, check_all(project(tmp_path)))) == messages.rstrip()


def test_every_name_that_a_template_sees_is_listed():
    table = TEXT.partition("## What a template sees")[2].partition("The filters")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert [name for row in rows for name in re.findall("`([a-z_]+)`", row)] == list(SEEN)
