"""docs/envs.md shows every key, its files load, and editors get the same grammar."""

import json
import re
from pathlib import Path

import pytest

from deploytasks.config import placeholders
from deploytasks.config.json_schema import json_schema
from deploytasks.config.load import load
from deploytasks.config.names import ALL_IMAGES, RESERVED_TIER_NAMES
from deploytasks.config.schema import (
    ImageTable,
    JobTable,
    Layer,
    NotifyTable,
    ProjectFile,
    RegistryTable,
    ServiceTable,
    TierTable,
)
from deploytasks.model import JobSettings, Webhook
from tests.envs_files import MB, PROJECT, refusal

DOC = (Path(__file__).parent.parent / "docs" / "envs.md").read_text()
EXAMPLES = dict(re.findall(r"```toml\n# (envs/[a-z]+\.toml)\n(.*?)```", DOC, re.DOTALL))


@pytest.fixture
def project(tmp_path):
    (tmp_path / "envs").mkdir()
    for name, text in EXAMPLES.items():
        (tmp_path / name).write_text(text)
    return load(tmp_path)


def test_the_documented_files_mean_what_their_comments_say(project):
    assert [str(target) for target in project.targets] == [
        "mb-dev/web",
        "mb-dev/nightly",
        "mb-prod/web",
        "mb-prod/worker",
        "mb-prod/nightly",
        "mb-prod/reindex",
    ]
    dev, nightly_dev, prod, worker, nightly, reindex = project.targets
    assert dev.env == {"LOG_LEVEL": "info", "FEATURE_BULK_ORDERS": "on", "WORKERS": "4"}
    assert (dev.family, prod.family, worker.family) == ("shop-mb-dev-web", "mb-shop-web", "shop-mb-prod-worker")
    assert (dev.cpu, prod.cpu, worker.cpu) == (1024, 1024, 512)
    assert (dev.access.account, prod.access.account) == ("222222222222", "333333333333")
    assert [each.access.role for each in (dev, prod)] == [f"arn:aws:iam::{n * 12}:role/deploy" for n in "23"]
    assert prod.secrets == {
        "DATABASE_URL": "arn:aws:secretsmanager:us-east-1:333333333333:secret:shop/db",
        "SESSION_KEY": "/shop/mb/session-key",
    }
    assert (prod.cluster, prod.ecs_service, prod.env["LOG_LEVEL"]) == ("mb-prod", "web", "error")
    assert project.webhook == Webhook("ssm", "/shop/slack")
    role = "arn:aws:iam::{}:role/scheduler"
    assert nightly_dev.job == JobSettings("cron(0 3 * * ? *)", role.format("222222222222"))
    assert (nightly.family, nightly.job) == (
        "shop-mb-prod-nightly",
        JobSettings("cron(0 3 * * ? *)", role.format("333333333333")),
    )
    assert (reindex.image, reindex.job) == ("app", JobSettings(rule="mb-prod-reindex"))
    assert worker.vars == {"subnets": ["subnet-2a", "subnet-2b"], "queues": {"fast": 4, "slow": 1}}


def test_what_the_doc_calls_a_default_is_the_default(project, tmp_path):
    prod = project.tier("prod")
    assert (prod.pin, prod.parallel, prod.timeout_s, prod.on_failure) == ("digest", 20, 1200, "stop")
    silent = project.tier("staging")
    assert (silent.pin, silent.parallel, silent.timeout_s, silent.soak_s, silent.on_failure) == (
        "digest",
        20,
        1200,
        30,
        "stop",
    )
    nginx, worker = project.image("nginx"), project.service("worker")
    assert (nginx.repository, nginx.dockerfile) == ("shop/nginx", "Dockerfile")
    assert (nginx.platforms, nginx.builder, nginx.paths) == (("linux/amd64",), "auto", ())
    assert (worker.uses, worker.before_deploy) == ((), ())


KINDS = [ProjectFile, RegistryTable, NotifyTable, ImageTable, ServiceTable, JobTable, TierTable]


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_the_project_stands_in_the_doc(kind):
    text = EXAMPLES["envs/project.toml"]
    missing = [key for key in kind.__struct_fields__ if not re.search(rf"\b{key}\b( =|[\].])", text)]
    assert missing == []


def test_every_setting_stands_in_the_doc():
    text = EXAMPLES["envs/mb.toml"]
    missing = [key for key in Layer.__struct_fields__ if not re.search(rf"\b{key}\b( =|[\].])", text)]
    assert missing == []


def test_every_key_that_takes_placeholders_and_every_placeholder_stands_in_the_doc():
    section = DOC[DOC.index("## Placeholders") : DOC.index("## Notifications")]
    assert [name for name in (*placeholders.KEYS, *placeholders.ALL.split()) if f"`{name}`" not in section] == []


def test_every_reserved_name_stands_in_the_doc():
    assert [name for name in (*sorted(RESERVED_TIER_NAMES), ALL_IMAGES) if f"`{name}`" not in DOC] == []


def test_the_documented_complaint_is_a_real_one(tmp_path):
    filler = "#\n" * 25
    wrong = filler + MB + 'cpus = 1\ntimeout = "5m"\n'
    shown = DOC[DOC.rindex("```\nenvs/") + 4 : DOC.rindex("\n```")]
    assert refusal(tmp_path, PROJECT, mb=wrong) == shown


@pytest.mark.parametrize("kind", ["project", "tenant"])
def test_editors_get_a_schema_that_knows_every_table_and_no_null(kind):
    schema = json_schema(kind)
    text = json.dumps(schema)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert '"null"' not in text
    assert "null" not in text
    for name, table in schema["$defs"].items():
        assert table["additionalProperties"] is False, name


def test_the_schema_says_what_is_required_and_what_is_the_default():
    tables = json_schema("project")["$defs"]
    assert tables["ProjectFile"]["required"] == ["project", "registry", "images", "tiers"]
    assert tables["TierTable"]["required"] == ["tag"]
    assert tables["TierTable"]["properties"]["parallel"]["default"] == 20
    assert "default" not in tables["TierTable"]["properties"]["after"]
    assert {"account", "services"} <= set(json_schema("tenant")["$defs"]["Layer"]["properties"])


def test_a_variable_is_never_true_for_editors_either():
    variable = json_schema("tenant")["$defs"]["Layer"]["properties"]["env"]["additionalProperties"]
    assert {"type": "boolean", "const": False} in variable["anyOf"]
