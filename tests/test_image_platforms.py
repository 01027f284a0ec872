"""What an image in ECR is built for is compared with what a changed definition asks for, before the first write."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploytasks.aws import ecr
from deploytasks.errors import AwsError as Refused
from deploytasks.model import Platform
from tests import clients
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecr import SIGNATURE, Repository
from tests.cloud.endpoint import Endpoint
from tests.commands import REGISTRY, Shop

pytestmark = pytest.mark.waits
INDEX = "application/vnd.oci.image.index.v1+json"
ASKED = ("GetDownloadUrlForLayer", "GetObject")
FARGATE = '"requiresCompatibilities": ["FARGATE"],'
ARM = f'{FARGATE}\n  "runtimePlatform": {{"cpuArchitecture": "ARM64"}},'
Ship = Callable[[Repository, str], str]


def plain(platform: str) -> Ship:
    return lambda repository, commit: repository.push(commit, platform).digest


def index(*platforms: dict[str, str] | None) -> Ship:
    """An index of images of these platforms; None names none."""

    def ship(repository: Repository, commit: str) -> str:
        children = [
            {"digest": f"sha256:{number:064x}", **({"platform": platform} if platform else {})}
            for number, platform in enumerate(platforms)
        ]
        said = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        repository.tags[commit] = repository.store(json.dumps(said), INDEX).digest
        return repository.tags[commit]

    return ship


def ship(shop: Shop, image: Ship) -> Repository:
    """The newer commit's image is another, wherever a tag names it."""
    repository: Repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    before = repository.tags[shop.commits["newer"]]
    after = image(repository, shop.commits["newer"])
    repository.tags |= {tag: after for tag, digest in repository.tags.items() if digest == before}
    return repository


def asked(shop: Shop) -> list[int]:
    counted = shop.endpoint.operations()
    return [counted[operation] for operation in ASKED]


AMD = {"os": "linux", "architecture": "amd64"}
ARM_8 = {"os": "linux", "architecture": "arm64", "variant": "v8"}
ATTESTATION = {"os": "unknown", "architecture": "unknown"}
UNFIT: dict[str, tuple[Ship, str, str, list[int]]] = {
    "Fargate's default, and an arm64 image": (
        plain("linux/arm64"),
        FARGATE,
        "templates/api.json.j2:1: t1-prod/api, t2-prod/api: cpuArchitecture is X86_64, Fargate's default, but the "
        "image api@{digest} (commit {commit}) is for linux/arm64",
        [1, 1],
    ),
    "ARM64, and an amd64 image": (
        plain("linux/amd64"),
        ARM,
        "templates/api.json.j2:5: t1-prod/api, t2-prod/api: runtimePlatform.cpuArchitecture: ARM64, but the image "
        "api@{digest} (commit {commit}) is for linux/amd64",
        [1, 1],
    ),
    "ARM64, and an index of amd64": (index(AMD, ATTESTATION), ARM, "is for linux/amd64\n", [0, 0]),
    "Fargate's default, and an index of arm64": (index(ARM_8, ATTESTATION), FARGATE, "is for linux/arm64/v8\n", [0, 0]),
    "Linux, and a Windows image": (
        plain("windows/amd64"),
        FARGATE,
        "operatingSystemFamily is LINUX, Fargate's default, but the image api@{digest} (commit {commit}) is for "
        "windows/amd64",
        [1, 1],
    ),
}


@pytest.mark.parametrize("task", ["deploy.prod", "release.prod", "deploy.register prod"])
@pytest.mark.parametrize(("image", "platform", "message", "calls"), UNFIT.values(), ids=UNFIT)
def test_an_image_for_another_platform_is_refused_before_anything_is_written(
    shop: Shop, task: str, image: Ship, platform: str, message: str, calls: list[int]
):
    digest = ship(shop, image).tags[shop.commits["newer"]]
    shop.edit("templates/api.json.j2", FARGATE, platform)
    ran = shop.inv(*task.split())
    assert (ran.code, shop.writes(), asked(shop)) == (2, {}, calls)
    assert message.format(digest=digest[:19], commit=shop.commits["newer"][:7]) in ran.stderr


FIT: dict[str, tuple[Ship, str, list[int]]] = {
    "Fargate's default": (plain("linux/amd64"), FARGATE, [1, 1]),
    "ARM64": (plain("linux/arm64"), ARM, [1, 1]),
    "one of an index": (index(ARM_8, AMD), FARGATE, [0, 0]),
    "another of it": (index(ARM_8, AMD, ATTESTATION), ARM, [0, 0]),
    "EC2, of which nothing is known": (plain("linux/arm64"), '"requiresCompatibilities": ["EC2"],', [0, 0]),
}


@pytest.mark.parametrize(("image", "platform", "calls"), FIT.values(), ids=FIT)
def test_an_image_that_runs_there_is_let_through_and_read_once(
    shop: Shop, image: Ship, platform: str, calls: list[int]
):
    ship(shop, image)
    shop.edit("templates/api.json.j2", FARGATE, platform)
    ran = shop.inv("deploy.prod", "--no-wait")
    assert (ran.code, asked(shop)) == (0, calls), ran.stderr
    assert "not checked" not in ran.stdout + ran.stderr


def test_nothing_is_read_where_nothing_changes(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    shop.endpoint.calls.clear()
    ran = shop.inv("deploy.prod")
    assert (ran.code, asked(shop)) == (0, [0, 0])


def test_a_tag_that_moved_to_an_image_for_another_platform_is_refused(shop: Shop):
    assert shop.inv("deploy.dev").code == 0
    ship(shop, plain("linux/arm64"))
    shop.endpoint.calls.clear()
    ran = shop.inv("deploy.dev")
    assert (ran.code, shop.writes()) == (2, {}) and "is for linux/arm64" in ran.stderr


def test_an_image_that_is_still_to_be_built_is_judged_by_its_settings(shop: Shop):
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\nplatforms = ["linux/arm64"]')
    ran = shop.inv("release.dev")
    assert (ran.code, shop.writes(), asked(shop)) == (2, {}, [0, 0])
    assert "the image (envs/project.toml: images.api.platforms) is for linux/arm64" in ran.stderr


def test_what_is_in_ecr_is_believed_whatever_the_settings_say_now(shop: Shop):
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\nplatforms = ["linux/arm64"]')
    assert shop.inv("deploy.prod", "--no-wait").code == 0


def _denied(shop: Shop) -> None:
    shop.refuse("GetDownloadUrlForLayer", "AccessDeniedException")


def _forbidden(shop: Shop) -> None:
    def fault(call: Call) -> AwsError | None:
        return AwsError("AccessDenied", "Access Denied", 403) if call.operation == "GetObject" else None

    shop.endpoint.fault = fault


def _holding(content: bytes | None) -> Callable[[Shop], None]:
    """The config blob holds something else."""

    def spoil(shop: Shop) -> None:
        blobs = shop.endpoint.cloud.account(REGISTRY).repositories["api"].blobs
        for digest in list(blobs):
            del blobs[digest]
            if content is not None:
                blobs[digest] = content

    return spoil


UNREAD: dict[str, tuple[Callable[[Shop], object], str]] = {
    "denied": (_denied, "GetDownloadUrlForLayer: AccessDeniedException"),
    "no such layer": (_holding(None), "GetDownloadUrlForLayer: LayersNotFoundException"),
    "forbidden by S3": (_forbidden, "config blob: HTTP 403"),
    "other bytes": (_holding(b"{}"), "the config blob has another digest"),
    "too many bytes": (_holding(b" " * (1 << 20) + b"{}"), "config blob: more than 1,048,576 bytes"),
    "an index that does not tell": (lambda shop: ship(shop, index(AMD, None)), "the manifest does not tell"),
}


@pytest.mark.parametrize(("spoil", "why"), UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_read_is_one_note_and_refuses_nothing(shop: Shop, spoil: Callable[[Shop], None], why: str):
    spoil(shop)
    ran = shop.inv("deploy.prod", "--no-wait")
    said = ran.stdout + ran.stderr
    assert ran.code == 0 and said.count("not checked: ") == 1
    assert f"not checked: the platform of 1 image ({why})" in said and SIGNATURE not in said


class Server(ThreadingHTTPServer):
    """Hands out what it is given, and keeps the headers that it was sent; `drips` answers without an end."""

    daemon_threads = True
    content = b""
    drips = False
    status = 200
    seen: list[dict[str, str]]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append({**self.headers, "path": self.path})
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        if not self.server.drips:
            self.wfile.write(self.server.content)
            return
        stop = threading.Event()
        for each in self.server.content:
            self.wfile.write(bytes([each]))
            stop.wait(0.2)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), _Handler) as made:
        made.seen = []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


class Client:
    """An ECR client that gives out this address."""

    def __init__(self, url: str, endpoint: str = "https://api.ecr.us-east-1.amazonaws.com") -> None:
        self.url = url
        self.meta = type("Meta", (), {"endpoint_url": endpoint})

    def get_download_url_for_layer(self, **_: Any) -> dict[str, str]:
        return {"downloadUrl": self.url}


def address(server: Server, path: str = f"/blob?{SIGNATURE}") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


CONFIG = json.dumps({"os": "linux", "architecture": "aarch64", "variant": "v8"}).encode()


def read(client: Any, content: bytes = CONFIG, **more: Any) -> Platform:

    config = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return ecr.image_config(client, "api", config, **more).platform


def test_the_config_is_read_without_credentials(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    server.content = CONFIG
    assert str(read(Client(address(server)))) == "linux/arm64/v8"
    (seen,) = server.seen
    assert seen["path"] == f"/blob?{SIGNATURE}" and "Authorization" not in seen


@pytest.mark.parametrize(
    "content", [b"[]", b"not JSON", b'{"os": "linux"}', b'{"os": 1, "architecture": "amd64"}', b"\xff", b"[" * 100_000]
)
def test_a_blob_that_is_no_config_is_told(server: Server, content: bytes):
    server.content = content
    with pytest.raises(Refused, match="the config blob names no platform"):
        read(Client(address(server)), content)


def test_a_server_that_answers_byte_by_byte_is_waited_for_until_the_deadline_only(server: Server):
    server.content, server.drips = CONFIG, True
    with pytest.raises(Refused, match=r"config blob: no answer within 0\.3 s"):
        read(Client(address(server)), deadline_s=0.3)


def test_an_address_that_sends_elsewhere_is_not_followed(server: Server):
    server.content, server.status = CONFIG, 307
    with pytest.raises(Refused, match="config blob: HTTP 307"):
        read(Client(address(server)))
    assert len(server.seen) == 1


def test_no_error_shows_the_signed_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/x?{SIGNATURE}", f"http://[x?{SIGNATURE}", ""):
        with pytest.raises(Refused) as caught:
            read(Client(url))
        assert SIGNATURE not in str(caught.value) and str(port) not in str(caught.value)


def test_an_emulator_is_asked_itself_for_what_it_says_lies_at_aws(server: Server):
    server.content = CONFIG
    host = "012345678922.dkr.ecr.us-east-1.amazonaws.com"
    assert read(Client(f"https://{host}/v2/api/blobs/x", address(server, ""))).architecture == "arm64"
    (seen,) = server.seen
    assert (seen["Host"], seen["path"]) == (host, "/v2/api/blobs/x")


def test_the_runners_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch):
    server.content = CONFIG
    monkeypatch.setenv("http_proxy", address(server, ""))
    monkeypatch.setenv("no_proxy", "")
    assert read(Client("http://s3.example/blob")).architecture == "arm64"
    assert server.seen[0]["path"] == "http://s3.example/blob"


def test_the_manifest_tells_of_an_index_and_names_the_config_of_a_plain_image():
    with Endpoint(latency_s=0) as endpoint:
        repository = endpoint.cloud.account(REGISTRY).repositories["api"]
        digest = index(ARM_8, AMD, ATTESTATION)(repository, "c" * 40)
        repository.push("d" * 40)
        client = clients.client("ecr", endpoint.url)
        found = ecr.find(client, "api", [digest, "d" * 40])
        one = found["d" * 40]
        assert list(map(str, found[digest].platforms)) == ["linux/arm64/v8", "linux/amd64"]
        assert (found[digest].config, one.platforms) == ("", ())
        assert str(ecr.image_config(client, "api", one.config).platform) == "linux/amd64"


def test_a_missing_cluster_and_an_image_for_another_platform_are_told_in_one_round(shop: Shop):
    ship(shop, plain("linux/arm64"))
    del shop.endpoint.cloud.account("100000000001").clusters["t1-prod"]
    ran = shop.inv("deploy.prod")
    assert ran.code == 2 and "t1-prod/api, t2-prod/api: cpuArchitecture is X86_64" in ran.stderr
    assert "ClusterNotFoundException" in ran.stderr


@pytest.mark.parametrize("to", ["prod-20260102T030405Z", "older"])
def test_a_rollback_looks_where_it_has_to_render_the_definition_anew(shop: Shop, to: str):
    assert shop.inv("deploy.prod", "--no-wait").code == 0
    repository: Repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    repository.tags["prod-20260102T030405Z"] = repository.push(shop.commits["older"], "linux/arm64").digest
    shop.endpoint.calls.clear()
    ran = shop.inv("release.rollback", "prod", "--to", shop.commits.get(to, to))
    assert (ran.code, shop.writes(), asked(shop)) == (2, {}, [1, 1])
    assert "is for linux/arm64" in ran.stderr
