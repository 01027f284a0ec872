"""Check EventBridge Scheduler's schedule expressions, `rate(…)` and `cron(…)`, offline. Pure.

Sources: "Schedule types on EventBridge Scheduler" in its user guide and the API reference of CreateSchedule
(ScheduleExpression); where they are silent, Quartz, whose grammar it is, and public reports of AWS's answers. What none
of them knows is refused, since it can be written otherwise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 256
"""The most characters of an expression. Source: botocore's model of Scheduler, ScheduleExpression."""
USUAL = "cron(0 3 * * ? *) is each day at 03:00"
_RATE = re.compile(r"(\S+)\s+(\S+)")
_UNITS = ("minute", "minutes", "hour", "hours", "day", "days")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a cron expression; `names` stand for the values from `least` on, `alone` are forms without others.

    `largest_step` is that of `start/step`; 0 if the field takes none.
    """

    name: str
    least: int
    most: int
    largest_step: int
    example: str
    names: tuple[str, ...] = ()
    alone: re.Pattern[str] = re.compile(r"(?!)")

    @property
    def values(self) -> str:
        """Return which values there are: `1-7 or SUN-SAT`."""
        return f"{self.least}-{self.most}" + (f" or {self.names[0]}-{self.names[-1]}" if self.names else "")


_FIELDS = (
    _Field("minutes", 0, 59, 59, "cron(0/15 * * * ? *) is every 15 minutes"),
    _Field("hours", 0, 23, 23, "cron(0 8-18 * * ? *) is each hour from 8 to 18"),
    _Field(
        "day-of-month",
        *(1, 31, 31),
        "cron(0 3 1 * ? *) is the first of each month, cron(0 3 L * ? *) the last",
        alone=re.compile(r"\?|L|LW|L-(?:[1-9]|[12][0-9]|30)|(?P<value>\w+)W"),
    ),
    _Field("month", 1, 12, 12, "cron(0 3 1 JAN,JUL ? *) is twice a year", _MONTHS),
    _Field(
        "day-of-week",
        *(1, 7, 0),
        "cron(0 3 ? * MON-FRI *) is each working day, cron(0 3 ? * SUN#1 *) each first Sunday of a month",
        _DAYS,
        re.compile(r"\?|L|(?P<value>\w+?)(?:L|#[1-5])"),
    ),
    _Field("year", 1970, 2199, 229, "cron(0 3 * * ? 2027-2029) is each day of three years"),
)
"""Sources: the table "Cron-based schedules" of the user guide; for the largest steps Quartz and aws/aws-sdk-js#4212."""


def faults(expression: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a job's schedule expression, and for each what to write instead."""
    kind, _, rest = expression.partition("(")
    inner = rest.removesuffix(")")
    if len(expression) > LONGEST:
        yield f"{len(expression)} characters where Scheduler takes {LONGEST}", f"e.g. {USUAL}"
    elif kind == "at" and rest.endswith(")"):
        to_do = f"write rate(…) or cron(…), e.g. {USUAL}; inv deploy.run with --job runs a job once"
        yield f"'{expression}' runs once, and a job's schedule again and again", to_do
    elif kind not in ("rate", "cron") or not rest.endswith(")") or "(" in inner or ")" in inner:
        yield f"'{expression}' is neither rate(…) nor cron(…)", _how_to_wrap(expression)
    else:
        yield from _rate_faults(inner) if kind == "rate" else _cron_faults(inner)


def _how_to_wrap(expression: str) -> str:
    inner = re.sub(r"^\s*\w*\s*\(|[()]", " ", expression).strip()
    if len(inner.split()) == 5:
        return _how_many(inner.split())
    likely = (f"{kind}({inner})" for kind in ("cron", "rate"))
    meant = next((each for each in likely if not any(faults(each))), "")
    return f"write {meant}" if meant else f"e.g. {USUAL}, rate(5 minutes) every five minutes"


def _rate_faults(text: str) -> Iterator[tuple[str, str]]:
    """Source: the API reference: a positive integer and a unit; Terraform's documentation shows `rate(1 hours)`."""
    example = "e.g. rate(5 minutes), rate(1 hour), rate(7 days)"
    found = _RATE.fullmatch(text.strip())
    if not found:
        yield f"rate takes a whole number and a unit, not '{text}'", example
        return
    value, unit = found.groups()
    if not re.fullmatch(r"0*[1-9][0-9]*", value):
        yield f"the value of rate is '{value}', not a whole number above zero", example
    if unit not in _UNITS:
        yield f"the unit of rate is '{unit}', none of {', '.join(_UNITS)}", example


def _cron_faults(text: str) -> Iterator[tuple[str, str]]:
    given = text.split()
    if len(given) != len(_FIELDS):
        names = " ".join(field.name for field in _FIELDS)
        yield f"cron has {len(given)} fields, and Scheduler takes {len(_FIELDS)}: {names}", _how_many(given)
        return
    for field, each in zip(_FIELDS, given, strict=True):
        for why in dict.fromkeys(_field_faults(field, each)):
            yield f"{field.name} '{each}': {why}", f"e.g. {field.example}"
    day, weekday = given[2], given[4]
    if "?" not in (day, weekday):
        what = f"day-of-month '{day}' and day-of-week '{weekday}' are both given, and one of them must be ?"
        yield what, "e.g. cron(0 3 1 * ? *) is the first of each month, cron(0 3 ? * MON *) each Monday"
    if day == weekday == "?":
        yield "day-of-month and day-of-week are both ?", f"write * or a value for one of them, e.g. {USUAL}"


def _how_many(given: list[str]) -> str:
    """Return how to write a cron expression of another number of fields, such as Unix's five or Quartz's seven."""
    if len(given) == 7:
        likely = f"cron({' '.join(given[1:])})"
        return f"leave out the seconds: {likely}" if not any(faults(likely)) else f"e.g. {USUAL}"
    if len(given) != 5:
        return f"e.g. {USUAL}"
    minutes, hours, day, month, weekday = given
    weekday = "?" if weekday == "*" else weekday
    likely = f"cron({minutes} {hours} {'?' if day == '*' and weekday != '?' else day} {month} {weekday} *)"
    is_certain = not re.search("[0-9]", weekday) and not any(faults(likely))  # Unix's 1 is Monday, AWS's is Sunday
    return f"write {likely}" if is_certain else f"the year is missing, and Sunday is 1 or SUN; e.g. {USUAL}"


def _field_faults(field: _Field, text: str) -> Iterator[str]:
    if found := field.alone.fullmatch(text.upper()):
        value = found["value"]
        yield from [_value_fault(field, value)] if value and _value_fault(field, value) else []
        return
    for part in text.split(","):
        if why := _part_fault(field, part):
            yield why


def _part_fault(field: _Field, part: str) -> str:
    """Return what is wrong with a value, a range or steps of the list in a field; "" if nothing is."""
    if not part:
        return "a value is missing beside a comma"
    if field.alone.fullmatch(part.upper()):
        return f"'{part}' can't stand in a list"
    span, slash, step = part.partition("/")
    if slash and not field.largest_step:
        return "it takes no steps; list the days, as MON,WED,FRI"
    if slash and not (re.fullmatch("[0-9]{1,3}", step) and 1 <= int(step) <= field.largest_step):
        return f"the step '{step}' is not within 1-{field.largest_step}"
    if span == "*":
        return ""
    ends = span.split("-")
    if len(ends) > 2:
        return f"'{span}' is not one range"
    return next((why for end in ends if (why := _value_fault(field, end))), "")


def _value_fault(field: _Field, value: str) -> str:
    if value.upper() in field.names:
        return ""
    if re.fullmatch("[0-9]{1,4}", value) and field.least <= int(value) <= field.most:
        return ""
    hints = {"?": "; ? is for the two day fields", "0": "; Sunday is 1" if field.names is _DAYS else ""}
    hint = "; after # stands 1-5" if "#" in value else hints.get(value, "")
    return f"'{value}' is not within {field.values}{hint}"
