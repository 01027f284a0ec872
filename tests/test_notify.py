"""A channel is told of a release; whatever its webhook does, the release neither fails nor waits for long."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from deploytasks import commands, notify
from deploytasks.config.load import load
from deploytasks.errors import NotReady
from deploytasks.model import Ended, Heading, Webhook
from deploytasks.report import notification
from deploytasks.report.notification import Kind, Moment
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop
from tests.hanging import HANGS_S
from tests.webhooks import SECRET, Receiver, listening

pytestmark = pytest.mark.waits
URL = "SLACK_URL"


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    with listening(Receiver()) as listens:
        yield listens


@pytest.fixture
def told(shop: Shop, webhook: Receiver, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop, whose channel is the webhook."""
    tell(shop, f"env:{URL}")
    monkeypatch.setenv(URL, webhook.address)
    return shop


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait for as long as people would."""
    monkeypatch.setattr(notify, "Sender", partial(notify.Sender, timeout_s=0.4))


def tell(shop: Shop, place: str) -> None:
    shop.edit("envs/project.toml", "[services.api]", f'[notify]\nwebhook = "{place}"\n[services.api]')


def notified(ran: Ran) -> list[str]:
    """What the command itself says of its messages; the address is nowhere in all that it says."""
    said = ran.stdout + ran.stderr
    assert SECRET not in said
    assert "Traceback" not in said
    return [line.partition("notify")[2].strip() for line in ran.stdout.splitlines() if line[10:].startswith("notify")]


@pytest.mark.quick
def test_a_release_is_told_at_its_start_and_at_its_end(told: Shop, webhook: Receiver, monkeypatch: pytest.MonkeyPatch):
    for name, value in {"GITHUB_RUN_ID": "7", "GITHUB_ACTOR": "ann", "GITHUB_REPOSITORY": "shop/shop"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://ci.example")
    ran = told.inv("release.prod")
    assert (ran.code, notified(ran)) == (0, [])
    start, end = (message["text"].splitlines() for message in webhook.messages)
    about = [f"commit {told.commits['newer'][:7]} Next", "release prod-20260203T040506Z"]
    by = "by ann, <https://ci.example/shop/shop/actions/runs/7|CI run>"
    assert start == ["▶ *shop prod*: inv release.prod begins", about[0], f"{about[1]}, 2 targets", by]
    assert end[0].startswith("✔ *shop prod*: inv release.prod is done: 2 deployed in ")
    assert end[1:] == [*about, by]
    assert webhook.requests[0]["Content-Type"].startswith("application/json")


def test_one_more_commit_tag_on_an_image_is_not_told(told: Shop, webhook: Receiver):
    told.edit("envs/project.toml", 'context = "."', 'context = "."\npaths = ["templates/**"]')
    told.endpoint.cloud.account(REGISTRY).repositories["api"].push(told.commit())
    assert told.inv("release.dev").code == 0
    webhook.messages.clear()
    told.git("commit", "-q", "--allow-empty", "-m", "Docs")
    assert "api: reused" in told.inv("release.dev").stdout
    assert webhook.messages == []


def test_a_failed_target_is_told_with_its_reason_and_the_command_that_goes_on(told: Shop, webhook: Receiver):
    told.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    assert told.inv("deploy.prod").code == 1
    end = webhook.messages[-1]["text"].splitlines()
    assert end[0].startswith("✖ *shop prod*: inv deploy.prod failed: 1 deployed, 1 failed")
    assert end[3] == "• t2-prod/api failed: UpdateService: AccessDeniedException: said no"
    assert end[4] == "to go on: inv deploy.prod --tenant t2"


def test_every_command_that_changes_a_tier_is_told_and_no_other(told: Shop, webhook: Receiver):
    older = told.commits["older"]
    told.inv("tag.dev", "--commit", older, "--allow-older")
    told.inv("deploy.dev")
    told.inv("release.rollback", "prod", "--to", older)
    done = ["tag.dev", "deploy.dev", "release.rollback prod"]
    assert [first.partition(": inv ")[2].partition(" is done")[0] for first in webhook.firsts[1::2]] == done
    before = len(webhook.messages)
    for words in (["status"], ["deploy.wait", "prod"], ["lock.status"], ["release.history", "prod"], ["build"]):
        told.inv(*words)
    assert len(webhook.messages) == before


def test_a_kind_that_is_added_is_sent_when_it_is_due(told: Shop, webhook: Receiver, monkeypatch: pytest.MonkeyPatch):
    def composed(heading: Heading, now: Moment) -> notification.Message:
        return {"text": f"{heading.command}: {len(now.results)} ended"}

    added = Kind("target", "when a target has ended", lambda now: isinstance(now.event, Ended), composed)
    monkeypatch.setattr(notification, "KINDS", (*notification.KINDS, added))
    assert told.inv("deploy.prod").code == 0
    start, *targets, end = webhook.firsts
    assert targets == ["deploy.prod: 1 ended", "deploy.prod: 2 ended"]
    assert (start[0], end[0]) == ("▶", "✔")
    webhook.messages.clear()
    assert told.inv("deploy.prod", "--force", "--dry-run").code == 0
    assert told.inv("deploy.prod").code == 0
    assert webhook.messages == []


@pytest.mark.parametrize("words", [["release.prod", "--dry-run"], ["--dry", "deploy.prod"], ["tag.prod", "--dry-run"]])
def test_a_dry_run_tells_nobody(told: Shop, webhook: Receiver, words: list[str]):
    assert told.inv(*words).code == 0
    assert webhook.messages == []


def test_what_finds_nothing_to_do_tells_nobody(told: Shop, webhook: Receiver):
    told.inv("release.prod")
    webhook.messages.clear()
    assert told.inv("release.prod").code == 0
    assert webhook.messages == []


def test_what_is_refused_before_its_start_tells_nobody(told: Shop, webhook: Receiver):
    told.inv("lock.acquire", "prod")
    assert told.inv("deploy.prod").code == 2
    assert told.inv("deploy.prod", "--tenant", "t9").code == 2
    assert webhook.messages == []


def test_what_breaks_off_after_its_start_is_told_with_the_reason(told: Shop, webhook: Receiver):
    told.refuse("PutImage", "ServerException")
    older = told.commits["older"]
    assert told.inv("tag.dev", "--commit", older, "--allow-older").code == 1
    text = webhook.messages[-1]["text"]
    assert text.startswith("✖ *shop dev*: inv tag.dev failed\n")
    assert "PutImage: ServerException: said no" in text
    assert f"to go on: inv tag.dev --commit {older} --allow-older" in text


def test_ctrl_c_is_told_too_and_the_lock_is_free_by_then(told: Shop, webhook: Receiver):
    locks: list[int] = []
    webhook.before = lambda _: locks.append(len(told.endpoint.cloud.account(REGISTRY).parameters))
    told.interrupt(lambda call: call.operation == "RegisterTaskDefinition", then=lambda: time.sleep(0.3))
    ran = told.inv("deploy.prod")
    assert (ran.code, notified(ran)) == (130, [])
    text = webhook.messages[-1]["text"]
    assert text.startswith("✖ *shop prod*: inv deploy.prod was interrupted\n")
    assert "prod: interrupted: no tag was moved and no service touched" in text
    assert locks == [1, 0]


def test_with_json_the_webhook_is_called_too_and_stdout_is_json_alone(told: Shop, webhook: Receiver):
    webhook.status, webhook.says = 500, "rollup_error"
    ran = told.inv("deploy.prod", "--json")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    said = [event["message"] for event in events if event.get("step") == "notify"]
    assert said == [f"the {what} could not be sent: it answered 500 rollup_error" for what in ("start", "end")]
    assert (ran.code, events[-1]["event"]) == (0, "summary")


@pytest.mark.parametrize("place", ["ssm:/shop/slack", "secretsmanager:shop/slack"])
def test_the_address_is_a_secret_that_the_registrys_account_keeps(shop: Shop, webhook: Receiver, place: str):
    tell(shop, place)
    account = shop.endpoint.cloud.account(REGISTRY)
    account.secrets["shop/slack"] = f"{webhook.address}\n"
    account.parameters["/shop/slack"] = {"Name": "/shop/slack", "Type": "SecureString", "Value": webhook.address}
    ran = shop.inv("deploy.prod")
    assert (ran.code, notified(ran), len(webhook.messages)) == (0, [], 2)
    assert shop.endpoint.operations()["GetSecretValue"] == (0 if place.startswith("ssm") else 1)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("env:NOT_SET", "notify.webhook: the variable NOT_SET is not set"),
        ("ssm:/no/such", "parameter /no/such: GetParameter: ParameterNotFound: no reason given"),
        (
            "secretsmanager:no/such",
            "secret no/such: GetSecretValue: ResourceNotFoundException: "
            "Secrets Manager can't find the specified secret.",
        ),
    ],
)
def test_an_address_that_is_not_found_is_said_once_and_the_release_goes_on(shop: Shop, place: str, why: str):
    tell(shop, place)
    ran = shop.inv("deploy.prod")
    assert (ran.code, notified(ran)) == (0, [f"no notification is sent: {why}"])
    assert shop.writes() == {"RegisterTaskDefinition": 2, "TagResource": 2, "UpdateService": 2}


def test_a_secret_of_another_account_than_the_registrys_is_not_read(shop: Shop):
    shop.edit("envs/project.toml", f'account = "{REGISTRY}"', 'account = "999999999999"')
    with pytest.raises(NotReady, match="the file says 999999999999"):
        commands.address(load(shop.root), Webhook("ssm", "/shop/slack"))
    assert "GetParameter" not in shop.endpoint.operations()


@pytest.mark.parametrize(
    ("status", "says", "why"),
    [
        (500, "", "it answered 500"),
        (404, "no_service", "it answered 404 no_service"),
        (403, f"<html>/services/{SECRET} is forbidden</html>", "it answered 403"),
        (302, "", "it answered 302"),
    ],
)
def test_a_bad_answer_is_one_line_for_each_message(told: Shop, webhook: Receiver, status: int, says: str, why: str):
    webhook.status, webhook.says = status, says
    ran = told.inv("deploy.prod")
    assert (ran.code, len(webhook.messages)) == (0, 2)
    assert notified(ran) == [f"the {what} could not be sent: {why}" for what in ("start", "end")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_message(webhook: Receiver, status: int):
    with listening(Receiver()) as elsewhere:
        webhook.status, webhook.headers = status, {"Location": elsewhere.address}
        assert notify.post(webhook.address, {"text": "x"}) == f"it answered {status}"
        assert (len(webhook.messages), elsewhere.messages) == (1, [])


def test_nobody_who_listens_is_said(told: Shop, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv(URL, f"http://127.0.0.1:{port}/{SECRET}")
    ran = told.inv("deploy.prod")
    why = "connection refused"
    assert (ran.code, notified(ran)) == (0, [f"the {what} could not be sent: {why}" for what in ("start", "end")])


@pytest.mark.parametrize(
    "address",
    [
        f"hooks.slack.example/{SECRET}",
        f"http://192.0.2.1/{SECRET}",
        f"http://localhost.example/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"file:///etc/{SECRET}",
        f"https:///{SECRET}",
        f"https://[::1/{SECRET}",
        f"https://ann:{SECRET}@hooks.example/",
        f"https://hooks.example/{SECRET} x",
        f"https://hooks.example/{SECRET}\r\nHost: evil.example",
    ],
)
def test_what_is_no_https_address_is_never_asked(address: str):
    assert notify.post(address, {"text": "x"}) == "the address found is not an https:// URL"


def test_a_host_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, f"{SECRET} is not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert notify.post(f"https://hooks.example/{SECRET}", {"text": "x"}) == "its host is not known"


def test_what_is_no_tls_is_said(webhook: Receiver):
    assert notify.post(webhook.address.replace("http:", "https:"), {"text": "x"}) == "no TLS connection could be made"


def test_a_proxy_is_asked_for_https_and_never_for_this_machine(webhook: Receiver, monkeypatch: pytest.MonkeyPatch):
    with listening(Receiver()) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert notify.post(webhook.address, {"text": "x"}) == ""
        assert notify.post(f"https://hooks.example/{SECRET}", {"text": "x"}) == "OSError"  # it does not tunnel
        assert (len(webhook.messages), proxy.messages) == (1, [])


def test_a_webhook_that_hangs_holds_a_process_up_for_no_more_than_five_seconds_and_dies_with_it(
    told: Shop, webhook: Receiver
):
    webhook.hold = Event()
    told.commit()
    command = [str(Path(sys.executable).with_name("inv")), "deploy.prod"]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        command,
        cwd=told.root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out, err = process.communicate(timeout=HANGS_S)
    ran = Ran(process.returncode, out, err)
    assert (ran.code, ran.stderr) == (0, "")
    ended_at = [clock(line) for line in out.splitlines() if " deployed in " in line and line[2:3] == ":"]
    said_at = [clock(line) for line in out.splitlines() if line[10:].startswith("notify")]
    assert said_at[-1] - ended_at[-1] <= 15
    assert notified(ran)[-1] in (
        "the webhook was given 5 s, and is not waited for any longer",
        "the start could not be sent: it did not answer in time",
    )


def clock(line: str) -> int:
    """The seconds of the day at which a line was written."""
    hours, minutes, seconds = line[:8].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def test_the_lock_is_not_held_while_the_webhook_is_called(told: Shop, webhook: Receiver, impatient: None):
    locks: list[int] = []
    webhook.before = lambda _: locks.append(len(told.endpoint.cloud.account(REGISTRY).parameters))
    assert told.inv("deploy.prod").code == 0
    assert locks == [1, 0]


def test_the_start_is_told_while_the_release_goes_on(told: Shop, webhook: Receiver):
    webhook.hold = Event()
    let_go = webhook.hold.set
    told.endpoint.fault = lambda call: let_go() if call.operation == "UpdateService" else None
    ran = told.inv("deploy.prod")
    assert (ran.code, len(webhook.messages)) == (0, 2)
    assert "the start could not be sent: it did not answer in time" not in notified(ran)


def test_ctrl_c_with_a_webhook_that_hangs_ends_all_the_same(told: Shop, webhook: Receiver, impatient: None):
    webhook.hold = Event()
    told.interrupt(lambda call: call.operation == "UpdateService", then=lambda: time.sleep(0.2))
    began = time.monotonic()
    ran = told.inv("deploy.prod")
    assert (ran.code, time.monotonic() - began < HANGS_S / 2) == (130, True)
    assert "interrupted: " in ran.stderr
    assert notified(ran) != []
    assert not told.endpoint.cloud.account(REGISTRY).parameters


def test_ctrl_c_while_only_the_webhook_is_waited_for_still_shows_the_report(told: Shop, webhook: Receiver):
    def interrupt(message: dict[str, str]) -> None:
        if "is done" in message["text"]:
            webhook.hold = Event()
            os.kill(os.getpid(), signal.SIGINT)

    webhook.before = interrupt
    ran = told.inv("deploy.prod")
    assert ran.code == 130
    assert "2 deployed" in ran.stdout
    notified(ran)


def broken(*_: object) -> str:
    raise ValueError(f"https://hooks.example/{SECRET}")


def test_no_mistake_of_ours_is_worth_a_release():
    said: list[str] = []
    for find, compose in [(broken, dict), (lambda: "https://x.example", broken)]:
        sender = notify.Sender(find, said.append, timeout_s=5)
        sender.send("the start", compose)
        sender.close()
    assert said == ["no notification is sent: ValueError", "the start could not be sent: ValueError"]


def test_a_listener_that_fails_fails_nobody_and_nothing_is_told_after_the_end(webhook: Receiver):
    sender = notify.Sender(broken, broken)
    sender.send("the start", dict)
    sender.close()
    said: list[str] = []
    webhook.hold = Event()
    slow = notify.Sender(lambda: webhook.address, said.append, timeout_s=0.2)
    slow.send("the start", dict)
    slow.close()
    webhook.hold.set()
    time.sleep(0.3)
    assert len(said) == 1
