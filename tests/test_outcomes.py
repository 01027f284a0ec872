"""An outcome and an exit code are one row each: reports, colours, exit codes and documents follow from it."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import cast, get_args

import pytest

from deploytasks import errors
from deploytasks.commands.outcome import resumed_by
from deploytasks.errors import EXIT_CODES, DeployError, RolloutsFailed
from deploytasks.model import OUTCOMES, Author, Heading, Outcome, Plan, Planned, Report, unsuccessful
from deploytasks.model import Ended as EndedEvent
from deploytasks.model.outcomes import OutcomeRow
from deploytasks.report import notification, results
from deploytasks.report.markdown import markdown
from deploytasks.report.paint import Terminal
from deploytasks.report.plain import plain
from deploytasks.tasks.carry_out import raise_if_failed
from tests.reports.situations import PROD, Situation, ended, target, update
from tests.test_report_reporters import told_to

ROOT = Path(__file__).resolve().parents[1]
NEW = cast("Outcome", "deferred")
HEADING = Heading("shop", "prod", "release.prod", Author("ann@desk"))


class Screen(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def table(document: str, head: str) -> list[str]:
    """Return the rows of the document's table with that first column."""
    text = (ROOT / document).read_text().partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return text.splitlines()[2:]


@pytest.fixture
def deferred(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OutcomeRow:
    """A row that is added to the table."""
    row = OutcomeRow(NEW, "outside its window", "warn", **request.param)
    monkeypatch.setitem(cast("dict[Outcome, OutcomeRow]", OUTCOMES), NEW, row)
    return row


@pytest.fixture
def report() -> Report:
    plan = Plan(PROD, waves=((update(target()), update(target("mb"))),))
    return Report("release.prod", plan, (ended(target()), ended(target("mb"), NEW, detail="opens at 22:00")))


bad = pytest.mark.parametrize("deferred", [{}], indirect=True)
good = pytest.mark.parametrize("deferred", [{"is_good": True, "resume": "follow", "is_untouched": True}], indirect=True)


@bad
def test_a_row_that_is_added_is_seen_in_every_report(deferred: OutcomeRow, report: Report):
    situation = Situation((Planned(report.plan), *map(EndedEvent, report.results)), report)
    counted = "1 deployed, 1 deferred"
    lines = told_to(situation, as_json=False)
    assert re.search(r"mb-prod/api +deferred in 1m12s, 2/2", lines) and f"\n{counted} in " in lines
    summary = json.loads(told_to(situation, as_json=True).splitlines()[-1])
    assert (summary["outcomes"], summary["exit"]) == ({"deployed": 1, NEW: 1}, 1)
    assert [each["outcome"] for each in summary["results"]] == ["deployed", NEW]
    page = markdown("release.prod", results.sheet(report))
    assert "| mb-prod/api | deferred |" in page and f"<b>{counted}</b>" in page
    message = notification.ended(HEADING, report, 60.0)["text"]
    assert message.startswith(f"✖ *shop prod*: inv release.prod failed: {counted} in 1m00s\n")
    assert "• mb-prod/api deferred: opens at 22:00" in message


@bad
def test_a_row_that_is_bad_ends_with_1_and_is_resumed_as_it_says(deferred: OutcomeRow, report: Report):
    with pytest.raises(RolloutsFailed, match=r"mb-prod/api deferred") as failed:
        raise_if_failed(report)
    assert [(each.where, each.what) for each in failed.value.each] == [("mb-prod/api deferred", "opens at 22:00")]
    assert failed.value.code == report.exit_code == 1
    assert unsuccessful(report.results) == tuple(resumed_by("again", report.results)) == report.results[1:]


@good
def test_a_row_that_is_good_ends_with_0_and_explains_no_failure(deferred: OutcomeRow, report: Report):
    raise_if_failed(report)
    assert (report.exit_code, report.failed) == (0, ())
    shown = plain(results.sheet(report))
    assert "mb-prod/api: opens at 22:00\n" in shown
    assert re.search(r"mb-prod/api +deferred +[0-9a-f]{7} +shop-mb-prod-api:8 +1m12s\n", shown), shown
    assert notification.ended(HEADING, report, 60.0)["text"].startswith("✔")


@pytest.mark.parametrize(("row", "colour"), [("warn", "33"), ("bad", "31")])
def test_a_row_says_its_colour(row: str, colour: str, report: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    toned = OutcomeRow(NEW, "", cast("Outcome", row))
    monkeypatch.setitem(cast("dict[Outcome, OutcomeRow]", OUTCOMES), NEW, toned)
    screen = Screen()
    Terminal(screen).put(results.sheet(report))
    assert re.search(rf"\x1b\[(?:1;)?{colour}mdeferred", screen.getvalue()), screen.getvalue()


def test_every_outcome_has_its_row():
    assert tuple(OUTCOMES) == get_args(Outcome)


def test_the_document_has_every_outcome_with_its_meaning_and_exit_code():
    rows = [f"| `{row.name}` | {row.meaning} | {0 if row.is_good else 1} |" for row in OUTCOMES.values()]
    assert table("docs/failures.md", "outcome") == rows


def test_the_readme_has_every_exit_code_with_its_meaning():
    assert list(EXIT_CODES) == [0, 1, 2, 3, 130]
    assert table("README.md", "exit code") == [f"| {row.code} | {row.meaning} |" for row in EXIT_CODES.values()]


def test_the_readme_names_the_outcomes_that_end_with_0():
    named = EXIT_CODES[1].meaning.partition("otherwise than ")[2].partition(" (")[0]
    assert re.findall(r"`([a-z ]+)`", named) == [row.name for row in OUTCOMES.values() if row.is_good]


def all_errors(kind: type[DeployError]) -> Iterator[type[DeployError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from all_errors(each)


def test_every_error_ends_with_a_code_of_the_table():
    ours = [each for each in all_errors(DeployError) if each.__module__ == errors.__name__]
    assert {each.code for each in ours} == set(EXIT_CODES) - {errors.DONE}
