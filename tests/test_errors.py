"""Errors carry what they say as attributes: nothing reads it back out of their text."""

from deploytasks import errors
from deploytasks.aws import parameters
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import LockState


def test_the_same_answer_to_two_operations_is_one_complaint():
    said = "AccessDeniedException: no"
    first, second = (Complaint("prod api", f"{name}: {said}", said=said) for name in ("ListTasks", "DescribeTasks"))
    assert errors.once([first, second]) == [first]


def test_complaints_that_only_look_alike_are_both_kept():
    both = [Complaint("prod api", f"{name}: it is missing") for name in ("web", "worker")]
    assert errors.once(both) == both


def test_a_report_that_names_the_place_does_not_repeat_it():
    error = AwsError(Complaint("prod api", "it failed", "look at it"), Complaint("prod web", "so did this"))
    assert error.render_at("prod api") == "it failed\n    look at it\nprod web: so did this"
    assert error.render_at("prod web") == error.render() == f"prod api: {error.render_at('prod api')}"


def test_reworded_complaints_keep_their_kind_and_hide_what_aws_said():
    error = AwsError(Complaint("w", "Op: xyz", said="xyz"), errors.Resume("w", "xyz stands"))
    error.reword(lambda text: text.replace("xyz", "***"))
    assert [type(each) for each in error.complaints] == [Complaint, errors.Resume]
    assert (error.complaints[0].said, error.complaints[1].what) == ("***", "*** stands")


def test_a_hold_names_its_tenants_in_its_parameter_as_it_always_did():
    hold = LockState("prod", "ann", "now", "release.rollback prod", tenants=("mb", "acme"))
    value = parameters.written(hold)
    assert '"tenants": "mb,acme"' in value
    assert parameters.read_lock("prod", value) == hold
    assert parameters.read_lock("prod", value.replace("mb,acme", "")).tenants == ()
