"""`[notify] webhook` names the place of an address; the address itself is never taken, and never shown."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from deploytasks.model import Webhook
from tests.envs_files import MB, PROJECT, loaded, refusal

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://hooks.slack.example/services/T0/B0/hunter2"


def notify(webhook: str) -> str:
    return f'{PROJECT}[notify]\nwebhook = "{webhook}"\n'


@pytest.mark.parametrize(
    ("webhook", "place", "name"),
    [
        ("env:SLACK_URL", "env", "SLACK_URL"),
        ("ssm:/shop/slack", "ssm", "/shop/slack"),
        (
            "ssm:arn:aws:ssm:us-east-1:000000000000:parameter/shop/slack",
            "ssm",
            "arn:aws:ssm:us-east-1:000000000000:parameter/shop/slack",
        ),
        ("secretsmanager:shop/slack", "secretsmanager", "shop/slack"),
        (
            "secretsmanager:arn:aws:secretsmanager:us-east-1:000000000000:secret:shop/slack-AbCdEf",
            "secretsmanager",
            "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop/slack-AbCdEf",
        ),
    ],
)
def test_the_address_is_found_in_one_of_three_places(tmp_path, webhook, place, name):
    assert loaded(tmp_path, notify(webhook)).webhook == Webhook(place, name)


def test_the_document_has_every_place():
    table = (ROOT / "docs" / "envs.md").read_text().partition("| `webhook = …` |")[2].partition("\n\n")[0]
    assert re.findall(r'^\| `"([a-z]+):', table, re.MULTILINE) == list(get_args(get_type_hints(Webhook)["place"]))


def test_without_the_table_nobody_is_told(tmp_path):
    assert loaded(tmp_path).webhook is None


@pytest.mark.parametrize(
    "webhook",
    [
        ADDRESS,
        "http://127.0.0.1/x",
        f"env:{ADDRESS}",
        f"ssm:{ADDRESS}",
        f"secretsmanager:{ADDRESS}",
        "SLACK_URL",
        "env:",
        "env:1A",
        "env:A B",
        "vault:shop/slack",
        "ssm:arn:aws:secretsmanager:us-east-1:000000000000:secret:x",
        "",
    ],
)
def test_anything_else_is_refused_with_the_reason_and_never_shown(tmp_path, webhook):
    assert refusal(tmp_path, notify(webhook)) == (
        "envs/project.toml:14: notify.webhook: can't be this\n"
        "    wanted: where the webhook's address is found, never the address: anyone who has it can post; "
        'such as "env:SLACK_URL", "ssm:/shop/slack" or "secretsmanager:shop/slack"'
    )


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('[notify]\nwebhok = "env:X"', "14: notify: unknown key 'webhok'\n    did you mean 'webhook'?"),
        ('[notfy]\nwebhook = "env:X"', "13: unknown key 'notfy'\n    did you mean 'notify'?"),
        ('[notify]\nwebhook = ["env:X"]', "14: notify.webhook: can't be this\n    wanted: where"),
        ("[notify]", "13: notify.webhook: is missing\n    wanted: where"),
        (f'notify = "{ADDRESS}"', "13: tiers.prod: unknown key 'notify'"),
    ],
)
def test_a_wrong_table_is_told_with_its_line_and_the_right_spelling(tmp_path, added, said):
    refused = refusal(tmp_path, PROJECT + added)
    assert refused.startswith(f"envs/project.toml:{said}")
    assert "hunter2" not in refused


def test_an_address_in_place_of_the_table_is_not_shown(tmp_path):
    said = refusal(tmp_path, f'notify = "{ADDRESS}"\n{PROJECT}')
    assert said == "envs/project.toml:1: notify: can't be this\n    wanted: a table"


def test_a_tenant_has_no_webhook_of_its_own(tmp_path):
    said = refusal(tmp_path, mb='notify.webhook = "env:X"\n' + MB)
    assert said == "envs/mb.toml:1: unknown key 'notify'\n    [notify] belongs only in envs/project.toml"


@pytest.mark.parametrize(
    ("account", "region"), [("111111111111", "us-east-1"), ("000000000000", "eu-west-1")], ids=["account", "region"]
)
def test_a_secret_is_beside_the_registry_whose_credentials_read_it(tmp_path, account, region):
    said = refusal(tmp_path, notify(f"secretsmanager:arn:aws:secretsmanager:{region}:{account}:secret:x"))
    assert said == (
        f"envs/project.toml:14: notify.webhook: is in account {account}, {region}, "
        "but the registry is in 000000000000, us-east-1\n"
        "    keep it beside the registry: secretsmanager:NAME"
    )
