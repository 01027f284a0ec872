"""However a profile's credentials are fetched, it has a deadline, and nobody else waits for it."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, RefreshableCredentials, SSOProvider
from botocore.exceptions import CredentialRetrievalError

from deploytasks.aws import credential_process, credentials, transport
from deploytasks.aws.credential_process import Program
from deploytasks.aws.credentials import ProfileCredentials
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author
from tests.hanging import HANGS_S, until

pytestmark = pytest.mark.waits
START = "https://sso.example/start"
ROLE = "role_arn = arn:aws:iam::111111111111:role/x\nrole_session_name = tests\n"
KEYS = "aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = x"
WAYS = {
    "the container's metadata": f"{ROLE}credential_source = EcsContainer",
    "the instance's metadata": f"{ROLE}credential_source = Ec2InstanceMetadata",
    "IAM Identity Center": f"sso_start_url = {START}\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = x",
    "a role": f"{ROLE}source_profile = keys\n[profile keys]\n{KEYS}",
    "a web identity": f"{ROLE}web_identity_token_file = ",
}


@pytest.fixture
def slow_server() -> Iterator[str]:
    """The address of a server that sends a byte of its answer now and then, and never ends."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, over), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()


def _serve(server: socket.socket, over: threading.Event) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=_drip, args=(server.accept()[0], over), daemon=True).start()


def _drip(connection: socket.socket, over: threading.Event) -> None:
    with suppress(OSError), connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.1):
            connection.sendall(b" ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_server: str) -> Path:
    """A home whose profiles' credentials all come from the slow server."""
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    for name in ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.setenv(name, slow_server)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    (tmp_path / "token").write_text("token")
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = {"startUrl": START, "region": "us-east-1", "accessToken": "x", "expiresAt": ends}
    (tmp_path / f"{sha1(START.encode()).hexdigest()}.json").write_text(json.dumps(token))
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_a_fetch_that_drips_is_given_up_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch, way: str):
    monkeypatch.setattr(credentials, "FETCH_S", 0.6)
    section = WAYS[way] + (str(folder / "token") if way == "a web identity" else "")
    (folder / "config").write_text(f"[profile two]\n{section}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    began = time.monotonic()
    with pytest.raises(AwsError, match=r"profile two: they did not come in 0.6 s\n    fix profile two"):
        Clients(Author("x")).account(Access(account="1", region="us-east-1", profile="two"))
    assert time.monotonic() - began < 60


def of(load: object, stopped: threading.Event | None = None, told: list[str] | None = None) -> ProfileCredentials:
    tell = ([] if told is None else told).append
    return ProfileCredentials("two", load, stopped or threading.Event(), tell)  # type: ignore[arg-type]


def test_of_many_who_need_the_same_profile_one_fetches_and_all_hear_that_it_failed():
    asking, asked = list[int](), list[int]()

    def load() -> None:
        asked.append(1)
        until(lambda: len(asking) == 8)
        time.sleep(0.2)
        raise CredentialRetrievalError(provider="x", error_msg="no vault")

    heard, keys = list[str](), of(load)

    def ask() -> None:
        asking.append(1)
        try:
            keys.get_frozen_credentials()
        except CredentialRetrievalError as error:
            heard.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(asked), len(heard), len(set(heard))) == (1, 8, 1)


def test_a_fetch_that_takes_long_is_told_of_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credentials, "TOLD_AFTER_S", 0.1)
    told = list[str]()

    def load() -> Credentials:
        until(lambda: told)
        time.sleep(0.3)
        return Credentials("AKIA", "x")

    keys = of(load, told=told)
    assert keys.get_frozen_credentials().access_key == keys.get_frozen_credentials().access_key == "AKIA"
    assert told == ["the credentials of profile two are waited for"]


@pytest.fixture
def hang() -> Iterator[Callable[[], object]]:
    """A fetch that ends only with the test."""
    over = threading.Event()
    yield lambda: over.wait(HANGS_S)
    over.set()


def test_an_interruption_does_not_wait_for_a_fetch(hang: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credentials, "GRACE_S", 0.1)
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(transport.Abandoned):
        of(hang, stopped).get_frozen_credentials()
    assert time.monotonic() - began < HANGS_S / 2


@pytest.mark.parametrize(("left_s", "fails"), [(3600, False), (840, False), (300, True)])
def test_credentials_that_still_last_serve_where_their_renewal_hangs(
    hang: Any, monkeypatch: pytest.MonkeyPatch, left_s: int, *, fails: bool
):
    monkeypatch.setattr(credentials, "FETCH_S", 0.3)
    ends = datetime.now(UTC) + timedelta(seconds=3600)
    found = RefreshableCredentials("AKIA", "x", "t", ends, hang, "test")
    keys = of(lambda: found)
    assert keys.get_frozen_credentials().access_key == "AKIA"
    found._expiry_time = datetime.now(UTC) + timedelta(seconds=left_s)
    began = time.monotonic()
    if fails:
        with pytest.raises(CredentialRetrievalError):
            keys.get_frozen_credentials()
    else:
        assert [keys.get_frozen_credentials().access_key for _ in range(20)] == ["AKIA"] * 20
    assert time.monotonic() - began < HANGS_S / 2


def run(script: str, stopped: threading.Event | None = None) -> bytes:
    return Program("two", ["sh", "-c", script], stopped or threading.Event()).communicate()[0]


def test_a_program_that_leaves_another_one_behind_has_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(credential_process, "PROCESS_S", HANGS_S)
    left = tmp_path / "left"
    assert run(f"sleep 600 & echo $! > {left}; echo '{{}}'") == b"{}\n"
    os.kill(int(left.read_text()), 15)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(credential_process, "PROCESS_S", 2)
    monkeypatch.setattr(credential_process, "_has_terminal", lambda: False)
    left = tmp_path / "left"
    with pytest.raises(CredentialRetrievalError, match=r"did not end in 2 s, and was ended"):
        run(f"sleep 600 & echo $! > {left}; wait")
    until(lambda: is_gone(int(left.read_text())))


def test_a_program_ends_with_an_interruption():
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(CredentialRetrievalError, match="was ended by an interruption"):
        run("exec sleep 600", stopped)
    assert time.monotonic() - began < HANGS_S


def is_gone(pid: int) -> bool:
    """Whether the process has ended, or is a corpse that nobody has buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
