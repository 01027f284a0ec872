"""Credentials of one tenant that can't be obtained are that tenant's trouble; a wrong clock is called by its name."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from deploytasks.aws import credential_process
from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError
from tests.cloud import wire
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.proxy import Proxy, Rule, Say

TWO = tenant_account(2)
PROCESS = "credential_process = "
SECRET = "hvs.Xs3cr3tX9"
BROKEN = {
    "a program that is not installed": (f"{PROCESS}no-such-program-at-all --json", "FileNotFoundError"),
    "a program that is not named": (PROCESS, "nothing, the credential_process of profile two, can't be run"),
    "a program that is not executable": (f"{PROCESS}{__file__} --json", f"Permission denied: '{__file__}'"),
    "a program that fails": (
        f"{PROCESS}{sys.executable} -c 'raise SystemExit(\"{SECRET}\")'",
        f"{sys.executable}, the credential_process of profile two, exited with 1; what it printed is not shown",
    ),
    "a program that hangs": (
        f"{PROCESS}sleep 600",
        "sleep, the credential_process of profile two, did not end in 0.5 s",
    ),
    "a program that hangs, of a role's source": (
        f"role_arn = arn:aws:iam::111111111111:role/x\nsource_profile = vault\n[profile vault]\n{PROCESS}sleep 600",
        "sleep, the credential_process of profile vault, did not end in 0.5 s",
    ),
    "a program that says nonsense": (f"{PROCESS}echo {SECRET}", "printed 14 bytes that are not the JSON object"),
    "a program that says a list": (f"{PROCESS}echo [1]", "printed 4 bytes that are not the JSON object"),
    "a program that never stops talking": (f"{PROCESS}yes {SECRET}", "printed more than 1,048,576 bytes"),
    "a program that says something else": (f"{PROCESS}echo '{{\"Version\": 1}}'", "Missing required key"),
    "a token file that is missing": (
        "role_arn = arn:aws:iam::111111111111:role/x\nweb_identity_token_file = /no/such/token",
        "FileNotFoundError",
    ),
    "a session that nobody opened": (
        "sso_session = s\nsso_account_id = 111111111111\nsso_role_name = x\n[sso-session s]\nsso_region = us-east-1\n"
        "sso_start_url = https://sso.example",
        "aws sso login",
    ),
    "a source that is not there": ("role_arn = arn:aws:iam::111111111111:role/x\nsource_profile = nobody", "nobody"),
    "no such profile, of a role": (None, "aws configure --profile"),
}


@pytest.fixture(params=BROKEN)
def said(request: pytest.FixtureRequest, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The second tenant signs in with a profile that does not work; what is said of that."""
    section, expected = BROKEN[request.param]
    config = tmp_path / "aws-config"
    config.write_text(f"[profile two]\n{section}\n" if section else "")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    if "hangs" in request.param:  # all others end by themselves, on a busy machine after a while
        monkeypatch.setattr(credential_process, "PROCESS_S", 0.5)
    role = f'role = "arn:aws:iam::{TWO}:role/deploy"'
    shop.edit("envs/t2.toml", role, f'{role}\nprofile = "two"' if "role" in request.node.name else 'profile = "two"')
    return expected


def test_that_tenant_is_unseen_and_the_others_are_seen(shop: Shop, said: str):
    ran = shop.inv("status", "--json")
    cells = [json.dumps(cell) for cell in json.loads(ran.stdout)["cells"]]
    assert {said in cell for cell in cells if "t2" in cell} == {True}
    assert {said in cell for cell in cells if "t2" not in cell} == {False}
    assert "unforeseen" not in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_deploy_is_refused_with_one_complaint_of_it_and_goes_on_without_it(shop: Shop, said: str):
    refused = shop.inv("deploy.prod")
    assert (refused.code, shop.writes()) == (2, {})
    (line,) = [each for each in refused.stderr.splitlines() if not each.startswith(" ")]
    assert line.startswith("t2-prod: account ") and said in refused.stderr
    assert "Traceback" not in refused.stderr and "unforeseen" not in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr
    assert shop.inv("deploy.prod", "--exclude", "t2", "--dry-run").code == 0


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_of_credentials_that_cannot_be_parsed_is_to_be_mended(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    file = tmp_path / "spoilt"
    file.write_text("[default\nregion = eu-west-1\n")
    monkeypatch.setenv(name, str(file))
    refused = shop.inv("deploy.prod")
    assert (refused.code, shop.writes()) == (2, {})
    assert f"Unable to parse config file: {file}\n    fix that file, or name another one by " in refused.stderr


def signed(code: str, message: str, ahead: timedelta | None) -> str:
    date = {} if ahead is None else {"date": format_datetime(datetime.now(UTC) - ahead, usegmt=True)}
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPHeaders": date}}
    with pytest.raises(AwsError) as caught, translated("account 1"):
        raise ClientError(answer, "DescribeServices")  # type: ignore[arg-type]
    return caught.value.complaints[0].to_do


@pytest.mark.parametrize(
    ("code", "message", "ahead", "to_do"),
    [
        ("SignatureDoesNotMatch", "Signature expired: …", timedelta(minutes=17), "clock is 17m ahead"),
        ("InvalidSignatureException", "Signature not yet current", timedelta(hours=-2), "clock is 2h behind"),
        ("RequestTimeTooSkewed", "The difference is too large.", timedelta(minutes=6), "clock is 6m ahead"),
        ("RequestExpired", "Request has expired.", timedelta(minutes=-30), "clock is 30m behind"),
        ("InvalidSignatureException", "Signature expired: …", None, "clock is off"),
        ("SignatureDoesNotMatch", "The signature we calculated …", timedelta(seconds=2), "sign in again"),
        ("InvalidSignatureException", "The signature we calculated …", None, "sign in again"),
        ("RequestExpired", "expired", timedelta(seconds=2), "sign in again"),
    ],
)
def test_a_signature_that_is_refused_by_a_wrong_clock_says_by_how_much_it_is_off(
    code: str, message: str, ahead: timedelta | None, to_do: str
):
    assert to_do in signed(code, message, ahead)


@pytest.mark.waits
def test_whoever_deploys_with_a_wrong_clock_is_told(shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "formatdate", lambda usegmt: formatdate(time.time() - 15 * 60, usegmt=usegmt))
    skewed = Say("SignatureDoesNotMatch", "Signature expired: 20261128T060000Z is now earlier than 20261128T061500Z")
    proxy.rules = (Rule(skewed, "AssumeRole", TWO),)
    ran = shop.inv("deploy.prod")
    assert (ran.code, "this machine's clock is 15m ahead: set it" in ran.stderr) == (2, True)
