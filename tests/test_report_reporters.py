"""What a running command shows, compared as a whole: lines, JSON lines, and the tables of a terminal."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest

from deploytasks.errors import RolloutsFailed
from deploytasks.model import Plan, Progress, Report, Told
from deploytasks.report import plan, results
from deploytasks.report.json_lines import JsonLines
from deploytasks.report.lines import Lines
from deploytasks.report.live import LiveTable, Row, live_sheet
from deploytasks.report.plain import plain
from deploytasks.report.progress import reporter_for
from deploytasks.report.reporter import Reporter
from deploytasks.report.streams import show
from tests.reports.situations import (
    PROD,
    SITUATIONS,
    Situation,
    build,
    ended,
    expect,
    fitted_to,
    not_attempted,
    rolling,
    tag_step,
    target,
    ticking,
)

_every_situation = pytest.mark.parametrize("name", SITUATIONS)


class Screen(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(situation: Situation, shown: Reporter) -> None:
    with shown as tell:
        for event in situation.events:
            tell(event)
        tell.finish(situation.report)


def told_to(situation: Situation, *, as_json: bool) -> str:
    stdout = StringIO()
    run(situation, reporter_for(situation.report.command, stdout, as_json=as_json, clock=ticking()))
    return stdout.getvalue()


@_every_situation
def test_lines_read_as_expected(name):
    expect(f"{name}.lines.txt", told_to(SITUATIONS[name], as_json=False))


@_every_situation
def test_json_lines_read_as_expected(name):
    expect(f"{name}.jsonl", told_to(SITUATIONS[name], as_json=True))


@_every_situation
@pytest.mark.parametrize("width", [100, 60])
def test_tables_fit_the_terminal(name, width):
    situation = SITUATIONS[name]
    planned, at_the_end = plan.sheet(situation.report.plan), results.sheet(situation.report, 75.0)
    text = fitted_to(planned, width) + "\n" + fitted_to(at_the_end, width)
    assert all(len(line) <= width for line in text.splitlines() if not line.startswith("to resume"))
    expect(f"{name}.{width}.txt", text)


@_every_situation
def test_every_json_line_parses_and_the_last_is_the_summary(name):
    lines = [json.loads(line) for line in told_to(SITUATIONS[name], as_json=True).splitlines()]
    assert [line["event"] for line in lines].index("summary") == len(lines) - 1
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"]) for line in lines)


def test_the_summary_counts_outcomes_and_tells_the_exit_code():
    summary = json.loads(told_to(SITUATIONS["superseded-not-attempted"], as_json=True).splitlines()[-1])
    assert summary["outcomes"] == {"superseded": 1, "not attempted": 3}
    assert summary["exit"] == 1


def test_a_command_that_breaks_off_ends_with_a_summary_of_what_had_ended():
    stdout = StringIO()
    situation = SITUATIONS["rolled-back"]
    error = RolloutsFailed.of("mb-prod/api", "AWS said no")
    with pytest.raises(RolloutsFailed), reporter_for("release.prod", stdout, as_json=True, clock=ticking()) as tell:
        for event in situation.events[:-1]:
            tell(event)
        raise error
    summary = json.loads(stdout.getvalue().splitlines()[-1])
    assert (summary["event"], summary["exit"], summary["error"]) == ("summary", 1, "mb-prod/api: AWS said no")
    assert [result["target"] for result in summary["results"]] == ["prod/api"]


def test_an_interrupt_before_any_plan_still_ends_with_a_summary():
    stdout = StringIO()
    with pytest.raises(KeyboardInterrupt), reporter_for("build", stdout, as_json=True, clock=ticking()):
        raise KeyboardInterrupt
    summary = json.loads(stdout.getvalue())
    assert (summary["command"], summary["exit"], summary["error"]) == ("build", 130, "KeyboardInterrupt")


def test_repeated_progress_is_one_line():
    stdout = StringIO()
    tell = reporter_for("deploy.prod", stdout, as_json=False, clock=ticking())
    for running in (1, 1, 1, 2):
        tell(rolling(target(), running))
    assert len(stdout.getvalue().splitlines()) == 2


def test_a_command_without_rollouts_tells_what_it_built_and_tagged():
    made = Plan(PROD, (build(),), (tag_step(),))
    assert plain(results.sheet(Report("tag.prod", made))) == "1 image built, 1 image tagged\n"
    assert plain(results.sheet(Report("build", Plan(PROD)))) == "nothing was changed\n"


def test_a_plan_that_was_never_told_is_shown_by_the_end_of_a_dry_run():
    stdout = StringIO()
    report = SITUATIONS["dry-run-unbuilt"].report
    reporter_for("release.prod", stdout, as_json=False, clock=ticking()).finish(report)
    assert "build api: 1a2b3c4" in stdout.getvalue()


@pytest.mark.parametrize(
    ("stdout", "term", "as_json", "expected"),
    [
        (Screen(), "xterm-256color", False, LiveTable),
        (Screen(), "dumb", False, Lines),
        (Screen(), "", False, Lines),
        (StringIO(), "xterm-256color", False, Lines),
        (Screen(), "xterm-256color", True, JsonLines),
    ],
)
def test_the_reporter_follows_the_stream(monkeypatch, stdout, term, as_json, expected):
    monkeypatch.setenv("TERM", term)
    assert type(reporter_for("x", stdout, as_json=as_json)) is expected


def rows() -> tuple[Row, ...]:
    main, mb, acme, last = target(), target("mb"), target("acme"), target("late", wave=2)
    under_way = Progress(mb, "rolling", "x/shop-mb-prod-api:8", 1, 2, "(service api) has reached [red]a steady state.")
    failed = ended(acme, "rolled back", detail="tasks failed to start", running=0)
    return (Row(main, None, ended(main)), Row(mb, under_way), Row(acme, None, failed), Row(last))


@pytest.mark.parametrize("width", [100, 80, 60, 40])
def test_the_live_table_keeps_one_line_a_target(width):
    text = fitted_to(live_sheet("release.prod  1m12s  2 of 4 ended", rows(), room=20), width)
    assert len(text.splitlines()) == 2 + len(rows())
    expect(f"live.{width}.txt", text)


def test_fifty_targets_on_a_small_screen_show_those_that_matter():
    many = (*(Row(target(f"t{n}"), None, ended(target(f"t{n}"))) for n in range(47)), *rows()[1:])
    text = fitted_to(live_sheet("release.prod", many, room=4), 80)
    assert [line.split()[0] for line in text.splitlines()[2:]] == [
        "t0-prod/api",
        "mb-prod/api",
        "acme-prod/api",
        "late-prod/api",
        "…",
    ]
    assert text.endswith("… and 46 more\n")


def on_screen(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    stdout = Screen()
    run(situation, reporter_for(situation.report.command, stdout, as_json=False, clock=ticking()))
    return stdout.getvalue()


@_every_situation
def test_the_terminal_ends_with_the_same_words_as_the_plain_report(name, monkeypatch):
    situation = SITUATIONS[name]
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_screen(situation, monkeypatch))
    words = fitted_to(results.sheet(situation.report), 100).splitlines()[:-3]
    shown = [line.rstrip() for line in re.split(r"[\r\n]+", text)]
    assert [line for line in words if line and line not in shown] == []


def test_the_terminal_receives_no_escape_that_is_not_ours(monkeypatch):
    shown = on_screen(SITUATIONS["hostile-names"], monkeypatch)
    ours = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[[12]K|\x1b\[1A", "", shown)
    assert not re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", ours)
    assert "owned" not in shown
    assert "[red]mb[/red]" in shown


def test_leaving_without_an_end_leaves_the_live_table_standing(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stdout = Screen()
    with reporter_for("deploy.prod", stdout, as_json=False, clock=ticking()) as tell:
        tell(rolling(target(), 1))
    assert "prod/api" in stdout.getvalue()
    assert stdout.getvalue().rstrip().endswith("\x1b[?25h")


def test_the_live_table_leaves_room_where_the_terminal_writes_ctrl_c(monkeypatch):
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "72", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    stdout = Screen()
    with reporter_for("deploy.prod", stdout, as_json=False, clock=ticking()) as tell:
        tell(Progress(target(), "rolling", "x/shop-prod-api:8", 0, 2, "(service api) is unable to start tasks. " * 3))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stdout.getvalue())
    assert "is unable" in shown and "(service api)" not in shown
    assert max(len(line) for line in re.split(r"[\r\n]+", shown)) <= 72 - len("^C")


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stdout = Screen()
    reporter_for("x", stdout, as_json=False).finish(
        Report("x", Plan(PROD), (ended(target()), not_attempted(target("mb"))))
    )
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", stdout.getvalue())


def test_what_is_shown_once_is_coloured_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stdout = Screen()
    show(results.sheet(SITUATIONS["rolled-back"].report), stdout)
    assert "\x1b[1;31mrolled back" in stdout.getvalue()


def test_a_terminal_that_goes_away_does_not_stop_the_work(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")

    class Gone(Screen):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    run(SITUATIONS["rolled-back"], reporter_for("deploy.prod", Gone(), as_json=False))


def test_many_threads_may_tell_at_once():
    stdout = StringIO()
    tell = reporter_for("x", stdout, as_json=True, clock=ticking())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, [Told("push", f"layer {n}") for n in range(200)]))
    assert len([json.loads(line) for line in stdout.getvalue().splitlines()]) == 200
