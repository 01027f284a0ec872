"""What GitHub is shown of a command, a step's summary and annotations; and that nothing injects any."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.errors import NotReady, RolloutsFailed
from deploytasks.model import Ended, Plan, Planned, Report
from deploytasks.report import ci
from deploytasks.report.ci import ending, summarise, title
from deploytasks.report.markdown import markdown
from deploytasks.report.progress import reporter_for
from deploytasks.report.sheet import line
from deploytasks.tasks.carry_out import raise_if_failed
from tests.cloud.accounts import AwsError, Call
from tests.commands import Shop
from tests.reports.situations import PROD, SITUATIONS, ended, expect, target, ticking
from tests.test_report_reporters import told_to

_every_situation = pytest.mark.parametrize("name", SITUATIONS)


@_every_situation
def test_the_summary_reads_as_expected(name):
    report = SITUATIONS[name].report
    expect(f"{name}.md", markdown(title(report), ending(report, 75.0)))


@pytest.mark.parametrize("name", [name for name in SITUATIONS if SITUATIONS[name].report.failed])
def test_annotations_read_as_expected(name):
    with pytest.raises(RolloutsFailed) as failed:
        raise_if_failed(SITUATIONS[name].report)
    text = "".join(ci.annotation(each.where, each.what) for each in failed.value.each)
    expect(f"{name}.annotations.txt", text)


def test_summaries_of_one_step_stand_below_each_other(monkeypatch, tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("# mine\n\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    told_to(SITUATIONS["all-good"], as_json=False)
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
        assert text.endswith("2 deployed in 13s\n")


def test_a_command_that_breaks_off_leaves_what_had_ended_and_why(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    situation = SITUATIONS["rolled-back"]
    with pytest.raises(NotReady), reporter_for("release.prod", StringIO(), as_json=False, clock=ticking()) as tell:
        for event in situation.events[:-1]:
            tell(event)
        raise NotReady.of("mb-prod/api", "```\n<b>no</b>", "sign in")
    expect("broken-off.md", (tmp_path / "summary.md").read_text())


def test_no_secret_reaches_the_summary_or_the_error(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    of = target()
    secret = {"environment": [{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]}
    rollout = SITUATIONS["rolled-back"].report.plan.rollouts[0]
    made = Plan(PROD, waves=((replace(rollout, request={"containerDefinitions": [secret]}),),))
    fell = ended(of, "failed", detail="no login with hunter2hunter2")
    report = Report("x", made, (fell,), resume="before_deploy failed: ./login hunter2hunter2 in prod/api")
    with reporter_for("x", StringIO(), as_json=False, clock=ticking()) as tell:
        tell(Planned(made))
        tell(Ended(fell))
        tell.finish(report)
    with pytest.raises(RolloutsFailed) as raised:
        raise_if_failed(report)
    for text in ((tmp_path / "summary.md").read_text(), raised.value.render()):
        assert "./login ***" in text
        assert "hunter2" not in text
    assert "no login with" in (tmp_path / "summary.md").read_text()


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


@pytest.mark.parametrize(("total", "shown"), [(0, 0), (9, 9), (10, 10), (11, 9), (50, 9)])
def test_no_more_annotations_are_made_than_github_shows_and_the_last_says_how_many_more_there_are(total, shown):
    lines = list(ci.annotations([(f"t{at}-prod/api failed", "it died") for at in range(total)]))
    assert lines[:shown] == [f"::error title=t{at}-prod/api failed::it died\n" for at in range(shown)]
    more = f"::error title={total - 9} more errors::GitHub shows no more; all {total} stand in this step's log\n"
    assert lines[shown:] == ([more] if total > 10 else [])


@given(st.text(), st.text())
def test_an_annotation_is_one_line_whatever_it_says(where, message):
    text = ci.annotation(where, message)
    assert re.fullmatch(r"::error (?:title=[^\r\n:,]*(?:,[a-z]+=[^\r\n:,]*)*)?::[^\r\n]*\n", text)


def test_percent_signs_are_not_taken_for_escapes():
    assert ci.annotation("x", "100%0A::error::y\nz") == "::error title=x::100%250A::error::y%0Az\n"


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
    what = "UpdateService: ServerException: boom%0A::error::owned%0A  ::set-env name=X::y%0A## [error]owned%0A| ## ["
    starts = [f"::error title=t{n}-prod/api failed::{what}" for n in (1, 2)]
    assert [line[: len(start)] for line, start in zip(annotated(ran.stdout), starts, strict=True)] == starts
    assert github.read_text().startswith("## deploy.prod prod-20260203T040506Z\n\n| target | outcome |")
    assert "```text\nto go on: inv deploy.prod\n```" in github.read_text()


@pytest.mark.waits
def test_of_many_complaints_ten_are_annotated_and_all_stand_in_the_log(shop: Shop, github: Path):
    unknown = ",".join(f"nobody-{at}" for at in range(30))
    ran = shop.inv("deploy.prod", "--tenant", unknown)
    assert (ran.code, len(annotated(ran.stdout))) == (2, 10)
    assert annotated(ran.stdout)[-1].startswith("::error title=21 more errors::")
    assert ran.stderr.count("there is no tenant 'nobody-") == 30


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
