"""A log that CI can fold, and that no colour and no moving table litters."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO

import pytest

from deploytasks.errors import RolloutsFailed
from deploytasks.model import Plan, Report, Told
from deploytasks.report import ci
from deploytasks.report.lines import Lines
from deploytasks.report.progress import reporter_for
from tests.reports.situations import PROD, SITUATIONS, ended, expect, rolling, target, ticking
from tests.test_report_reporters import told_to

_every_situation = pytest.mark.parametrize("name", SITUATIONS)


_START = re.compile(r"\x1b\[0Ksection_start:\d+:([A-Za-z0-9_.-]+)\[collapsed=true\]\r\x1b\[0K")
_END = re.compile(r"\x1b\[0Ksection_end:\d+:([A-Za-z0-9_.-]+)\r\x1b\[0K")


@pytest.mark.parametrize("name", ["all-good", "rolled-back"])
def test_gitlabs_log_reads_as_expected(name, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    text = told_to(SITUATIONS[name], as_json=False).replace("\x1b", "ESC").replace("\r", "CR")
    expect(f"{name}.gitlab.txt", text)


@_every_situation
def test_sections_are_closed_in_turn_and_the_end_stands_open(name, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    text = told_to(SITUATIONS[name], as_json=False)
    starts, ends = _START.findall(text), _END.findall(text)
    assert starts == ends and len(set(starts)) == len(starts) > 0
    assert "section_" not in text.rpartition("section_end")[2]
    assert text.rpartition("section_end")[2].count("target ") == (1 if SITUATIONS[name].report.results else 0)
    assert text.count("\x1b[0K") == 4 * len(starts)


@pytest.mark.parametrize("error", [RolloutsFailed.of("x", "y"), KeyboardInterrupt(), RuntimeError("z")])
def test_sections_are_closed_on_every_way_out(monkeypatch, error):
    monkeypatch.setenv("GITLAB_CI", "true")
    stdout = StringIO()
    with pytest.raises(type(error)), reporter_for("release.prod", stdout, as_json=False, clock=ticking()) as tell:
        tell(rolling(target(), 1))
        raise error
    assert _START.findall(stdout.getvalue()) == _END.findall(stdout.getvalue()) != []


def test_json_has_no_sections(monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    assert "section_" not in told_to(SITUATIONS["all-good"], as_json=True)


def test_no_section_is_opened_by_what_a_build_says(monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    stdout = StringIO()
    with reporter_for("build", stdout, as_json=False, clock=ticking()) as tell:
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


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "GITLAB_CI"])
def test_no_table_moves_in_a_ci_log_even_if_it_calls_itself_a_terminal(monkeypatch, variable):
    class Screen(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("TERM", "xterm-256color")
    stdout = Screen()
    reporter_for("x", stdout, as_json=False, clock=ticking()).finish(Report("x", Plan(PROD), (ended(target()),)))
    assert "\x1b" not in stdout.getvalue()
    assert isinstance(reporter_for("x", StringIO(), as_json=False), Lines) or variable == "GITLAB_CI"


_SHOWS_ALL = """
import sys
from deploytasks.report import results
from deploytasks.report.progress import reporter_for
from deploytasks.report.streams import show
from tests.reports.situations import SITUATIONS
situation = SITUATIONS["rolled-back"]
with reporter_for("release.prod", sys.stdout, as_json=False) as tell:
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
