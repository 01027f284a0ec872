"""A customer who left: `inv envs.bootstrap` shows which pull rights no tenant needs, and takes them back when told."""

import json
from typing import Any

import pytest

from deploytasks.aws import repositories
from tests.cloud.accounts import Call
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop
from tests.proxy import DENIED, Proxy, Rule

GONE = tenant_account(2)
STAYING = tenant_account(1)
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
SHOWN = f"repository api: {GONE} may pull, and no tenant needs it; inv envs.bootstrap --revoke takes it back\n"
TAKEN = f"repository api: {GONE} may pull no longer\n"
DRY = "dry run: nothing was changed\n"


def of_ecr(shop: Shop) -> Any:
    return shop.endpoint.cloud.account(REGISTRY).repositories["api"]


def statements(shop: Shop) -> dict[str, Any]:
    return {each["Sid"]: each["Principal"]["AWS"] for each in json.loads(of_ecr(shop).policy)["Statement"]}


@pytest.fixture
def left(shop: Shop) -> Shop:
    """Both tenants may pull, and the second one has left: its file is gone."""
    of_ecr(shop).policy = repositories.pull_policy([STAYING, f"arn:aws:iam::{GONE}:root"])
    shop.git("rm", "-q", "envs/t2.toml")
    return shop


def test_what_no_tenant_needs_is_shown_and_never_taken_back_by_default(left: Shop):
    before = of_ecr(left).policy
    for words in ([], ["--yes"], ["--dry-run"]):
        ran = left.inv("envs.bootstrap", *words)
        assert (ran.code, ran.stdout) == (0, SHOWN + (DRY if words == ["--dry-run"] else ""))
    assert of_ecr(left).policy == before


def test_a_new_tenant_takes_nothing_from_one_who_left(left: Shop):
    of_ecr(left).policy = repositories.pull_policy([GONE])
    assert left.inv("envs.bootstrap").stdout == f"repository api: {STAYING} may pull\n{SHOWN}"
    assert statements(left) == {"deploytasks": [STAYING, GONE]}


def test_what_others_added_to_the_statement_stays(left: Shop):
    (mine,) = json.loads(of_ecr(left).policy)["Statement"]
    added = {
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        "Action": [*mine["Action"], "ecr:ListImages"],
    }
    principal = {"AWS": [STAYING, GONE], "Service": "lambda.amazonaws.com"}
    of_ecr(left).policy = json.dumps({"Id": "x", "Statement": {**mine, **added, "Principal": principal}})
    assert left.inv("envs.bootstrap", "--revoke", "--yes").stdout == TAKEN
    kept = {**mine, **added, "Principal": {**principal, "AWS": [STAYING]}}
    assert json.loads(of_ecr(left).policy) == {"Version": "2012-10-17", "Id": "x", "Statement": [kept]}


def test_a_statement_that_was_made_to_deny_is_never_made_to_allow(left: Shop):
    deny = {"Sid": "deploytasks", "Effect": "Deny", "Principal": {"AWS": [GONE]}, "Action": ["ecr:*"]}
    of_ecr(left).policy = json.dumps({"Statement": [deny]})
    assert left.inv("envs.bootstrap", "--revoke", "--yes").stdout == f"repository api: {STAYING} may pull\n"
    assert json.loads(of_ecr(left).policy)["Statement"][0] == deny


def test_who_may_pull_by_another_statement_is_not_said_to_have_lost_it(left: Shop):
    policy = json.loads(of_ecr(left).policy)
    wide = {"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": ["ecr:Batch*", "ecr:Get*"]}
    of_ecr(left).policy = json.dumps({**policy, "Statement": [wide, *policy["Statement"]]})
    said = f"repository api: {GONE} may pull still, by a statement that is not deploytasks'\n"
    assert left.inv("envs.bootstrap", "--revoke", "--yes").stdout == said
    assert json.loads(of_ecr(left).policy)["Statement"][1]["Principal"] == {"AWS": [STAYING]}


def test_a_policy_that_changed_since_it_was_looked_at_is_changed_as_it_is_now(left: Shop):
    changed = json.loads(of_ecr(left).policy)
    changed["Statement"].append({"Sid": "new", "Effect": "Allow", "Principal": {"AWS": "9" * 12}, "Action": PULL})

    def fault(call: Call) -> None:
        if call.operation == "ListTagsForResource":  # after the policy was read
            of_ecr(left).policy = json.dumps(changed)

    left.endpoint.fault = fault
    assert left.inv("envs.bootstrap", "--revoke", "--yes").stdout == TAKEN
    assert statements(left) == {"new": "9" * 12, "deploytasks": [STAYING]}


@pytest.mark.quick
def test_it_is_taken_back_as_the_dry_run_showed(left: Shop):
    before = of_ecr(left).policy
    assert left.inv("envs.bootstrap", "--revoke", "--dry-run").stdout == TAKEN + DRY
    assert of_ecr(left).policy == before
    ran = left.inv("envs.bootstrap", "--revoke", "--yes")
    assert (ran.code, ran.stdout, statements(left)) == (0, TAKEN, {"deploytasks": [STAYING]})
    assert left.inv("envs.bootstrap", "--revoke").stdout == "every repository is there, and all accounts may pull\n"


def test_it_asks_the_person_at_the_terminal(left: Shop, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr("deploytasks.tasks.shell.ask", lambda question: bool(asked.append(question)))
    before = of_ecr(left).policy
    assert left.inv("envs.bootstrap", "--revoke").code == 2
    assert asked == [f"ECR api: takes back the pull right of {GONE}, which no tenant needs: go on?"]
    assert of_ecr(left).policy == before


def test_where_nobody_can_be_asked_it_is_refused_with_the_command_that_does_it(left: Shop):
    ran = left.inv("envs.bootstrap", "--revoke")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.endswith("there is no terminal to ask on\n    inv envs.bootstrap --revoke --yes does it\n")


@pytest.mark.parametrize("action", [PULL, ["ecr:Get*", "ecr:batchget*"], "ecr:*"], ids=str)
def test_what_others_allowed_is_shown_as_foreign_and_left(left: Shop, action: Any):
    theirs = {"Sid": "audit", "Effect": "Allow", "Principal": {"AWS": ["999999999999"]}, "Action": action}
    ours = json.loads(repositories.pull_policy([STAYING, GONE, "arn:aws:iam::999999999999:role/x"]))["Statement"]
    of_ecr(left).policy = json.dumps({"Statement": [theirs, *ours]})
    ran = left.inv("envs.bootstrap", "--revoke", "--yes")
    foreign = "repository api: 999999999999 may pull by the statement audit, which is not deploytasks'; left as it is\n"
    assert ran.stdout == TAKEN + foreign
    assert statements(left) == {"audit": ["999999999999"], "deploytasks": [STAYING, "arn:aws:iam::999999999999:role/x"]}


def test_what_lets_no_other_account_pull_by_name_is_not_worth_a_word(left: Shop):
    others = [
        {"Principal": {"AWS": [f"arn:aws:iam::{STAYING}:role/x"]}, "Action": PULL},
        {"Principal": {"AWS": ["999999999999"]}, "Action": ["ecr:ListImages"]},
        {"Principal": {"AWS": ["999999999999"]}, "Action": PULL, "Effect": "Deny"},
        {"Principal": "*", "Action": PULL, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": PULL},
    ]
    ours = json.loads(repositories.pull_policy([STAYING]))["Statement"]
    of_ecr(left).policy = json.dumps({"Statement": [*ours, *({"Effect": "Allow", **each} for each in others)]})
    assert (
        left.inv("envs.bootstrap", "--dry-run").stdout == "every repository is there, and all accounts may pull\n" + DRY
    )


def test_nothing_is_taken_back_of_a_repository_that_may_be_anothers(left: Shop, proxy: Proxy):
    proxy.rules = (Rule(DENIED, "ListTagsForResource"),)
    before = of_ecr(left).policy
    ran = left.inv("envs.bootstrap", "--revoke", "--yes")
    assert f"{GONE} may pull, and no tenant needs it; not taken back, since it may be another project's" in ran.stdout
    assert of_ecr(left).policy == before


def test_where_nobody_is_left_the_registrys_own_account_stands_in_the_policy(left: Shop):
    left.edit("envs/t1.toml", STAYING, REGISTRY)
    assert left.inv("envs.bootstrap", "--revoke", "--yes").code == 0
    assert statements(left) == {"deploytasks": [REGISTRY]}
    assert left.inv("envs.bootstrap").stdout == "every repository is there, and all accounts may pull\n"
