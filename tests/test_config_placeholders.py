"""Placeholders: which keys take them, what they become in each environment, and how a wrong one is told."""

import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import pytest

from deploytasks.config import placeholders
from deploytasks.config.check import fits
from deploytasks.config.json_schema import json_schema
from deploytasks.config.layers import settings
from deploytasks.config.schema import Layer
from tests.envs_files import FILLED, MB, PROJECT, loaded, only_target, refusal

KNOWN = "    known: {account} {region} {tenant} {tier} {service}"
ALL = "-".join(("{account}", "{region}", "{tenant}", "{tier}", "{service}"))
BECOMES = "222222222222-us-east-1-mb-prod-api"
ROLE = "arn:aws:iam::{account}:role/{tenant}-deploy"
SECRET = "arn:aws:secretsmanager:{region}:{account}:secret:{tenant}/{service}"


def with_line(line: str, mb: str = MB) -> str:
    """A tenant's file whose first line is this one, in place of its own."""
    key = line.partition(" =")[0]
    return "\n".join([line, *(each for each in mb.splitlines() if not each.startswith(f"{key} "))]) + "\n"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("arn:aws:iam::{account}:role/" + ALL, "arn:aws:iam::222222222222:role/" + BECOMES),
        ("arn:aws:iam::222222222222:role/{tenant}/{tier}/x", "arn:aws:iam::222222222222:role/mb/prod/x"),
    ],
)
def test_a_role_is_filled_in(tmp_path, written, becomes):
    assert only_target(tmp_path, mb=with_line(f'role = "{written}"')).access.role == becomes


@pytest.mark.parametrize("key", ["cluster", "ecs_service"])
def test_a_clusters_and_a_services_name_is_filled_in(tmp_path, key):
    assert getattr(only_target(tmp_path, mb=with_line(f'{key} = "{ALL}"')), key) == BECOMES


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (SECRET, "arn:aws:secretsmanager:us-east-1:222222222222:secret:mb/api"),
        (SECRET + "-AbCdEf:{tier}::", "arn:aws:secretsmanager:us-east-1:222222222222:secret:mb/api-AbCdEf:prod::"),
        ("arn:aws:ssm:eu-west-1:333333333333:parameter/{tier}", "arn:aws:ssm:eu-west-1:333333333333:parameter/prod"),
        (f"/shop/{ALL}/db", f"/shop/{BECOMES}/db"),
    ],
)
def test_the_values_of_secrets_are_filled_in(tmp_path, written, becomes):
    assert only_target(tmp_path, mb=f'secrets.DB = "{written}"\n{MB}').secrets == {"DB": becomes}


JOB = PROJECT + '[jobs.nightly]\nschedule = "rate(1 hour)"\n'


def test_a_jobs_role_rule_and_secrets_are_filled_in_with_its_own_name(tmp_path):
    role = 'schedule_role = "arn:aws:iam::{account}:role/{tenant}-{service}"\n'
    rule = f'{MB}jobs.by-rule.rule = "{{tenant}}.{{tier}}.{{service}}"\n'
    project = loaded(tmp_path, JOB + "[jobs.by-rule]\n", mb=f'secrets.DB = "/{{service}}"\n{role}{rule}')
    *_, nightly, by_rule = project.targets
    assert nightly.job and nightly.job.schedule_role == "arn:aws:iam::222222222222:role/mb-nightly"
    assert by_rule.job and by_rule.job.rule == "mb.prod.by-rule"
    assert (nightly.secrets, by_rule.secrets) == ({"DB": "/nightly"}, {"DB": "/by-rule"})


def test_a_schedules_role_of_another_account_is_refused(tmp_path):
    role = 'schedule_role = "arn:aws:iam::333333333333:role/{tenant}"'
    assert refusal(tmp_path, JOB, mb=with_line(role)).startswith(
        "envs/mb.toml:1: schedule_role: is a role of account 333333333333, but mb-dev is account 222222222222\n"
    )


def test_each_environment_and_service_has_values_of_its_own(tmp_path):
    project = f'{PROJECT}[services.worker]\n[defaults]\nrole = "{ROLE}"\n[defaults.secrets]\nDB = "{SECRET}"\n'
    acme = with_line('region = "eu-west-1"', with_line('account = "333333333333"'))
    found = {
        str(each): (each.access.role, each.secrets["DB"], each.ecs_service)
        for each in loaded(tmp_path, project, acme=acme, mb=MB).targets
        if each.environment.tier == "prod"
    }
    acmes, mbs = "arn:aws:iam::333333333333:role/acme-deploy", "arn:aws:iam::222222222222:role/mb-deploy"
    of_acme, of_mb = (
        "arn:aws:secretsmanager:eu-west-1:333333333333:secret:acme/",
        "arn:aws:secretsmanager:us-east-1:222222222222:secret:mb/",
    )
    assert found == {
        "acme-prod/api": (acmes, f"{of_acme}api", "api"),
        "acme-prod/worker": (acmes, f"{of_acme}worker", "worker"),
        "mb-prod/api": (mbs, f"{of_mb}api", "api"),
        "mb-prod/worker": (mbs, f"{of_mb}worker", "worker"),
    }


def test_a_role_of_the_placeholders_account_is_one_of_every_environments(tmp_path):
    mb = with_line(f'role = "{ROLE}"') + 'account = "333333333333"\n'
    assert only_target(tmp_path, mb=mb).access.role == "arn:aws:iam::333333333333:role/mb-deploy"


def test_a_role_of_another_account_is_refused_whatever_its_name_is_made_of(tmp_path):
    said = refusal(tmp_path, mb=with_line('role = "arn:aws:iam::333333333333:role/{tenant}-{account}"'))
    assert said.startswith(
        "envs/mb.toml:1: role: is a role of account 333333333333, but mb-dev is account 222222222222\n"
    )


def test_what_a_placeholder_becomes_is_not_looked_at_again():
    """And names in braces are never code."""
    meanings = {"tenant": "{tier}", "tier": "{service}", "service": "{tenant}"}
    assert placeholders.filled({"cluster": "{tenant}-{tier}-{service}"}, meanings) == {
        "cluster": "{tier}-{service}-{tenant}"
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [("env.X", "{tenant}"), ("vars.x", "{tenant}"), ("vars.secrets.x", "{tenant}")],
)
def test_other_settings_keep_their_braces(tmp_path, key, value):
    found = only_target(tmp_path, mb=f'{key} = "{value}"\n{MB}')
    assert found.env.get("X", found.vars.get("x", found.vars.get("secrets"))) in (value, {"x": value})


@pytest.mark.parametrize("key", ["profile", "external_id", "family", "account", "region", "registry.role"])
def test_no_other_key_takes_a_placeholder_for_one(tmp_path, key):
    """`profile` takes any text, and keeps it as it is."""
    if key == "registry.role":
        role = 'region = "us-east-1"\nrole = "arn:aws:iam::{account}:role/x"'
        assert refusal(tmp_path, PROJECT.replace('region = "us-east-1"', role)) == (
            'envs/project.toml:6: registry.role: can\'t be "arn:aws:iam::{account}:role/x"\n'
            '    wanted: a role\'s ARN, such as "arn:aws:iam::222222222222:role/deploy"; no placeholders'
        )
    elif key == "profile":
        assert only_target(tmp_path, mb=with_line('profile = "{tenant}"')).access.profile == "{tenant}"
    else:
        assert f'1: {key}: can\'t be "{{tenant}}"' in refusal(tmp_path, mb=with_line(f'{key} = "{{tenant}}"'))


@pytest.mark.parametrize(
    ("line", "found", "meant"),
    [
        ('cluster = "x-{tenants}"', "{tenants}", "{tenant}"),
        ('cluster = "{Tier}"', "{Tier}", "{tier}"),
        ('cluster = "{ tenant }"', "{ tenant }", "{tenant}"),
        ('cluster = "{tenant!r}"', "{tenant!r}", "{tenant}"),
        ('ecs_service = "{srevice}"', "{srevice}", "{service}"),
        ('role = "arn:aws:iam::{acount}:role/x"', "{acount}", "{account}"),
        ('role = "arn:aws:iam::{account}:role/{tiers}"', "{tiers}", "{tier}"),
        ('schedule_role = "arn:aws:iam::{account}:role/{tires}"', "{tires}", "{tier}"),
        ('rule = "{tenant}.{srvice}"', "{srvice}", "{service}"),
        ('secrets.DB = "/shop/{tenent}/db"', "{tenent}", "{tenant}"),
        ('secrets.DB = "arn:aws:ssm:{regoin}:{account}:parameter/x"', "{regoin}", "{region}"),
    ],
)
def test_a_misspelt_placeholder_is_told_the_nearest_right_one(tmp_path, line, found, meant):
    key = line.partition(" =")[0]
    assert refusal(tmp_path, mb=with_line(line)) == (
        f"envs/mb.toml:1: {key}: there is no placeholder {found}\n    did you mean {meant}?\n{KNOWN}"
    )


@pytest.mark.parametrize("found", ["{stage}", "{0.__class__}", "{x}"])
def test_an_unknown_placeholder_is_told_which_there_are(tmp_path, found):
    said = refusal(tmp_path, mb=with_line(f'cluster = "{{tenant}}-{found}"'))
    assert said == f"envs/mb.toml:1: cluster: there is no placeholder {found}\n{KNOWN}"


@pytest.mark.parametrize(
    "value", ["{hunter2}", "postgres://u:{hunter2}@db", "arn:aws:ssm:us-east-1:222222222222:{h}", "{"]
)
def test_braces_under_secrets_are_never_shown_unless_they_hold_a_misspelt_placeholder(tmp_path, value):
    said = refusal(tmp_path, mb=f'secrets.DB = "{value}"\n{MB}')
    assert said == (
        "envs/mb.toml:1: secrets.DB: can't be this\n"
        f"    wanted: a secret's or parameter's ARN, a parameter's name, or false to remove an inherited one{FILLED}"
    )


@pytest.mark.parametrize(
    "line",
    [
        'role = "arn:aws:iam::{tenant}:role/x"',
        'role = "arn:aws:iam::2222{account}:role/x"',
        'role = "{account}"',
        'secrets.DB = "arn:aws:ssm:{tier}:{account}:parameter/x"',
        'secrets.DB = "arn:aws:ssm:{region}:{region}:parameter/x"',
        'secrets.DB = "{service}:x"',
    ],
)
def test_a_placeholder_where_it_can_mean_nothing_is_refused(tmp_path, line):
    assert "can't be " in refusal(tmp_path, mb=with_line(line)).partition("\n")[0]


TOO_LONG = {
    "cluster": (
        "{}-{{tier}}{{service}}",
        250,
        "the cluster of mb-dev/api has 257 characters, ECS allows 255: ",
    ),
    "ecs_service": (
        "{}-{{tier}}{{service}}",
        250,
        "the ecs_service of mb-dev/api has 257 characters, ECS allows 255: ",
    ),
    "role": (
        "arn:aws:iam::{{account}}:role/deploy/{}-{{tier}}",
        61,
        "the role of mb-dev/api has a name of 65 characters, IAM allows 64: ",
    ),
    "schedule_role": (
        "arn:aws:iam::{{account}}:role/{}-{{service}}",
        58,
        "the schedule_role of mb-dev/nightly has a name of 66 characters, IAM allows 64: ",
    ),
    "rule": ("{}-{{tier}}", 61, "the rule of mb-dev/by-hand has 65 characters, EventBridge allows 64: "),
    "secrets.DB": ("{}-{{tier}}", 2045, "the secret DB of mb-dev/api has 2049 characters, AWS allows 2048: "),
}


RIGHT = JOB + "[jobs.by-hand]\n"


def with_length(key: str, length: int) -> str:
    """A tenant's file with so many letters in a setting of one service or job, of its one environment."""
    whose = {"rule": "jobs.by-hand", "schedule_role": "jobs.nightly"}.get(key, "services.api")
    role = "" if key == "schedule_role" else 'jobs.nightly.schedule_role = "arn:aws:iam::{account}:role/x"\n'
    value = TOO_LONG[key][0].format("x" * length)
    return f'{whose}.{key} = "{value}"\n{role}{MB.replace("[tiers.prod]", "")}'


@pytest.mark.parametrize("key", TOO_LONG)
def test_what_its_placeholders_make_too_long_is_refused_where_it_is_written(tmp_path, key):
    _, length, why = TOO_LONG[key]
    mb = with_length(key, length)
    assert refusal(tmp_path, RIGHT, mb=mb) == f"envs/mb.toml:1: {mb.partition(' =')[0]}: {why}{'x' * 40}…"


@pytest.mark.parametrize("key", TOO_LONG)
def test_the_longest_that_aws_allows_is_taken(tmp_path, key):
    _, length, why = TOO_LONG[key]
    has, most = map(int, re.findall(" ([0-9]+)", why))
    loaded(tmp_path, RIGHT, mb=with_length(key, length - (has - most)))


def test_filled_values_are_shown_with_the_place_of_what_is_written(tmp_path):
    mb = f'role = "{ROLE}"\necs_service = "{{tenant}}-{{service}}"\nsecrets.DB = "{SECRET}"\n{MB}'
    target = only_target(tmp_path, mb=mb)
    found = {key: (value, str(origin)) for key, value, origin in settings(tmp_path, target)}
    assert found["role"] == ("arn:aws:iam::222222222222:role/mb-deploy", "envs/mb.toml:1: role")
    assert found["ecs_service"] == ("mb-api", "envs/mb.toml:2: ecs_service")
    secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:mb/api"
    assert found["secrets.DB"] == (secret, "envs/mb.toml:3: secrets.DB")


def taking() -> Mapping[str, Any]:
    """The kind of each setting, and of each value of a table of settings."""
    kinds = {key: get_args(kind)[0] for key, kind in get_type_hints(Layer, include_extras=True).items()}
    return {key: get_args(kind)[1] if key in ("env", "secrets", "vars") else kind for key, kind in kinds.items()}


def test_the_table_has_every_setting_whose_grammar_knows_placeholders():
    """A wrong one is refused by those alone: other text in braces is kept as it is, or refused too."""
    right, wrong = ("{tier}", "arn:aws:iam::{account}:role/x"), ("{tiers}", "arn:aws:iam::{tier}:role/x")
    knowing = {
        key
        for key, kind in taking().items()
        if any(fits(each, kind) for each in right) and not any(fits(each, kind) for each in wrong)
    }
    assert knowing == {*placeholders.KEYS}


def test_what_is_filled_in_fits_the_same_grammar():
    """So that only its length is left to check."""
    meanings = {"account": "222222222222", "region": "us-east-1", "tenant": "a-b", "tier": "c", "service": "d" * 63}
    right = dict.fromkeys(placeholders.KEYS, ALL) | {"role": f"{ROLE}/{ALL}", "schedule_role": ROLE, "secrets": SECRET}
    for key, value in placeholders.filled(right, meanings).items():
        assert "{" not in value and fits(value, taking()[key])


def test_editors_get_the_same_grammar():
    keys = json_schema("tenant")["$defs"]["Layer"]["properties"]
    (secret,) = (each["pattern"] for each in keys["secrets"]["additionalProperties"]["anyOf"] if "pattern" in each)
    patterns = {key: keys[key].get("pattern", "") for key in placeholders.KEYS} | {"secrets": secret}
    right = dict.fromkeys(placeholders.KEYS, ALL) | {"role": ROLE, "schedule_role": ROLE, "secrets": SECRET}
    for key, pattern in patterns.items():
        assert re.search(pattern, right[key])
        assert not re.search(pattern, right[key].replace("{tenant}", "{tenants}"))
