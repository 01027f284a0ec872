"""A registry that resets the connection in the middle of a push: tried again, and never left with half an image."""

import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from docker import DockerClient

from deploytasks.builders import docker
from deploytasks.builders.registry import Reference, opened
from deploytasks.builders.request import BuildLog, BuildRequest
from deploytasks.errors import BuildFailed
from deploytasks.model import Build, Image
from tests.registry import Registry, serving
from tests.test_builders_append import COMMIT, base, build, context, naps, registry, request

__all__ = ["context", "naps", "registry"]
MOMENTS = ["before", "after"]


def made(registry: Registry, context: Path) -> Any:
    base(registry)
    return request(registry, context, f"FROM {registry.host}/base:1\nCOPY app.py /srv/\n")


def requests_of_a_build(context: Path) -> int:
    with serving() as undisturbed:
        build(made(undisturbed, context))
        return len(undisturbed.requests)


def cut_at(registry: Registry, number: int, moment: str, times: int = 1) -> None:
    """The request of that number, and so many after it altogether, are reset."""
    registry.cut = lambda method, path: moment if number <= len(registry.requests) < number + times else ""


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reset_at_any_request_of_a_push_is_tried_again_and_the_image_is_whole(
    context: Path, moment: str, naps: list[float]
):
    for number in range(1, requests_of_a_build(context) + 1):
        with serving(immutable=True) as registry:
            cut_at(registry, number, moment)
            told: list[Any] = []
            digest = build(made(registry, context), told=told)
            assert registry.tags["api"] == {COMMIT: digest}, f"request {number}: {registry.requests[number - 1]}"
            assert any("tried again in 1 s" in each.message for each in told)
    assert set(naps) == {1.0}


@pytest.mark.parametrize("moment", MOMENTS)
def test_resets_without_end_are_a_plain_message_and_leave_no_half_pushed_tag(
    context: Path, moment: str, naps: list[float]
):
    for number in range(1, requests_of_a_build(context) + 1):
        with serving() as registry:
            cut_at(registry, number, moment, times=99)
            with pytest.raises(BuildFailed) as caught:
                build(made(registry, context))
            assert "the registry does not answer (ConnectionError)" in str(caught.value)
            for tag in registry.tags.get("api", {}):
                assert registry.missing("api", registry.manifests["api"][registry.tags["api"][tag]][1]) == []
    assert naps[:3] == [1.0, 3.0, 9.0]


def test_a_busy_registry_is_asked_again(registry: Registry, context: Path, naps: list[float]):
    answers = iter([(503, b""), (429, b"")])
    registry.fault = lambda method, path: next(answers, None) if method == "PUT" else None
    build(made(registry, context))
    assert naps == [1.0, 3.0]


def test_a_registry_that_says_no_or_was_never_reached_is_not_asked_again(
    registry: Registry, context: Path, naps: list[float]
):
    registry.fault = lambda method, path: (403, b"") if method == "PUT" else None
    with pytest.raises(BuildFailed):
        build(made(registry, context))
    with (
        pytest.raises(BuildFailed, match="does not answer"),
        opened(Reference("localhost:1", "api"), None) as nobody,
    ):
        nobody.has(f"sha256:{'0' * 64}")
    assert naps == []


def test_an_immutable_tag_that_is_refused_the_second_time_is_well_put_by_the_first(registry: Registry, context: Path):
    said = b'{"errors": [{"code": "TAG_INVALID", "message": "cannot be overwritten because the tag is immutable"}]}'
    puts: list[str] = []
    registry.cut = lambda method, path: "after" if method == "PUT" and COMMIT in path and not puts else ""
    registry.fault = lambda method, path: (
        (400, said) if method == "PUT" and COMMIT in path and (puts.append(path) or len(puts) > 1) else None
    )
    digest = build(made(registry, context))
    assert (registry.tags["api"], len(puts)) == ({COMMIT: digest}, 2)


DIGEST = f"sha256:{'d' * 64}"
RESET = {"error": "write tcp 10.0.0.1:5000: write: connection reset by peer"}
PUSHED = {"aux": {"Tag": COMMIT, "Digest": DIGEST, "Size": 1}}


class Engine(BaseHTTPRequestHandler):
    """A Docker engine as far as a push goes: it says of each what its turn in `pushes` is, and knows the digest."""

    protocol_version = "HTTP/1.1"
    pushes: ClassVar[list[dict[str, Any]]] = []

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say({"status": "The push refers to repository"}, self.pushes.pop(0))

    def do_GET(self) -> None:
        self.say({"Id": "sha256:1", "RepoDigests": [f"registry.example.com/api@{DIGEST}"]})

    def say(self, *items: dict[str, Any]) -> None:
        """The items as a stream, one a chunk."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for said in [*(json.dumps(item).encode() for item in items), b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(said), said))


def engine_pushes(*pushes: dict[str, Any]) -> str:
    Engine.pushes = list(pushes)
    service = Image("api", "api", context="api")
    wanted = BuildRequest(Build(service, COMMIT, COMMIT), Path(), f"registry.example.com/api:{COMMIT}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            with closing(DockerClient(f"tcp://127.0.0.1:{server.server_port}", version="1.41")) as client:
                return docker._push(client, wanted, None, BuildLog("api", lambda event: None))
        finally:
            server.shutdown()


def test_an_engine_s_push_that_was_reset_is_tried_again(naps: list[float]):
    assert engine_pushes(RESET, {"error": "received unexpected HTTP status: 503 Image Unavailable"}, PUSHED) == DIGEST
    assert naps == [1.0, 3.0]


def test_an_engine_s_push_that_is_reset_without_end_fails_in_the_engine_s_words(naps: list[float]):
    with pytest.raises(BuildFailed, match=r"api: the push failed: .*connection reset by peer"):
        engine_pushes(*[RESET] * 4)
    assert (naps, Engine.pushes) == ([1.0, 3.0, 9.0], [])


@pytest.mark.parametrize("said", ["denied: not authorized", "tag invalid: the tag is immutable", "no basic auth"])
def test_an_engine_s_push_that_the_registry_refuses_is_not_tried_again(naps: list[float], said: str):
    with pytest.raises(BuildFailed, match=said):
        engine_pushes({"error": said}, PUSHED)
    assert naps == []
