"""What no report may do: tell a secret, obey hostile text, die of a reader who left, load rich for JSON."""

import json
import os
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.model import DeadTask, Ended, Plan, Planned, Report, Steps, Told
from deploytasks.report import plan, results
from deploytasks.report.plain import plain
from deploytasks.report.progress import reporter_for
from deploytasks.report.secrets import looks_secret
from deploytasks.report.streams import OutputStream, show_json
from deploytasks.report.text import duration, harmless, one_line, short_commit, short_image
from tests.reports.situations import DIGEST, HOST, NEW, PROD, ended, fitted_to, live, target, ticking, update

_ENV = {"PLAIN_SETTING": "value-of-a-setting", "API_TOKEN": "value-of-a-token"}
_REFERENCE = "arn:aws:secretsmanager:us-east-1:222222222222:secret:never-shown"


def told_everything(*, as_json: bool) -> str:
    """All that a run with values in every place of every definition puts on its stream."""
    of = replace(
        target(), env={"FILE_PASSWORD": "value-of-a-password"}, secrets={"DB": _REFERENCE}, vars={"x": "value-of-a-var"}
    )
    running = {"containerDefinitions": [{"environment": [{"name": "OLD_SECRET", "value": "value-of-old"}]}]}
    rollout = replace(update(of, env=_ENV), create={"x": "value-of-create"}, live=replace(live(of), definition=running))
    made = Plan(PROD, waves=((rollout,),), notes=("noted: value-of-a-token",))
    log = ("token=value-of-a-token", "value-of-a-password", "value-of-old")
    fell = ended(
        of, "failed", detail="value-of-a-token", tasks=(DeadTask("0a", "value-of-old", ("value-of-old",), log),)
    )
    stdout = StringIO()
    with reporter_for("deploy.prod", stdout, as_json=as_json, clock=ticking()) as tell:
        tell(Planned(made))
        tell(Told("register", "with value-of-a-token"))
        tell(Ended(fell))
        tell.finish(Report("deploy.prod", made, (fell,), ("value-of-a-token",)))
    return stdout.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_no_value_of_a_definition_is_ever_shown(as_json):
    text = told_everything(as_json=as_json)
    assert "value-of" not in text
    assert "never-shown" not in text
    assert "token=***" in text


def test_the_plan_shows_names_of_no_variable():
    made = Plan(PROD, waves=((update(target(), env=_ENV),),))
    shown = plain(plan.sheet(made)) + json.dumps(plan.as_json(made))
    assert not any(word in shown for pair in _ENV.items() for word in pair)


COMMANDS = (
    ("./manage", "migrate", "--password", "value-of-flag", "--user", "app"),
    ("sh", "-c", "API_TOKEN=value-of-variable ./seed --dsn=value-of-dsn"),
    ("./load", "postgres://app:value-of-address@db/x", "value-of-a-token", "--pw", "pw1"),
)
SAID = (
    "./manage migrate --password '***' --user app; sh -c 'API_TOKEN=*** ./seed --dsn=***'; "
    "./load 'postgres://app:***@db/x' '***' --pw '***'"
)


def test_the_commands_before_a_deploy_are_shown_without_their_secrets():
    rollout = replace(update(target(), env=_ENV), steps=Steps("key", COMMANDS))
    made, stdout = Plan(PROD, waves=((rollout,),)), StringIO()
    assert f" has not run for this image: {SAID}\n" in plain(plan.sheet(made))
    shown = plan.as_json(made)["waves"][0][0]["before"]
    assert shown[0] == ["./manage", "migrate", "--password", "***", "--user", "app"]
    assert "value-of" not in json.dumps(shown) and "pw1" not in json.dumps(shown)
    with reporter_for("deploy.prod", stdout, as_json=True, clock=ticking()) as tell:
        tell(Planned(made))
        tell(Told("step", f"step 1 of 3, {' '.join(COMMANDS[0])}: it runs"))
        tell(Told("step", f"step 2 of 3, {' '.join(COMMANDS[1])}: it runs"))
        tell.finish(Report("deploy.prod", made, resume=f"before_deploy failed: {' '.join(COMMANDS[2])}"))
    assert "value-of" not in stdout.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "API_KEY",
        "apiToken",
        "SENTRY_DSN",
        "token",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "MYSQLPASSWORD",
        "ROOTPASSWORD",
        "ACCESSTOKEN",
        "SECRETKEY",
        "API_KEYS",
        "ENCRYPTION_KEYS",
        "DB_PW",
        "PRIVATE_PEM",
        "COOKIE_SALT",
        "APIKEY",
    ],
)
def test_names_that_look_secret(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name", ["LOG_LEVEL", "KEYBOARD", "TOKENIZER", "COMPASS", "AUTHOR", "MONKEY", "PASSENGERS", "POWER"]
)
def test_names_that_do_not_look_secret(name):
    assert not looks_secret(name)


@given(st.text())
def test_harmless_text_holds_nothing_that_a_terminal_obeys(text):
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in harmless(text))
    assert "\n" not in one_line(text)


@given(st.text())
def test_harmless_text_is_left_alone(text):
    assert harmless(harmless(text)) == harmless(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=":@")))
def test_plain_words_are_never_changed(text):
    assert harmless(text) == text


@given(name=st.text(min_size=1), width=st.integers(20, 120))
def test_whatever_a_tenant_is_called_every_table_can_be_painted(name, width):
    report = Report("x", Plan(PROD, waves=((update(target(name)),),)), (ended(target(name), "failed", detail=name),))
    assert fitted_to(plan.sheet(report.plan), width) + fitted_to(results.sheet(report), width)


class Closed(StringIO):
    """A stream whose reader has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise BrokenPipeError


def test_a_reader_who_leaves_does_not_stop_the_work():
    stdout = Closed()
    stream = OutputStream(stdout)
    stream.write("a")
    stream.write("b")
    assert stdout.attempts == 1


_TELLS_MUCH = """
import sys
from deploytasks.model import Told
from deploytasks.report.progress import reporter_for
with reporter_for("x", sys.stdout, as_json={as_json}) as tell:
    for number in range(3_000):
        tell(Told("build", "a line of output", "api"))
print("came to its end", file=sys.stderr)
"""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_broken_pipe_leaves_no_traceback(as_json):
    read, write = os.pipe()
    script = _TELLS_MUCH.format(as_json=as_json)
    with subprocess.Popen([sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        os.read(read, 100)
        os.close(read)
        assert process.stderr is not None
        assert process.stderr.read() == "came to its end\n"
    assert process.returncode == 0


def test_a_stream_of_few_letters_is_written_to_all_the_same():
    raw = BytesIO()
    narrow = TextIOWrapper(raw, encoding="ascii")
    OutputStream(narrow).write("a → b\n")
    show_json({"by": "Zoë"}, narrow)
    assert raw.getvalue() == b'a \\u2192 b\n{\n  "by": "Zo\\u00eb"\n}\n'


@pytest.mark.parametrize(
    "module", ["json_lines", "progress", "streams", "plan", "results", "board", "images", "settings", "locks"]
)
def test_json_is_written_without_rich(module):
    script = f"import sys, deploytasks.report.{module}; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_plain_lines_need_of_rich_only_the_widths_of_characters():
    script = "import sys, deploytasks.report.lines; sys.exit(bool({'rich.console', 'rich.text'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, ""), (0.2, "0s"), (59.4, "59s"), (59.6, "1m00s"), (187, "3m07s"), (3720, "1h02m")]
)
def test_durations_are_short(seconds, expected):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (f"{HOST}/team/api@{DIGEST}", "team/api@sha256:abababababab"),
        ("localhost:5000/api:dev", "api:dev"),
        ("team/api:dev", "team/api:dev"),
    ],
)
def test_images_are_named_without_their_registry(image, expected):
    assert short_image(image) == expected


def test_an_image_without_a_commit_is_called_by_its_digest():
    assert (short_commit(DIGEST), short_commit(NEW)) == ("sha256:abababababab", "1a2b3c4")
