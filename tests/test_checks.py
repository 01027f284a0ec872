"""The checks before the first write: all complaints in one round, and notes for what refuses nothing."""

from typing import Any, cast

import pytest
from msgspec.structs import replace

from deploytasks.commands.preflight import Note, check_all, ready
from deploytasks.errors import Complaint, Invalid, NotReady
from deploytasks.model import Live
from tests.given import target

OLD, GONE = Complaint("prod/api", "it is older"), Complaint("prod/api", "its role is gone")


def _broken() -> list[Complaint]:
    raise Invalid(GONE)


def test_what_refuses_nothing_comes_back_as_notes_each_once():
    unread = [Note("not checked: 2 roles")]
    assert check_all(lambda: [], lambda: unread, asking=[lambda: unread, lambda: [Note("seen")]]) == (
        "not checked: 2 roles",
        "seen",
    )


def test_complaints_of_all_checks_are_one_refusal_those_that_ask_aws_last():
    with pytest.raises(NotReady) as refused:
        check_all(lambda: [OLD, Note("seen")], asking=[lambda: [], _broken, lambda: [OLD]])
    assert refused.value.complaints == (OLD, GONE)


@pytest.mark.parametrize(
    ("tenant", "where", "named"),
    [
        ("main", "prod/api", "prod/api"),
        ("mb", "mb-prod/api", "mb-prod/api"),
        ("mb", "cluster mb-prod", "cluster mb-prod"),
        ("mb", "cluster shared", "mb-prod: cluster shared"),
        ("main", "account 111111111111", "prod: account 111111111111"),
    ],
)
def test_an_unseen_target_is_named_once_whatever_the_complaint_names(tenant: str, where: str, named: str):
    cluster = where.split()[-1] if where.startswith("cluster") else "elsewhere"
    live = Live(replace(target(tenant), cluster=cluster), complaint=Complaint(where, "it could not be seen"))
    assert [each.where for each in ready(cast(Any, None), [live])] == [named]
