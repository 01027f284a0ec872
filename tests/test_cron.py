"""Scheduler's schedule expressions, checked offline: what it takes is taken, and what it refuses is explained."""

import re

import pytest
from aws_cron_expression_validator.validator import AWSCronExpressionError, AWSCronExpressionValidator
from hypothesis import given
from hypothesis import strategies as st

from deploytasks.cron import LONGEST, faults

TAKEN = """
rate(1 minute)
rate(5 minutes)
rate(1 hour)
rate(1 hours)
rate(24 hours)
rate(1 day)
rate(7 days)
rate(05 minutes)
cron(0 3 * * ? *)
cron(0  3 * *  ? *)
cron( 0 3 * * ? * )
cron(15 12 * * ? *)
cron(0 18 ? * MON-FRI *)
cron(0 8 1 * ? *)
cron(0/10 * ? * MON-FRI *)
cron(0/5 8-17 ? * MON-FRI *)
cron(0/30 20-2 ? * MON-FRI *)
cron(15 10 ? * 6L 2022-2023)
cron(0 0 L * ? *)
cron(0 0 LW * ? *)
cron(0 0 L-3 * ? *)
cron(0 0 3W * ? *)
cron(0 0 ? * L *)
cron(0 0 ? * FRIL *)
cron(0 0 ? * 3#2 *)
cron(0 0 ? * TUE#5 *)
cron(0 0 ? * fri-mon *)
cron(0 0 1 jan,Jul ? *)
cron(0 0 1 1-12/3 ? *)
cron(0 0 1/10,2,3/8 * ? *)
cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)
cron(30-30 13-13 ? * 2,4,6 *)
cron(1-31/30 1-1 ? * 1,7 *)
cron(*/59 */23 */31 */12 ? *)
cron(0,59 0,23 1,31 1,12 ? 1970,2199)
cron(00 03 01 01 ? 2027/2)
cron(*,5 * * * ? *)
cron(0 0 30 2 ? *)
""".strip().splitlines()
"""From AWS's user guide; 1-31/30 and the like from localstack/localstack#13572, 3/8 from pitchblack408/pyawscron#61."""

REFUSED = [
    ("", "'' is neither"),
    ("daily", "'daily' is neither"),
    ("@daily", "neither"),
    ("0 3 * * ? *", "neither"),
    ("CRON(0 3 * * ? *)", "neither"),
    (" cron(0 3 * * ? *)", "neither"),
    ("cron(0 3 * * ? *", "neither"),
    ("cron 0 3 * * ? *)", "neither"),
    ("cron(0 3 * * ? *) ", "neither"),
    ("cron((0 3 * * ? *))", "neither"),
    ("at(2026-01-01T00:00:00)", "'at(2026-01-01T00:00:00)' runs once"),
    ("at()", "runs once"),
    ("rate()", "a whole number and a unit, not ''"),
    ("rate(5)", "a whole number and a unit, not '5'"),
    ("rate(5 minutes daily)", "not '5 minutes daily'"),
    ("rate(0 minutes)", "the value of rate is '0'"),
    ("rate(-1 minutes)", "the value of rate is '-1'"),
    ("rate(1.5 hours)", "the value of rate is '1.5'"),
    ("rate(five minutes)", "the value of rate is 'five'"),
    ("rate(٥ minutes)", "the value of rate is '٥'"),
    ("rate(10 seconds)", "the unit of rate is 'seconds'"),
    ("rate(2 weeks)", "the unit of rate is 'weeks'"),
    ("rate(5 Minutes)", "the unit of rate is 'Minutes'"),
    ("cron()", "cron has 0 fields"),
    ("cron(0 3 * * *)", "cron has 5 fields, and Scheduler takes 6: minutes hours day-of-month month day-of-week year"),
    ("cron(0 0 3 * * ? *)", "cron has 7 fields"),
    ("cron(0 3 * * * *)", "day-of-month '*' and day-of-week '*' are both given"),
    ("cron(0 3 1 * MON *)", "day-of-month '1' and day-of-week 'MON' are both given"),
    ("cron(0 3 ? * ? *)", "day-of-month and day-of-week are both ?"),
    ("cron(60 3 * * ? *)", "minutes '60': '60' is not within 0-59"),
    ("cron(-1 3 * * ? *)", "minutes '-1': '' is not within 0-59"),
    ("cron(*/60 * * * ? *)", "minutes '*/60': the step '60' is not within 1-59"),
    ("cron(*/0 * * * ? *)", "the step '0' is not within 1-59"),
    ("cron(*/ * * * ? *)", "the step '' is not within 1-59"),
    ("cron(/5 * * * ? *)", "'' is not within 0-59"),
    ("cron(1/2/3 * * * ? *)", "the step '2/3' is not within 1-59"),
    ("cron(1-2-3 * * * ? *)", "'1-2-3' is not one range"),
    ("cron(0/5, 9-18 ? * MON-FRI *)", "minutes '0/5,': a value is missing beside a comma"),
    ("cron(? 3 * * ? *)", "minutes '?': '?' is not within 0-59; ? is for the two day fields"),
    ("cron(0 24 * * ? *)", "hours '24': '24' is not within 0-23"),
    ("cron(0 3 0 * ? *)", "day-of-month '0': '0' is not within 1-31"),
    ("cron(0 3 32 * ? *)", "day-of-month '32'"),
    ("cron(0 3 MON * ? *)", "day-of-month 'MON'"),
    ("cron(0 3 5/W * ? *)", "day-of-month '5/W': the step 'W'"),
    ("cron(0 3 32W * ? *)", "day-of-month '32W': '32' is not within 1-31"),
    ("cron(0 3 W * ? *)", "'W' is not within 1-31"),
    ("cron(0 3 L,15 * ? *)", "'L' can't stand in a list"),
    ("cron(0 3 15w,3 * ? *)", "'15w' can't stand in a list"),
    ("cron(0 3 L-31 * ? *)", "'L' is not within 1-31"),
    ("cron(0 3 1 13 ? *)", "month '13': '13' is not within 1-12 or JAN-DEC"),
    ("cron(0 3 1 JANUARY ? *)", "month 'JANUARY'"),
    ("cron(0 3 1 MON ? *)", "month 'MON'"),
    ("cron(0 3 ? * 0 *)", "day-of-week '0': '0' is not within 1-7 or SUN-SAT; Sunday is 1"),
    ("cron(0 3 ? * 8 *)", "day-of-week '8'"),
    ("cron(0 3 ? * -1 *)", "day-of-week '-1'"),
    ("cron(0 3 ? * MONDAY *)", "day-of-week 'MONDAY'"),
    ("cron(0 3 ? * MON/2 *)", "it takes no steps; list the days"),
    ("cron(0 3 ? * MON#6 *)", "'MON#6' is not within 1-7 or SUN-SAT; after # stands 1-5"),
    ("cron(0 3 ? * 3#1,6#3 *)", "'3#1' can't stand in a list"),
    ("cron(0 3 ? * L-3 *)", "'L' is not within"),
    ("cron(0 3 ? * 2W *)", "'2W' is not within"),
    ("cron(0 3 * * ? 1969)", "year '1969': '1969' is not within 1970-2199"),
    ("cron(0 3 * * ? 2200)", "year '2200'"),
    ("cron(0 3 * * ? 26)", "year '26'"),
    ("cron(0 3 * * ? *-2030)", "'*' is not within 1970-2199"),
    (f"cron({'0,' * LONGEST}0 3 * * ? *)", f"characters where Scheduler takes {LONGEST}"),
]


def test_many_cases_are_tried():
    assert len(TAKEN) + len(REFUSED) >= 100


@pytest.mark.parametrize("expression", TAKEN)
def test_what_scheduler_takes_is_taken(expression: str):
    assert list(faults(expression)) == []


@pytest.mark.parametrize(("expression", "what"), REFUSED)
def test_what_scheduler_refuses_is_explained_with_a_right_example(expression: str, what: str):
    found = list(faults(expression))
    assert what in found[0][0]
    for _, to_do in found:
        examples = re.findall(r"(?:cron|rate)\([^)…]+\)", to_do)
        assert examples and not [each for each in examples if any(faults(each))]


@given(st.text("cronate()0123 *?/-,#LW\n", max_size=30))
def test_whatever_is_written_is_judged(text: str):
    assert all(what and to_do for what, to_do in faults(text))


def test_every_wrong_field_is_told_at_once():
    found = [what.partition(" ")[0] for what, _ in faults("cron(60 24 32 13 ? 1969)")]
    assert found == ["minutes", "hours", "day-of-month", "month", "year"]


@pytest.mark.parametrize(
    ("expression", "to_do"),
    [
        ("0 3 * * *", "write cron(0 3 * * ? *)"),
        ("cron(0 3 * * *)", "write cron(0 3 * * ? *)"),
        ("cron(0 3 1 * *)", "write cron(0 3 1 * ? *)"),
        ("cron(0 3 * * MON-FRI)", "write cron(0 3 ? * MON-FRI *)"),
        ("cron(0 3 * * 1)", "the year is missing, and Sunday is 1 or SUN"),
        ("cron(0 3 1 * MON)", "the year is missing, and Sunday is 1 or SUN"),
        ("cron(0 0 3 * * ? *)", "leave out the seconds: cron(0 3 * * ? *)"),
        ("cron(0 0 0 3 * * *)", "e.g. cron(0 3 * * ? *)"),
        ("5 minutes", "write rate(5 minutes)"),
        ("0 3 * * ? *", "write cron(0 3 * * ? *)"),
        ("Cron (0 3 * * ? *)", "write cron(0 3 * * ? *)"),
    ],
)
def test_what_was_meant_is_written_out_where_it_is_certain(expression: str, to_do: str):
    ((_, found),) = faults(expression)
    assert found.startswith(to_do)


EXPLAINED = {
    "cron(0  3 * *  ? *)": "AWS: fields are separated by white space",
    "cron( 0 3 * * ? * )": "the same",
    "cron(0 0 L-3 * ? *)": "Quartz takes days before the last; aws-croniter does too",
    "cron(*,5 * * * ? *)": "Quartz takes it",
    "cron(*/60 * * * ? *)": "AWS refuses it: aws/aws-sdk-js#4212",
    "cron(0 3 ? * L-3 *)": "neither AWS nor Quartz knows days before the last weekday",
    "cron(0 3 * * ? *-2030)": "neither AWS nor Quartz knows a range that begins with *",
}
"""Where aws-cron-expression-validator says otherwise, and why."""


@pytest.mark.parametrize(
    "expression", [each for each in [*TAKEN, *dict(REFUSED)] if re.fullmatch(r"cron\([^()]+\)", each)]
)
def test_another_checker_says_the_same_or_the_difference_is_explained(expression: str):
    if len(expression) > LONGEST:
        return
    try:
        AWSCronExpressionValidator.validate(expression[5:-1])
        takes = True
    except AWSCronExpressionError:
        takes = False
    assert (takes is not any(faults(expression))) is (expression not in EXPLAINED)
