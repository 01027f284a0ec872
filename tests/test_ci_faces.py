"""What CI is shown: GitHub's step summary and annotations, GitLab's folding sections; and that nothing injects any."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmarks.cloud import AwsError, Call
from deploytasks.errors import NotReady, RolloutsFailed
from deploytasks.model import Ended, Plan, Planned, Report, Told
from deploytasks.report import ci
from deploytasks.report.around import ending, summarise, title
from deploytasks.report.face import face
from deploytasks.report.lines import Lines
from deploytasks.report.markdown import escaped, markdown
from deploytasks.report.sheet import Column, Span, line, table
from deploytasks.report.text import one_line
from tests.commands import Shop
from tests.reports.situations import PROD, SITUATIONS, Situation, ended, expect, rolling, target, ticking

_every_situation = pytest.mark.parametrize("name", SITUATIONS)


def told_to(situation: Situation, *, as_json: bool = False) -> str:
    stdout = StringIO()
    with face(situation.report.command, stdout, as_json=as_json, clock=ticking()) as tell:
        for event in situation.events:
            tell(event)
        tell.finish(situation.report)
    return stdout.getvalue()


# --- whole texts ----------------------------------------------------------------------------------------------


@_every_situation
def test_the_summary_reads_as_expected(name):
    report = SITUATIONS[name].report
    expect(f"{name}.md", markdown(title(report), ending(report, 75.0)))


@pytest.mark.parametrize("name", [name for name in SITUATIONS if SITUATIONS[name].report.failed])
def test_annotations_read_as_expected(name):
    failed = SITUATIONS[name].report.failed
    text = "".join(ci.annotation(f"{each.target} {each.outcome}", ci.explained(each)) for each in failed)
    expect(f"{name}.annotations.txt", text)


@pytest.mark.parametrize("name", ["all-good", "rolled-back"])
def test_gitlabs_log_reads_as_expected(name, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    text = told_to(SITUATIONS[name]).replace("\x1b", "ESC").replace("\r", "CR")
    expect(f"{name}.gitlab.txt", text)


# --- Markdown that cannot be broken out of --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[a](http://b.example)", r"\[a\](http:&#8203;//b.example)"),
        ("&lt;", r"\&lt;"),
        ("@octocat", "@&#8203;octocat"),
        ("mail a@b.example", "mail a@&#8203;b.example"),
        ("api@sha256:12", "api@sha256:12"),
        ("www.example.com", "www&#8203;.example.com"),
        (":smile:", "\\:&#8203;smile:"),
        ("#12 and GH-3", "\\#&#8203;12 and GH-&#8203;3"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("$x$ ~y~ *z* _w_", r"\$x\$ \~y\~ \*z\* \_w\_"),
        ("back\\slash", "back\\\\slash"),
        ("two\nlines", "two lines"),
        ("prod-20260102T030400Z", "prod-20260102T030400Z"),
    ],
)
def test_text_shows_as_text(text, expected):
    assert escaped(text) == expected


@given(st.text())
def test_no_text_opens_markup_or_another_line(text):
    shown = escaped(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`<>|\[\]*~$]", shown)
    assert "\n" not in shown


_PUNCTUATED = st.text(alphabet="a1 \\`*_{}[]()<>#+-.!|~&;:=$@/^'\"\t")


@given(st.text() | _PUNCTUATED)
def test_what_a_reader_sees_is_the_text_itself(text):
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escaped(text))
    shown = unescape(html.removeprefix("<p>").removesuffix("\n").removesuffix("</p>")).replace("\u200b", "")
    assert shown == one_line(text).strip()


@given(_PUNCTUATED, _PUNCTUATED)
def test_a_cell_shows_the_text_itself(left, right):
    sheet = (table([Column("a"), Column("b")], [[Span(f"x{left}"), Span(f"x{right}")]]),)
    html = MarkdownIt("commonmark").enable("table").render(markdown("x", sheet))
    cells = [unescape(cell).replace("\u200b", "") for cell in re.findall(r"<td>(.*?)</td>", html)]
    assert cells == [one_line(f"x{each}").strip() for each in (left, right)]


@given(st.lists(st.text(alphabet="`~ax \t|"), min_size=1))
def test_no_line_closes_its_block_of_code(lines):
    fenced = markdown("x", tuple(line(each, indent=4) for each in lines)).splitlines()[2:-1]
    fence = fenced[0].removesuffix("text")
    assert fenced[-1] == fence
    assert not any(each.strip().startswith(fence) for each in fenced[1:-1])


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_table_has_the_same_columns_in_every_row(left, right):
    text = markdown("x", (table([Column("a"), Column("b", "whole")], [[Span(left), Span(right)], ["c", "d"]]),))
    rows = [each for each in text.splitlines() if each.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} <= {2, 3}
    assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}) == 1


def test_a_summary_that_is_too_long_loses_its_logs_first_and_says_so():
    block = (line("mb/api failed"), line("x" * 400, indent=4), line("inv deploy.prod", whole=True))
    text = markdown("deploy.prod", block, room=300)
    assert text == (
        "## deploy.prod\n\nmb/api failed\n\n```text\ninv deploy.prod\n```\n\n"
        "1 of 4 parts had no room here; the job's log has everything.\n\n"
    )


@given(st.integers(0, 3000), st.lists(st.text(max_size=300), max_size=20))
def test_a_summary_never_takes_more_than_its_room(room, texts):
    sheet = tuple(line(text, indent=4 * (at % 2)) for at, text in enumerate(texts))
    assert len(markdown("x", sheet, room).encode()) <= room


# --- the step's summary ---------------------------------------------------------------------------------------


def test_summaries_of_one_step_stand_below_each_other(monkeypatch, tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("# mine\n\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    told_to(SITUATIONS["all-good"])
    told_to(SITUATIONS["rolled-back"], as_json=True)
    headings = [line for line in file.read_text().splitlines() if line.startswith("#")]
    assert headings == ["# mine", "## release.dev dev-20260102T030400Z", "## release.prod prod-20260102T030400Z"]


def test_a_summary_stays_within_what_github_takes_of_a_step(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("x" * (ci.SUMMARY_BYTES - 400))
    report = SITUATIONS["rolled-back"].report
    assert summarise(file, title(report), ending(report, 1.0)) == ""
    assert file.stat().st_size <= ci.SUMMARY_BYTES
    assert file.read_text().endswith("parts had no room here; the job's log has everything.\n\n")
    file.write_text("x" * ci.SUMMARY_BYTES)
    assert summarise(file, "deploy.prod", (line("x"),)) == f"{file} has no room left for deploy.prod"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_summary_that_cannot_be_written_is_said_in_one_line_and_fails_nothing(monkeypatch, tmp_path, as_json):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "such" / "folder"))
    text = told_to(SITUATIONS["all-good"], as_json=as_json)
    said = [line for line in text.splitlines() if "could not be written: No such file or directory" in line]
    assert len(said) == 1
    if as_json:
        assert json.loads(text.splitlines()[-1])["event"] == "summary"
    else:
        assert text.endswith("2 deployed in 12s\n")


def test_a_command_that_breaks_off_leaves_what_had_ended_and_why(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    situation = SITUATIONS["rolled-back"]
    with pytest.raises(NotReady), face("release.prod", StringIO(), as_json=False, clock=ticking()) as tell:
        for event in situation.events[:-1]:
            tell(event)
        raise NotReady.of("mb-prod/api", "```\n<b>no</b>", "sign in")
    expect("broken-off.md", (tmp_path / "summary.md").read_text())


def test_no_secret_reaches_the_summary(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    of = target()
    secret = {"environment": [{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]}
    rollout = SITUATIONS["rolled-back"].report.plan.rollouts[0]
    made = Plan(PROD, waves=((replace(rollout, request={"containerDefinitions": [secret]}),),))
    fell = ended(of, "failed", detail="no login with hunter2hunter2")
    with face("x", StringIO(), as_json=False, clock=ticking()) as tell:
        tell(Planned(made))
        tell(Ended(fell))
        tell.finish(Report("x", made, (fell,)))
    assert "no login with" in (tmp_path / "summary.md").read_text()
    assert "hunter2" not in (tmp_path / "summary.md").read_text()


# --- annotations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("envs/mb.toml:7: tiers.prod.cpu", "file=envs/mb.toml,line=7,title=envs/mb.toml%3A7%3A tiers.prod.cpu"),
        ("envs/mb.toml:1", "file=envs/mb.toml,line=1,title=envs/mb.toml%3A1"),
        ("envs/project.toml: registry.account", "file=envs/project.toml,title=envs/project.toml%3A registry.account"),
        (
            "templates/x.json.j2:3: dev/x, y",
            "file=templates/x.json.j2,line=3,title=templates/x.json.j2%3A3%3A dev/x%2C y",
        ),
        ("mb-prod/api", "title=mb-prod/api"),
        ("--tenant", "title=--tenant"),
        ("see envs/mb.toml:7", "title=see envs/mb.toml%3A7"),
    ],
)
def test_an_annotation_stands_at_the_file_that_is_complained_of(where, expected):
    assert ci.annotation(where, "is wrong") == f"::error {expected}::is wrong\n"


def test_files_are_named_from_where_the_repository_is_checked_out():
    assert ci.folder_of(Path("/w/shop/deploy"), "/w/shop") == "deploy"
    assert ci.folder_of(Path("/w/shop"), "/w/shop") == ""
    assert ci.folder_of(Path("/elsewhere"), "/w/shop") == ci.folder_of(Path("/elsewhere"), "") == ""
    assert ci.annotation("envs/mb.toml:7", "x", "deploy").startswith("::error file=deploy/envs/mb.toml,line=7,")


@given(st.text(), st.text())
def test_an_annotation_is_one_line_whatever_it_says(where, message):
    text = ci.annotation(where, message)
    assert re.fullmatch(r"::error (?:title=[^\r\n:,]*(?:,[a-z]+=[^\r\n:,]*)*)?::[^\r\n]*\n", text)


def test_percent_signs_are_not_taken_for_escapes():
    assert ci.annotation("x", "100%0A::error::y\nz") == "::error title=x::100%250A::error::y%0Az\n"


# --- text that others wrote -----------------------------------------------------------------------------------


def obeys(text: str) -> bool:
    """Whether GitHub's runner would find a command in it. Source: the runner's ActionCommand."""
    return any(each.lstrip().startswith("::") or "##[" in each for each in re.split(r"\r\n|\r|\n", text))


@example("::error::x")
@example("a\r \u2003::error::x")
@example("a ##[error]x")
@given(st.text(alphabet=":#[] \t\r\nerror\u00a0\u2003"))
def test_defused_text_holds_no_command(text):
    assert not obeys(ci.defused(text))


@given(st.text(alphabet="a b\n:,#"))
def test_ordinary_text_is_left_alone(text):
    assert obeys(text) or ci.defused(text) == text


@given(st.recursive(st.text(alphabet='#["\\]:'), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_defused_json_is_the_same_document(document):
    text = ci.defused_json(json.dumps(document, indent=2))
    assert json.loads(text) == document
    assert not obeys(text)


EVIL = "boom\n::error::owned\n  ::set-env name=X::y\n##[error]owned\n| ##[add-mask]a"


def annotated(text: str) -> list[str]:
    return [line for line in text.splitlines() if obeys(line)]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A step of GitHub Actions, and the file of its summary."""
    for name, value in {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "summary.md"


def refusing(shop: Shop, operation: str) -> None:
    shop.endpoint.fault = lambda call: _evil(call, operation)


def _evil(call: Call, operation: str) -> AwsError | None:
    return AwsError("ServerException", EVIL, 400) if call.operation == operation else None


@pytest.mark.waits
@pytest.mark.parametrize("operation", ["UpdateService", "DescribeServices", "GetParameter", "BatchGetImage"])
@pytest.mark.parametrize("as_json", [True, False])
def test_no_command_is_injected_by_what_aws_says(shop: Shop, github: Path, operation: str, as_json: bool):
    refusing(shop, operation)
    ran = shop.inv("deploy.prod", *["--json"] * as_json)
    found = [annotated(ran.stdout), annotated(ran.stderr)]
    ours, others = reversed(found) if as_json else found
    assert all(line.startswith("::error title=") for line in ours)
    assert others == []
    if as_json:
        assert [json.loads(line)["event"] for line in ran.stdout.splitlines()][-1] == "summary"


@pytest.mark.waits
def test_failed_results_are_annotated_and_summed_up(shop: Shop, github: Path):
    refusing(shop, "UpdateService")
    ran = shop.inv("deploy.prod")
    assert ran.code == 1
    what = "UpdateService: ServerException: boom%0A::error::owned%0A  ::set-env name=X::y%0A##[error]owned%0A| ##["
    starts = [f"::error title=t{n}-prod/api failed::t{n}-prod/api: {what}" for n in (1, 2)]
    assert [line[: len(start)] for line, start in zip(annotated(ran.stdout), starts, strict=True)] == starts
    assert github.read_text().startswith("## deploy.prod prod-20260203T040506Z\n\n| target | outcome |")
    assert "```text\nto go on: inv deploy.prod\n```" in github.read_text()


@pytest.mark.waits
def test_a_wrong_file_is_annotated_at_its_line(shop: Shop, github: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_WORKSPACE", str(shop.root.parent))
    shop.edit("envs/t1.toml", "account =", "cpus = 1\naccount =")
    for words in (["envs.check"], ["deploy.prod"], ["status"]):
        ran = shop.inv(*words)
        assert ran.code == 2
        (said,) = annotated(ran.stdout)
        assert re.match(r"::error file=repo/envs/t1.toml,line=\d+,title=envs/t1.toml%3A\d+", said)
        assert "%0Adid you mean 'cpu'?" in said
        assert annotated(ran.stderr) == []
    assert "## deploy.prod was refused" in github.read_text()


@pytest.mark.waits
def test_where_stdout_is_a_programs_it_holds_no_annotation(shop: Shop, github: Path):
    for words in (["status", "--tenant", "nobody", "--json"], ["envs.render", "nowhere"]):
        ran = shop.inv(*words)
        assert (ran.code, annotated(ran.stdout), len(annotated(ran.stderr))) == (2, [], 1)


@pytest.mark.waits
def test_a_good_release_is_summed_up_and_nothing_is_annotated(shop: Shop, github: Path):
    ran = shop.inv("deploy.prod")
    assert (ran.code, annotated(ran.stdout), annotated(ran.stderr)) == (0, [], [])
    assert "<b>2 deployed in " in github.read_text()


@pytest.mark.waits
@pytest.mark.parametrize("as_json", [True, False])
def test_the_board_is_summed_up_too(shop: Shop, github: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool):
    assert shop.inv("status", *["--json"] * as_json).code == 0
    assert github.read_text().startswith("## status\n\n| tenant | dev |")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(github.parent))
    ran = shop.inv("status", *["--json"] * as_json)
    assert (ran.code, ran.stderr) == (0, f"summary: {github.parent} could not be written: Is a directory\n")


@pytest.mark.waits
def test_tasks_of_one_name_still_all_run_and_take_their_flags(shop: Shop, github: Path):
    ran = shop.inv("tag.prod", "deploy.prod", "--tenant", "t1", "lock.status")
    assert (ran.code, "t1-prod/api" in ran.stdout, "t2-prod/api" in ran.stdout) == (0, True, False)
    assert [line for line in github.read_text().splitlines() if line.startswith("## ")] == [
        "## tag.prod prod-20260203T040506Z",
        "## deploy.prod prod-20260203T040506Z",
    ]


# --- sections -------------------------------------------------------------------------------------------------

_START = re.compile(r"\x1b\[0Ksection_start:\d+:([A-Za-z0-9_.-]+)\[collapsed=true\]\r\x1b\[0K")
_END = re.compile(r"\x1b\[0Ksection_end:\d+:([A-Za-z0-9_.-]+)\r\x1b\[0K")


@_every_situation
def test_sections_are_closed_in_turn_and_the_end_stands_open(name, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    text = told_to(SITUATIONS[name])
    starts, ends = _START.findall(text), _END.findall(text)
    assert starts == ends and len(set(starts)) == len(starts) > 0
    assert "section_" not in text.rpartition("section_end")[2]
    assert text.rpartition("section_end")[2].count("target ") == (1 if SITUATIONS[name].report.results else 0)
    assert text.count("\x1b[0K") == 4 * len(starts)


@pytest.mark.parametrize("error", [RolloutsFailed.of("x", "y"), KeyboardInterrupt(), RuntimeError("z")])
def test_sections_are_closed_on_every_way_out(monkeypatch, error):
    monkeypatch.setenv("GITLAB_CI", "true")
    stdout = StringIO()
    with pytest.raises(type(error)), face("release.prod", stdout, as_json=False, clock=ticking()) as tell:
        tell(rolling(target(), 1))
        raise error
    assert _START.findall(stdout.getvalue()) == _END.findall(stdout.getvalue()) != []


def test_json_has_no_sections(monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    assert "section_" not in told_to(SITUATIONS["all-good"], as_json=True)


def test_no_section_is_opened_by_what_a_build_says(monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    stdout = StringIO()
    with face("build", stdout, as_json=False, clock=ticking()) as tell:
        tell(Told("build", "\x1b[0Ksection_start:1:evil\r\x1b[0Kowned\n\x1b[0Ksection_end:1:evil\r\x1b[0K", "api"))
    assert [name for name in _START.findall(stdout.getvalue()) if "evil" in name] == []
    assert len(_END.findall(stdout.getvalue())) == 1


def test_a_message_between_rollouts_opens_no_section_of_its_own():
    assert [ci.phase(Told(step, ""), "rollouts") for step in ("soak", "record")] == ["rollouts"] * 2
    assert ci.phase(Told("tag", ""), "plan") == ""


def test_names_of_sections_are_legal_whatever_was_typed():
    names = ci.section_names("deploy.wait ../x\n", ticking()())
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", next(names))
    assert next(names) != next(names)


# --- no colour ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "GITLAB_CI"])
def test_no_table_moves_in_a_ci_log_even_if_it_calls_itself_a_terminal(monkeypatch, variable):
    class Screen(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("TERM", "xterm-256color")
    stdout = Screen()
    face("x", stdout, as_json=False, clock=ticking()).finish(Report("x", Plan(PROD), (ended(target()),)))
    assert "\x1b" not in stdout.getvalue()
    assert isinstance(face("x", StringIO(), as_json=False), Lines) or variable == "GITLAB_CI"


_SHOWS_ALL = """
import sys
from deploytasks.report import results
from deploytasks.report.face import face
from deploytasks.report.show import show
from tests.reports.situations import SITUATIONS
situation = SITUATIONS["rolled-back"]
with face("release.prod", sys.stdout, as_json=False) as tell:
    for event in situation.events:
        tell(event)
    tell.finish(situation.report)
show(results.sheet(situation.report), sys.stdout)
"""
_COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m")


def on_a_pty(environ: Mapping[str, str]) -> bytes:
    """All that a terminal receives."""
    reader, writer = pty.openpty()
    child = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environ}
    with subprocess.Popen([sys.executable, "-c", _SHOWS_ALL], stdout=writer, env=child) as process:
        os.close(writer)
        received = b"".join(iter(lambda: _read(reader), b""))
    os.close(reader)
    assert process.returncode == 0
    return received


def _read(reader: int) -> bytes:
    select.select([reader], [], [], 30)
    try:
        return os.read(reader, 65536)
    except OSError:  # what Linux answers once the other end is closed
        return b""


@pytest.mark.waits
def test_a_terminal_is_coloured_and_no_color_takes_that_away(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _COLOUR.search(on_a_pty({}))
    assert _COLOUR.search(on_a_pty({"NO_COLOR": ""}))
    without = on_a_pty({"NO_COLOR": "1"})
    assert b"rolled back" in without
    assert not _COLOUR.search(without)
    assert not _COLOUR.search(on_a_pty({"NO_COLOR": "1", "FORCE_COLOR": "1"}))


@pytest.mark.waits
def test_what_is_no_terminal_receives_no_escape_whatever_is_forced():
    forced = {**os.environ, "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color", "TTY_COMPATIBLE": "1"}
    run = subprocess.run([sys.executable, "-c", _SHOWS_ALL], env=forced, capture_output=True, check=True)
    assert b"rolled back" in run.stdout
    assert b"\x1b" not in run.stdout
