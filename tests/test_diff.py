"""`inv deploy.diff`: what differs is shown once, what is secret is not, and nothing is changed."""

import json
import re
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Difference
from deploytasks.report import diff
from deploytasks.report.masking import masked
from deploytasks.report.paint import Terminal
from deploytasks.report.plain import plain
from deploytasks.report.text import harmless
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, WRITES, Shop
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


def as_text(differences: list[Difference]) -> str:
    return plain(diff.sheet(differences, diff.groups(differences)))


def as_json(differences: list[Difference]) -> str:
    return json.dumps(diff.as_json(differences, diff.groups(differences)), indent=2, default=list) + "\n"


def test_the_differences_read_as_expected():
    expect("diff.txt", as_text(situation()))
    expect("diff.json", as_json(situation()))


def test_a_line_of_a_diff_is_never_broken_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    found = [difference(after=changed(LOG_LEVEL="more than a terminal of forty columns shows"))]
    Terminal(screen := StringIO()).put(diff.sheet(found, diff.groups(found)))
    assert (
        '+        {"name": "LOG_LEVEL", "value": "more than a terminal of forty columns shows"},' in screen.getvalue()
    )


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
    shown = as_text(situation()) + as_json(situation())
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


WORD = some.sampled_from(["hunter2", "s3cr3t-two", "open", "p@ss w", "x=", "--v", "https://u:pw123456@h", ""])
TEXT = some.lists(WORD, max_size=3).map("".join)
DEFINITION = some.fixed_dictionaries(
    {
        "command": some.lists(TEXT, max_size=3),
        "environment": some.dictionaries(some.sampled_from(["API_TOKEN", "URL"]), TEXT).map(
            lambda pairs: [{"name": name, "value": value} for name, value in sorted(pairs.items())]
        ),
        "dockerLabels": some.dictionaries(some.sampled_from(["a", "app-key"]), TEXT),
    }
)


@given(DEFINITION, DEFINITION)
def test_what_differs_is_seen_however_much_of_it_is_masked(one: dict[str, Any], other: dict[str, Any]):
    left, right = (diff.rows(each) for each in masked(one, other))
    assert (left == right) == (one == other)


def test_a_secret_that_changes_within_a_text_is_seen_to_change():
    sides = [
        {"labels": {"url": f"https://api:{word}@db/?v=1", "java": f"-Xmx1g -Ddb.password={word}"}} for word in "ab"
    ]
    before, after = masked(*sides)
    assert before == {
        "labels": {"url": "https://api:*** (before)@db/?v=1", "java": "-Xmx1g -Ddb.password=*** (before)"}
    }
    assert after == {"labels": {"url": "https://api:*** (after)@db/?v=1", "java": "-Xmx1g -Ddb.password=*** (after)"}}


def test_secrets_that_overlap_are_masked_as_one():
    environment = [{"name": "A_KEY", "value": "abcdefxyz"}, {"name": "B_KEY", "value": "xyzghijkl"}]
    shown, _ = masked({"environment": environment, "command": ["abcdefxyzghijkl"]}, None)
    assert shown is not None and shown["command"] == ["***"]


def test_members_of_one_name_are_kept_apart():
    ports = [{"containerPort": 53, "protocol": each} for each in ("tcp", "udp")]
    assert masked({"portMappings": ports}, None)[0] == {"portMappings": ports}


def test_what_settings_and_variables_keep_secret_is_masked_wherever_a_template_put_it():
    where = target(env={"DB_PASSWORD": "from-settings"}, vars={"mail": {"token": "from-vars"}})
    after = {**BEFORE, "family": "from-settings from-vars from-ci"}
    found = Difference(where, "live", "rendered", BEFORE, after)
    (group,) = diff.groups([found], {"CI_TOKEN": "from-ci", "HOME": "shop"})
    assert '+  "family": "*** (after) *** (after) *** (after)",' in group.lines


def test_a_list_of_members_grows_by_one_line():
    one = {"portMappings": [{"containerPort": 1, "name": "http"}]}
    two = {"portMappings": [{"containerPort": 1, "name": "http", "protocol": "udp", "appProtocol": "grpc"}]}
    (group,) = diff.groups([difference(before={"c": one, "d": 1}, after={"c": two, "d": 1})])
    assert [line[0] for line in group.lines if line[0] in "+-"] == ["-", "+"]


def test_what_hinders_many_targets_in_the_same_way_is_said_once():
    file, targets = "templates/api.json.j2:5", (target("mb"), target("zoo"))
    complaints = {each: Complaint(f"{file}: {each}", "X is not set", file=file) for each in targets}
    found = [Difference(each, "", "", complaints=(complaint,)) for each, complaint in complaints.items()]
    text = plain(diff.sheet(found, ()))
    assert text.startswith("mb-prod/api, zoo-prod/api: not compared: templates/api.json.j2:5: X is not set\n")


def test_one_target_differs_and_does_not_differ_in_good_english():
    same, other = Difference(target(), "", ""), Difference(target(), "", "", after={})
    assert [diff.summary(each) for each in ((same,), (other,), (same, other), (same, same), (other, other))] == [
        "none of 1 target differs",
        "1 of 1 target differs",
        "1 of 2 targets differs",
        "none of 2 targets differ",
        "2 of 2 targets differ",
    ]


def test_letters_that_a_terminal_would_obey_or_hide_are_seen():
    (group,) = diff.groups([difference(before={"family": "a"}, after={"family": "a\u202e\x9b"})])
    assert '+  "family": "a\\u202e\\u009b",' in group.lines


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
        (
            ("prod", "--across", "t1"),
            "--across: it does not say whose prod to compare: no tenant here is called main\n"
            "    name it: --tenant t2\n    tenants there: t2\n",
        ),
        (("prod", "--exclude", "t1", "--across", "t2"), "--across: there is no other tenant to compare with it"),
        (("prod", "--across", "t9"), "--across: there is no tenant or environment 't9'"),
        (("prod", "--tenant", "t1", "--across", "t3"), "--across: there is no tenant or environment 't3'"),
        (("prod", "--tenant", "t1", "--across", "t2-prd"), "did you mean 't2-prod'?"),
        (("prod", "--tenant", "t1", "--across", "t1"), "--across: t1 would be compared with itself"),
        (("prod", "--tenant", "t1", "--across", "t1-prod"), "--across: t1-prod would be compared with itself"),
        (("prod", "--across", ""), "--across: is empty"),
        (("prd",), "there is no tier 'prd'"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: Shop, words, complaint):
    ran = shop.inv("deploy.diff", *words)
    assert (ran.code, ran.stdout) == (2, "")
    assert complaint in ran.stderr


def test_whose_side_is_missing_is_said_where_there_is_a_tenant_main_too(shop: Shop):
    (shop.root / "envs/main.toml").write_text((shop.root / "envs/t1.toml").read_text().partition("[tiers.prod]")[0])
    shop.edit("envs/main.toml", 'cluster = "', 'cluster = "main-')
    for words, why in {
        ("prod", "--across", "t2"): "tenant main has no prod",
        ("dev", "--exclude", "main", "--across", "t2"): "the flags leave none of tenant main",
    }.items():
        ran = shop.inv("deploy.diff", *words)
        said = f"--across: it does not say whose {words[0]} to compare: {why}\n    name it: --tenant t1\n"
        assert (ran.code, ran.stderr.startswith(said)) == (2, True), ran.stderr


def test_a_target_that_cannot_be_seen_hides_no_other_and_is_no_success(shop: Shop):
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 1
    assert "--- live t1-prod/api" in ran.stdout
    assert "t2-prod/api: not compared:" in ran.stdout and "ExpiredTokenException" in ran.stdout


def test_a_template_that_cannot_be_rendered_is_no_success(shop: Shop):
    shop.edit("templates/api.json.j2", '"cpu"', '"pidMode": "{{ env_var("NOWHERE_SET") }}", "cpu"')
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 1
    assert ran.stdout.count("NOWHERE_SET is not set") == 1


def test_one_tenant_that_cannot_be_rendered_hides_no_other(shop: Shop):
    user = '{% if tenant == "t2" %}{{ env_var("NOWHERE_SET") }}{% endif %}app'
    shop.edit("templates/api.json.j2", '"essential"', f'"user": "{user}", "essential"')
    ran = shop.inv("deploy.diff", "prod", "--json")
    told = json.loads(ran.stdout)
    assert (ran.code, [each["target"] for each in told["complaints"]]) == (1, ["t2-prod/api"])
    assert [each["target"] for group in told["different"] for each in group["targets"]] == ["t1-prod/api"]


def test_one_service_without_a_repository_hides_no_other(shop: Shop):
    shop.add_service("worker")
    ran = shop.inv("deploy.diff", "prod", "--json")
    told = json.loads(ran.stdout)
    assert {each["target"] for each in told["complaints"]} == {"t1-prod/worker", "t2-prod/worker"}
    assert {each["target"] for group in told["different"] for each in group["targets"]} == {
        "t1-prod/api",
        "t2-prod/api",
    }
    assert "RepositoryNotFound" in ran.stdout


def test_two_environments_that_run_the_same_do_not_differ_by_their_families(shop: Shop):
    for tenant in ("t1", "t2"):
        shop.edit(f"envs/{tenant}.toml", f'TENANT = "{tenant}"', 'TENANT = "one"')
        shop.edit(f"envs/{tenant}.toml", f"support@{tenant}.example", "support@one.example")
    for own in ("iam::{{ account }}", "/ecs/{{ family }}", '"secrets": {{ secrets | secrets | tojson }},'):
        shop.edit("templates/api.json.j2", own, {"i": "iam::012345678922", "/": "/ecs/one"}.get(own[0], ""))
    assert shop.inv("deploy.prod").code == 0
    ran = shop.inv("deploy.diff", "prod", "--tenant", "t1", "--across", "t2")
    assert (ran.code, ran.stdout) == (0, "none of 1 target differs\n")


def test_all_that_keeps_it_from_rendering_is_said_at_once(shop: Shop):
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags.pop("prod")
    shop.edit("templates/api.json.j2", '"cpu"', '"pidMode": "{{ env_var("NOWHERE_SET") }}", "cpu"')
    ran = shop.inv("deploy.diff", "prod")
    assert ran.code == 1
    assert "t1-prod/api, t2-prod/api: not compared: api: prod names no image yet\n    inv release.prod\n" in ran.stdout
    assert ran.stdout.count("NOWHERE_SET is not set") == 1


def cluster(shop: Shop, number: int, tier: str) -> Any:
    return shop.endpoint.cloud.account(tenant_account(number)).clusters[f"t{number}-{tier}"]


def test_of_a_service_that_is_not_there_everything_is_added(shop: Shop):
    cluster(shop, 1, "prod").services.clear()
    ran = shop.inv("deploy.diff", "prod", "--tenant", "t1", "--json")
    (found,) = json.loads(ran.stdout)["different"]
    assert (ran.code, found["left"]) == (3, ["live t1-prod/api (no service yet)"])
    assert {line[0] for line in found["diff"]} == {"@", "+"}


def test_two_services_that_are_not_there_are_not_taken_for_alike(shop: Shop):
    for number in (1, 2):
        cluster(shop, number, "prod").services.clear()
    ran = shop.inv("deploy.diff", "prod", "--tenant", "t1", "--across", "t2", "--json")
    assert ran.code == 1
    assert json.loads(ran.stdout)["complaints"] == [
        {"target": "t1-prod/api", "complaint": "t1-prod/api: there is no ECS service, here or in t2-prod"}
    ]


def test_values_of_the_environment_that_look_secret_never_reach_the_output(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAIL_TOKEN", "never-ever-shown")
    shop.edit("templates/api.json.j2", '"cpu"', '"pidMode": "task", "cpu"')
    shop.edit("templates/api.json.j2", '"essential"', '"command": ["mail", "{{ env_var("MAIL_TOKEN") }}"], "essential"')
    for words in ((), ("--json",)):
        ran = shop.inv("deploy.diff", "prod", *words)
        assert ran.code == 3 and "***" in ran.stdout
        assert "never-ever-shown" not in ran.stdout + ran.stderr


LEAKY = (
    '{"user": "app", "password": "%s", "port": 5432}',
    "{'db': {'password': '%s'}}",
    r"{\"apiKey\": \"%s\"}",
    "postgres://app:%s@db.internal:5432/shop",
    "pip install git+https://%s@git.example.com/shop.git",
    "sh -c 'migrate --password %s --verbose'",
    'migrate --password="%s" --verbose',
    "export DB_PASSWORD='%s'; ./serve",
    "password: '%s'",
    'db_password = "%s"',
)


@pytest.mark.parametrize("text", LEAKY)
@given(some.text("abc123,;:/@ .!#-=", min_size=1, max_size=20).map("zq".__add__).map(lambda made: f"{made}qz"))
def test_no_part_of_a_secret_inside_a_text_is_shown(text: str, secret: str):
    if "://" in text or "--password %s" in text:
        secret = secret.replace(" ", "_")
    if "https://" in text:
        secret = re.sub("[/:@#]", "_", secret)
    shown = masked({"environment": [{"name": "SETTINGS", "value": text % secret}]}, None)[0]["environment"][0]["value"]
    assert "zq" not in shown and "qz" not in shown
    assert not shown.startswith("***"), "what surrounds a secret stays to be read"


@pytest.mark.parametrize(
    "text",
    [
        "level=debug",
        "a: b",
        "--verbose on",
        "http://a:80/x and me@x.y",
        "https://x.y?mail=me@x.y and https://x.y#me@x.y",
        "ssh://git@x.y/shop.git postgres://app@db/shop",
        '{"mode": "x"}',
    ],
)
def test_what_is_no_secret_stays_to_be_read(text: str):
    assert masked({"value": text}, None)[0] == {"value": text}


@pytest.mark.parametrize("secret", ["a/b", "a@b", "a:b", "a@b/c:d"])
def test_an_address_hides_its_whole_password_in_every_report(secret: str):
    assert harmless(f"cannot reach amqp://app:{secret}@mq:5672/x, see me@x.y") == (
        "cannot reach amqp://app:***@mq:5672/x, see me@x.y"
    )


@pytest.mark.parametrize("scheme", ["https", "http", "git+https"])
def test_a_token_alone_in_an_address_is_hidden_in_every_report(scheme: str):
    assert harmless(f"cloning {scheme}://abc@x.y/shop.git failed") == f"cloning {scheme}://***@x.y/shop.git failed"
    assert harmless(f"redis://{'a1' * 10}@x.y/0") == "redis://***@x.y/0"
