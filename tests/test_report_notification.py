"""What a channel is told, compared as a whole; and that nothing in it is obeyed, or secret."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.errors import AwsError, Interrupted, NotReady
from deploytasks.model import Author, Heading, Plan, Planned, Report
from deploytasks.report import notification
from tests.reports.situations import (
    NEW,
    OLD,
    PROD,
    SITUATIONS,
    build,
    ended,
    expect,
    not_attempted,
    tag_step,
    target,
    update,
)

ROOT = Path(__file__).resolve().parents[1]
HEADING = Heading(
    "shop",
    "prod",
    "release.prod",
    Author("ann@desk", "https://ci.example/shop/runs/7?a=1&b=2", "github 7"),
    {NEW: "Offer <b>bulk</b> orders & more"},
)


def test_the_document_has_every_kind_and_when_it_is_sent():
    table = (ROOT / "docs" / "envs.md").read_text().partition("| message |")[2].partition("\n\n")[0]
    rows = [f"| {kind.name} | {kind.meaning} |" for kind in notification.KINDS]
    assert table.splitlines()[2:] == rows


def plan_of(name: str) -> Plan:
    return next(event.plan for event in SITUATIONS[name].events if isinstance(event, Planned))


@pytest.mark.parametrize("name", ["all-good", "hostile-names"])
def test_the_start_reads_as_expected(name):
    expect(f"{name}.begun.txt", notification.begun(HEADING, plan_of(name))["text"] + "\n")


@pytest.mark.parametrize("name", ["all-good", "rolled-back", "superseded-not-attempted", "hostile-names"])
def test_the_end_reads_as_expected(name):
    report = replace(SITUATIONS[name].report, resume="to go on: inv deploy.prod --tenant mb")
    shown = report if report.failed else replace(report, resume="")
    expect(f"{name}.ended.txt", notification.ended(HEADING, shown, 125.0)["text"] + "\n")


def test_a_tag_step_tells_what_was_tagged():
    assert notification.ended(HEADING, Report("tag.prod", Plan(PROD, (), (tag_step(),))), 2.0)["text"] == (
        "✔ *shop prod*: inv release.prod is done: 1 image tagged in 2s\n"
        "commit 1a2b3c4 Offer &lt;b&gt;bulk&lt;/b&gt; orders &amp; more\n"
        "release prod-20260102T030400Z\n"
        "by ann@desk, <https://ci.example/shop/runs/7?a=1&amp;b=2|CI run>"
    )


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (AwsError.of("api", "PutImage: ServerException: <oops>", "to go on: inv release.prod"), "failed"),
        (NotReady.of("prod", "somebody else"), "was refused"),
        (Interrupted.of("mb-prod/api", "interrupted: its rollout goes on at AWS"), "was interrupted"),
        (KeyboardInterrupt(), "was interrupted"),
        (ValueError(), "failed"),
    ],
)
def test_whatever_breaks_a_command_off_is_told_with_what_had_ended(error, name):
    text = notification.broken_off(HEADING, plan_of("rolled-back"), (ended(target()),), error)["text"]
    first, *rest = text.splitlines()
    assert first == f"✖ *shop prod*: inv release.prod {name}, until then 1 deployed"
    why = str(error).replace("<", "&lt;").replace(">", "&gt;").splitlines() or [type(error).__name__]
    assert [line.strip() for line in rest[2:-1]] == [line.strip() for line in why]


def test_without_a_ci_run_only_who_did_it_is_told():
    heading = replace(HEADING, author=Author("ann@desk"), subjects={})
    assert notification.begun(heading, plan_of("rolled-back"))["text"] == (
        "▶ *shop prod*: inv release.prod begins\ncommit 1a2b3c4\nrelease prod-20260102T030400Z, 2 targets\nby ann@desk"
    )


def test_services_of_several_commits_and_releases_name_each_commit_and_no_release():
    other = replace(tag_step(), image="worker", commit_tag=OLD, release="prod-20260101T000000Z")
    lines = notification.begun(HEADING, Plan(PROD, (build(),), (tag_step(), other)))["text"].splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [["commit", "1a2b3c4"], ["commit", "9f8e7d6"]]


def test_many_failures_are_told_by_their_reasons_and_the_message_stays_short():
    alike = tuple(not_attempted(target(f"t{n}")) for n in range(400))
    own = tuple(ended(target(f"u{n}"), "failed", detail=f"reason {n} {'x' * 900}\nmore") for n in range(40))
    report = Report(
        "deploy.prod", Plan(PROD), (*alike, *own), resume=f"to go on: inv deploy.prod --tenant {'t,' * 2000}"
    )
    text = notification.ended(HEADING, report, 1.0)["text"]
    assert "• t0-prod/api, t1-prod/api, t2-prod/api, " in text
    assert "t9-prod/api and 390 more not attempted: wave 1 did not go well\n" in text
    assert "• and 26 other reasons: the command's own log has all of them\n" in text
    assert "the command that goes on stands in the log" in text
    assert len(text) < 8000


def test_a_secret_of_a_definition_is_never_told():
    rollout = update(target(), env={"DB_PASSWORD": "hunter2hunter2"})
    plan = Plan(PROD, waves=((rollout,),))
    fell = ended(target(), "failed", detail="no login with hunter2hunter2")
    error = AwsError.of("x", "hunter2hunter2 is wrong")
    messages = [
        notification.ended(HEADING, Report("x", plan, (fell,), resume="hunter2hunter2"), 1.0),
        notification.broken_off(HEADING, plan, (fell,), error),
    ]
    assert [message["text"].count("***") for message in messages] == [2, 2]
    assert "hunter2" not in str(messages)


@pytest.mark.parametrize("call", ["@channel", "@here", "@everyone", "@all", "@ch\u200bannel", "<!channel>", "<@U012>"])
def test_nobody_is_called_by_a_commits_subject(call):
    heading = replace(HEADING, author=Author("ann@desk"), subjects={NEW: f"Hello {call}"})
    text = notification.begun(heading, plan_of("rolled-back"))["text"]
    assert call not in text and "<" not in text
    assert "@channel" not in text and "by ann@desk" in text


@given(st.text(), st.text(alphabet="@<>&!|channelhereall #*\n\x1b[31m"))
def test_nothing_that_others_wrote_links_or_calls_anybody(subject, detail):
    heading = Heading("shop", "prod", "release.prod", Author("ann"), {NEW: subject})
    report = Report("x", plan_of("rolled-back"), (ended(target(), "failed", detail=detail),), resume=detail)
    text = notification.ended(heading, report, 1.0)["text"]
    assert "<" not in text and ">" not in text and "\x1b" not in text
    assert not any(call in text for call in ("@channel", "@here", "@all", "@everyone"))
    text.encode()
