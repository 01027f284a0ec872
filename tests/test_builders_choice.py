"""Which builder is taken, and what is refused before anything is started."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from deploytasks import builders
from deploytasks.builders import BuildRequest
from deploytasks.errors import Complaint, Refusal
from deploytasks.model import Build, Image, Platform
from deploytasks.model.builders import BUILDERS
from tests.registry import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    address = f"unix://{tmp_path}/no-engine.sock"
    monkeypatch.setenv("DOCKER_HOST", address)
    return address


def service(builder="auto", platforms=("linux/amd64",)) -> Image:
    return Image("api", "api", builder=builder, platforms=platforms)


def request(tmp_path, host="localhost:1", *, made=service()) -> BuildRequest:  # noqa: B008 - frozen
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return BuildRequest(Build(made, COMMIT, COMMIT), tmp_path, f"{host}/api:{COMMIT}")


@pytest.mark.parametrize(
    ("wanted", "engine", "chosen"),
    [("auto", True, "docker"), ("auto", False, "append"), ("docker", True, "docker"), ("append", True, "append")],
)
def test_auto_takes_docker_where_an_engine_answers_else_append(wanted, engine, chosen):
    lacks = {row.name: Complaint("it", "lacks an engine") for row in BUILDERS if row.needs and not engine}
    assert builders.choose(service(wanted), lambda row: lacks.get(row.name)).name == chosen


def test_append_never_asks_for_an_engine(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://x:y")
    with pytest.raises(Refusal, match="is not an address"):
        builders.choose(service("docker"))
    assert builders.choose(service("append")).name == "append"


def test_docker_without_an_engine_is_refused_naming_the_socket_and_what_to_do(no_engine, tmp_path):
    with pytest.raises(Refusal) as caught:
        builders.build_and_push(request(tmp_path, made=service("docker")), None, lambda event: None)
    assert str(caught.value) == (
        f"docker: no Docker engine answers at {no_engine}\n"
        "    start it, or set DOCKER_HOST;\n"
        '    or set builder = "append", which needs none, where the Dockerfile runs nothing'
    )
    assert caught.value.code == 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://"])
def test_any_address_without_an_engine_is_no_traceback(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(Refusal, match="no Docker engine answers at"):
        builders.choose(service("docker"))


def test_auto_builds_and_pushes_without_an_engine(no_engine, tmp_path):
    with serving() as registry:
        digest = builders.build_and_push(request(tmp_path, registry.host), None, lambda event: None)
        assert registry.tags["api"] == {COMMIT: digest}


@pytest.mark.parametrize("platforms", [("linux/amd64", "linux/arm64"), ()])
def test_one_platform_is_built_and_more_are_refused_for_now(tmp_path, platforms):
    with pytest.raises(Refusal, match=r"images.api.platforms: . platforms \(.*\), and one can be built"):
        builders.build_and_push(request(tmp_path, made=service(platforms=platforms)), None, lambda event: None)


@pytest.mark.parametrize(
    ("wanted", "other", "accepted"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/x86_64", "linux/amd64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "linux/arm64", False),
    ],
)
def test_a_variant_counts_only_where_both_name_one(wanted, other, accepted):
    assert Platform.parse(wanted).accepts(Platform.parse(other)) is accepted


def test_labels_say_commit_time_and_source():
    created = datetime(2020, 11, 12, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert builders.labels(COMMIT, created, "https://example.com/shop.git") == {
        "org.opencontainers.image.revision": COMMIT,
        "org.opencontainers.image.created": "2020-11-12T10:30:00+00:00",
        "org.opencontainers.image.source": "https://example.com/shop.git",
    }


def test_an_unknown_source_is_no_label():
    assert "org.opencontainers.image.source" not in builders.labels(COMMIT, datetime(2020, 1, 1, tzinfo=UTC), "")
