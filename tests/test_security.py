"""Hostile words × every output: nothing is obeyed, nothing breaks the form, and no secret stands in it.

Whoever can name an image, a file, a tenant or a person, or write a log line, an AWS message or a commit's subject, may
have written these.
"""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.tasks import Task
from msgspec.structs import replace

from deploytasks.aws import follow_task
from deploytasks.errors import AwsError, Complaint, DeployError, RolloutsFailed
from deploytasks.model import (
    Author,
    ConfigDeploy,
    DeadTask,
    Difference,
    Ended,
    Heading,
    Hidden,
    History,
    Logged,
    Plan,
    Planned,
    Release,
    Report,
    Result,
    Told,
)
from deploytasks.report import board as boards
from deploytasks.report import diff, notification
from deploytasks.report import history as histories
from deploytasks.report.log import Log
from deploytasks.report.page import page
from deploytasks.report.plain import plain
from deploytasks.report.progress import reporter_for
from deploytasks.report.streams import dumped
from deploytasks.tasks.command_line import CommandLine
from deploytasks.tasks.in_ci import Reporting
from tests.boards import board, cell
from tests.cloud.accounts import AwsError as CloudError
from tests.cloud.accounts import Call
from tests.commands import Ran, Shop
from tests.oneoffs import script, with_log
from tests.reports.situations import NEW, PROD, ended, rolling, target, ticking, update
from tests.test_page import Read

SECRET, MADE = "hunter22-secret", "made-of-a-variable"
HOSTILE = {
    "a title": "\x1b]0;owned\x07x",
    "a link": "\x1b]8;;https://evil.example\x1b\\\\x",
    "a title never ended": "\x1b]0;owned",
    "colours and cursor": "\x1b[31m\x1b[2J\x1b[1A\x9b2K",
    "a device string": "\x1bP1;2|evil\x1b\\\\",
    "from right to left": "\u202etxt.exe\u2066",
    "a line overwritten": "failed\r\x1b[2Kall is well",
    "other ends of a line": "a\u2028::error::b\x85::error::c\v::error::d",
    "github's command": "\n::error file=x::owned\n::set-env name=PATH::/evil\n ::stop-commands::x",
    "github's older one": "##[error]owned ##[set-env name=A]b",
    "github's, with letters that are left out": ":\u200b:error::owned\n:\x1b[0m:error::owned ##\u200b[error]x",
    "gitlab's section": "\x1b[0Ksection_start:1:evil\r\x1b[0Kowned\n\x1b[0Ksection_end:1:evil\r\x1b[0K",
    "markup": "<script>document.title='owned'</script><img src=x onerror=alert(1)></style>",
    "markdown": "| a | b |\n# head\n[x](https://evil.example) ![x](https://evil.example/p) ```\n@octocat",
    "slack": "<!channel> <https://evil.example|click> @here &lt;!here&gt;",
    "rich's markup": "[link=https://evil.example]x[/link] [red]",
    "no text at all": "\0\x07\x08\ud800",
    "a secret": SECRET,
    "a secret with escapes in it": f"{SECRET[:5]}\x1b[0m{SECRET[5:]}",
    "what a variable gave": MADE,
    "what a variable gave, as JSON": json.dumps({"key": MADE}),
    "a password in an address": "https://user:hunter22-secret@db.example/x",
}


def name(text: str) -> str:
    """The text as the name of something: names are nobody's secrets."""
    return "api" if SECRET[:5] in text or MADE in text else text


def plan(text: str) -> Plan:
    made = update(target(), env={"DB_PASSWORD": SECRET})
    assert made.request is not None
    request = {**made.request, "pidMode": Hidden.of(MADE, frozenset())}
    return Plan(PROD, waves=((replace(made, request=request, reason="changes"),),), notes=(text,))


def result(text: str) -> Result:
    dead = DeadTask(name(text), text, (text,), (text, f"{text}\n{text}"))
    return ended(target(), "failed", detail=text, tasks=(dead,))


def told(text: str, *, as_json: bool) -> str:
    """A release that fails, with the text wherever somebody else's words may stand."""
    out, report = StringIO(), Report("release.prod", plan(text), (result(text),), (text,), resume="to go on: inv x")
    line = Logged(target(), "0a1b", "api", text, datetime(2026, 1, 1, tzinfo=UTC))
    with reporter_for("release.prod", out, as_json=as_json, clock=ticking()) as tell:
        for event in (Planned(plan(text)), Told("push", text, "api"), rolling(target(), 1), line):
            tell(event)
        tell(Ended(result(text)))
        tell.finish(report)
    return out.getvalue()


def broken_off(text: str) -> str:
    out = StringIO()
    with pytest.raises(AwsError), reporter_for("release.prod", out, as_json=True, clock=ticking()) as tell:
        tell(Planned(plan(text)))
        raise AwsError.of("x", text, text)
    return out.getvalue()


def on_stderr(text: str) -> str:
    """What Invoke prints of an error that one of our tasks raised."""

    def body(_c: Context) -> None:
        raise AwsError.of(f"templates/{text}.json.j2: prod/api", text, text)

    task = Reporting(Task(body, name="x"), Path(), CommandLine.__new__(CommandLine))
    with pytest.raises(DeployError) as caught:
        task(Context())
    return str(caught.value.message)


def in_log(text: str) -> tuple[str, str]:
    out, aside = StringIO(), StringIO()
    with Log("deploy.run prod", out, aside, "json") as log:
        log.keep_back([plan(text).rollouts[0].request or {}], [])
        log(Told("run", text, name(text)))
        log.finish({"reason": text, "nested": [{"error": text}]})
    with Log("deploy.logs prod", out, aside, "stamped") as log:
        log.keep_back([plan(text).rollouts[0].request or {}], [])
        log(Told("run", text, name(text)))
    return out.getvalue(), aside.getvalue()


def shown_board(text: str) -> object:
    changes = {"subject": text, "by": text, "ci": text, "override": text, "detail": text, "crashing": text}
    made = board([cell("main", "prod", checkout=text, **changes)], text, tiers=("prod",))
    unseen = replace(made.cells[0], standing="unseen", complaint=Complaint(text, text, text))
    return replace(made, project=text, cells=(*made.cells, replace(unseen, target=target("mb"))))


def history(text: str) -> History:
    release = Release("prod-20260101T000000Z", None, {"api": "sha256:1"}, NEW, text, text, text, text, (text,), text)
    secret = {"containerDefinitions": [{"environment": [{"name": "DB_PASSWORD", "value": SECRET}]}]}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    deploy = ConfigDeploy(at, "api", "", NEW, text, (f"env.{text}",), (target(),), secret, {}, text, text, ended=text)
    return History("prod", ("api",), (release,), notes=(text,), config_deploys=(deploy,))


def difference(text: str) -> Difference:
    before = {"containerDefinitions": [{"name": "api", "environment": [{"name": "DB_PASSWORD", "value": SECRET}]}]}
    after = {"containerDefinitions": [{"name": "api", "command": [text]}], "pidMode": Hidden.of(MADE, frozenset())}
    return Difference(target(), name(text), name(text), before, after, notes=(name(text),))


HEADING = Heading("shop", "prod", "release.prod", Author("ann", "", ""))


def webhook(text: str) -> str:
    heading = replace(HEADING, author=Author(text, text, text), subjects={NEW: text})
    report = Report("release.prod", plan(text), (result(text),), (text,), resume=text)
    begun, end = notification.begun(heading, plan(text)), notification.ended(heading, report, 2.0)
    off = notification.broken_off(heading, plan(text), [result(text)], AwsError.of("x", text, text))
    return "\n".join(str(each["text"]) for each in (begun, end, off))


def nothing_is_obeyed(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800]", text), text


Shown = Callable[[str], str]
PLAIN: dict[str, Shown] = {
    "stdout": lambda text: told(text, as_json=False),
    "stderr": on_stderr,
    "json": lambda text: told(text, as_json=True),
    "json broken off": broken_off,
    "log as json": lambda text: in_log(text)[0],
    "log aside": lambda text: in_log(text)[1],
    "board": lambda text: plain(boards.sheet(shown_board(text))),  # type: ignore[arg-type]
    "board as json": lambda text: dumped(boards.as_json(shown_board(text)), StringIO()),  # type: ignore[arg-type]
    "history": lambda text: plain(histories.sheet(history(text))),
    "history as json": lambda text: dumped(histories.as_json(history(text)), StringIO()),
    "diff": lambda text: plain(diff.sheet([difference(text)], diff.groups([difference(text)]))),
    "webhook": webhook,
    "html": lambda text: page(shown_board(text)),  # type: ignore[arg-type]
}
KNOWS_SECRETS = ("stdout", "json", "json broken off", "log as json", "log aside", "diff", "webhook")
"""The outputs that know the definitions; an error is veiled before it gets to stderr, as a test below shows."""
_every_word = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@_every_word
@pytest.mark.parametrize("output", PLAIN)
def test_no_terminal_obeys_any_output_and_no_secret_stands_in_it(output: str, text: str):
    shown = PLAIN[output](text)
    nothing_is_obeyed(shown)
    assert "https://user:hunter22" not in shown
    if output in KNOWS_SECRETS:
        assert SECRET not in shown and MADE not in shown, shown


@_every_word
def test_every_json_line_stays_one(text: str):
    for output in ("json", "json broken off", "log as json"):
        lines = [line for line in PLAIN[output](text).splitlines() if line.startswith("{")]
        assert [json.loads(line)["event"] for line in lines][-1] == "summary"


@_every_word
def test_the_page_gets_no_script_style_or_image(text: str):
    tags = Read(page(shown_board(text))).tags  # type: ignore[arg-type]
    assert (tags.count("script"), tags.count("style"), tags.count("img")) == (1, 1, 0)


@_every_word
def test_no_text_mentions_everybody_or_links_anywhere(text: str):
    assert not re.search(r"<[!@#]|<https?://evil", webhook(text))


@_every_word
def test_githubs_log_and_summary_obey_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    def body(_c: Context, json: bool = False) -> None:
        sys.stdout.write(told(text, as_json=json))
        raise RolloutsFailed(Complaint("x", text, text), each=[Complaint(f"envs/{text}.toml:1: x", text, text)])

    task = Reporting(Task(body, name="x"), tmp_path, CommandLine.__new__(CommandLine))
    with pytest.raises(DeployError) as caught:
        task(Context(), json=False)
    out, err = capsys.readouterr()
    log = f"{out}\n{err}\n{caught.value.message}"
    commands = [line for line in log.splitlines() if line.lstrip().startswith("::")]
    assert len(commands) == 1 and commands[0].startswith("::error "), log
    assert "##[" not in log
    nothing_is_obeyed(log)
    markdown = summary.read_text("utf-8")
    nothing_is_obeyed(markdown)
    outside = re.sub(r"(?ms)^(```+)text\n.*?^\1$", "", markdown)
    assert not re.search(r"(?<!\\)<(script|img)|!\[x\]\(|(?<!\\)\[x\]\(http", outside), outside
    assert SECRET not in markdown and MADE not in markdown


@_every_word
def test_gitlabs_log_folds_only_our_sections(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    shown = told(text, as_json=False)
    ours = re.sub(r"\x1b\[0Ksection_(start|end):\d+:release\.prod[^\r]*\r\x1b\[0K", "", shown)
    assert ours != shown
    nothing_is_obeyed(ours)


WAITS = pytest.mark.waits
TOKEN = 'to"ken-of-an-env-var'


@pytest.fixture
def confiding(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The template takes a variable, through a filter, under a name that says nothing."""
    monkeypatch.setenv("GIVEN", TOKEN)
    made = '"command": ["serve", {{ env_var("GIVEN") | upper | tojson }}], "essential"'
    shop.edit("templates/api.json.j2", '"essential"', made)
    return shop


def shows_it(ran: Ran) -> list[str]:
    text = (ran.stdout + ran.stderr).lower()
    return [part for part in (TOKEN, json.dumps(TOKEN)[1:-1], TOKEN[3:12]) if part in text]


@WAITS
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_what_ecs_repeats_of_a_refused_definition_is_not_shown(confiding: Shop, flags: tuple[str, ...]):
    said = f"\x1b]0;owned\x07{TOKEN.upper()[:14]} is not a command, nor is {json.dumps(TOKEN.upper())}"

    def refuse(call: Call) -> CloudError | None:
        return CloudError("ClientException", said) if call.operation == "RegisterTaskDefinition" else None

    confiding.endpoint.fault = refuse
    ran = confiding.inv("deploy.prod", *flags)
    assert (ran.code, shows_it(ran)) == (2, []), ran.stderr
    assert "RegisterTaskDefinition: ClientException: *** is not a command" in ran.stderr
    nothing_is_obeyed(ran.stderr + ran.stdout)


@WAITS
def test_no_diff_plan_or_refusal_of_a_hold_shows_what_a_variable_gave(confiding: Shop, monkeypatch):
    for words in (["deploy.diff", "prod"], ["deploy.diff", "prod", "--json"], ["deploy.prod", "--dry-run"]):
        ran = confiding.inv(*words)
        assert (ran.code in (0, 3), shows_it(ran)) == (True, []), ran.stdout + ran.stderr
    assert confiding.inv("deploy.prod").code == 0
    monkeypatch.setenv("GIVEN", "another-value")
    ran = confiding.inv("deploy.diff", "prod")
    assert (ran.code, shows_it(ran), "another" in ran.stdout.lower()) == (3, [], False), ran.stdout
    assert "*** (before)" in ran.stdout and "*** (after)" in ran.stdout


@WAITS
def test_logs_and_runs_mask_what_a_variable_gave_where_it_is_not_even_set(confiding: Shop, monkeypatch):
    with_log(confiding, 1)
    assert confiding.inv("deploy.prod", "--tenant", "t1").code == 0
    monkeypatch.delenv("GIVEN")
    monkeypatch.setattr(follow_task, "POLL_S", 0.01)
    monkeypatch.setattr(follow_task, "QUIET_S", 0.05)
    script(confiding, exit=1, lines=[f"started with {TOKEN.upper()}"], reason=f"{TOKEN.upper()} was refused")
    words = ("deploy.run", "prod", "--tenant", "t1", "--service", "api")
    for flags in ((), ("--json",)):
        monkeypatch.setattr(sys, "argv", ["inv", *words, *flags, "--", "x"])
        ran = confiding.inv(*words, *flags, "--", "x")
        assert (ran.code, shows_it(ran)) == (1, []), ran.stdout + ran.stderr
        assert "started with ***" in ran.stdout
    assert ran.summary["reason"] == "*** was refused"


@WAITS
def test_a_files_name_is_as_clean_on_stderr_as_on_stdout(shop: Shop):
    shop.commits_config = False
    (shop.root / "envs/x\x1b]0;owned\x07y.toml").write_text("oops = ")
    for task in ("envs.check", "status", "deploy.prod"):
        ran = shop.inv(task)
        assert ran.code == 2 and "xy.toml" in ran.stderr
        nothing_is_obeyed(ran.stderr + ran.stdout)
