"""The checks before the first write: all complaints in one round, and notes for what refuses nothing."""

import pytest

from deploytasks.commands.preflight import Note, check_all
from deploytasks.errors import Complaint, Invalid, NotReady

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
