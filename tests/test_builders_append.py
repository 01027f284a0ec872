"""Without an engine, a Dockerfile's files are appended to a base in a real registry and pushed."""

import base64
import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
import requests

from deploytasks import builders
from deploytasks.builders import BuildRequest, Login
from deploytasks.builders.registry import Reference, is_loopback, opened
from deploytasks.errors import BuildFailed, Refusal
from deploytasks.model import Build, Image
from tests.registry import Registry, digest_of, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between two attempts; nobody really waits."""
    taken: list[float] = []
    monkeypatch.setattr("deploytasks.builders.registry.time.sleep", taken.append)
    return taken


@pytest.fixture
def registry():
    with serving() as running:
        yield running


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "api"
    root.mkdir()
    (root / "app.py").write_text("print('hello')")
    return root


def request(registry, context, dockerfile, *, platforms=("linux/amd64",), labels=None) -> BuildRequest:
    (context / "Dockerfile").write_text(dockerfile)
    service = Image("api", "api", context="examples/api", platforms=platforms, builder="append")
    return BuildRequest(Build(service, COMMIT, COMMIT), context, f"{registry.host}/api:{COMMIT}", labels or {})


def build(made: BuildRequest, login: Login | None = None, told: list | None = None) -> str:
    return builders.build_and_push(made, login, (told if told is not None else []).append)


def tarball(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(info)
    return packed.getvalue()


def base(registry: Registry, tag="1", *, media_type=OCI, architecture="amd64", repository="base", **config) -> str:
    """A base image of one layer; its manifest's digest out."""
    tar = tarball("srv/", "srv/base.txt")
    layer = gzip.compress(tar, mtime=0)
    about = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"base": "yes"}, **config},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
        "history": [{"created_by": "base"}],
        "docker_version": "20",
    }
    written = json.dumps(about).encode()
    said = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": "c", "digest": registry.put_blob(repository, written), "size": len(written)},
        "layers": [{"mediaType": "l", "digest": registry.put_blob(repository, layer), "size": len(layer)}],
    }
    return registry.put_manifest(repository, tag, media_type, json.dumps(said).encode())


def files(registry: Registry, position=-1) -> list[str]:
    layer = registry.manifest("api", COMMIT)["layers"][position]
    with tarfile.open(fileobj=io.BytesIO(registry.blobs["api"][layer["digest"]])) as tar:
        return tar.getnames()


def test_from_scratch_one_layer_is_pushed_under_the_reference(registry, context):
    digest = build(request(registry, context, "FROM scratch\nWORKDIR /srv\nCOPY app.py .\n"))
    assert registry.tags["api"] == {COMMIT: digest}
    assert registry.manifest("api", COMMIT)["mediaType"] == OCI
    assert files(registry) == ["srv", "srv/app.py"]


def test_the_same_files_are_the_same_image_and_nothing_is_pushed_twice(registry, context):
    made = request(registry, context, "FROM scratch\nCOPY . /srv/\n", labels={"a": "b"})
    first = build(made)
    pushed = [path for method, path in registry.requests if method == "POST"]
    (context / "app.py").touch()
    assert build(made) == first
    assert [path for method, path in registry.requests if method == "POST"] == pushed


def test_the_image_is_the_base_s_plus_one_layer_and_what_the_dockerfile_says(registry, context):
    base(registry)
    text = f'FROM {registry.host}/base:1\nENV A=1\nLABEL l=m\nEXPOSE 80\nUSER 10\nCOPY app.py /srv\nENTRYPOINT ["py"]\n'
    build(request(registry, context, text, labels={"org.opencontainers.image.created": "2020-11-12T10:30:00+00:00"}))
    config = registry.config("api", COMMIT)
    assert config["config"] == {
        "Env": ["PATH=/bin", "A=1"],
        "Labels": {"base": "yes", "l": "m", "org.opencontainers.image.created": "2020-11-12T10:30:00+00:00"},
        "ExposedPorts": {"80/tcp": {}},
        "User": "10",
        "Entrypoint": ["py"],
    }
    assert config["created"] == "2020-11-12T10:30:00+00:00"
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 2
    assert config["history"][1]["created_by"] == "deploytasks: examples/api/Dockerfile"
    assert "docker_version" not in config
    assert files(registry) == ["srv", "srv/app.py"]


def test_every_diff_id_is_that_of_its_layer(registry, context):
    base(registry)
    build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"))
    layers = registry.manifest("api", COMMIT)["layers"]
    found = [digest_of(gzip.decompress(registry.blobs["api"][each["digest"]])) for each in layers]
    assert found == registry.config("api", COMMIT)["rootfs"]["diff_ids"]


@pytest.mark.parametrize("media_type", [OCI, DOCKER])
def test_the_image_speaks_its_base_s_dialect(registry, context, media_type):
    base(registry, media_type=media_type)
    build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"))
    said = registry.manifest("api", COMMIT)
    assert said["mediaType"] == media_type
    family = "vnd.oci.image" if media_type == OCI else "vnd.docker"
    assert family in said["config"]["mediaType"] and family in said["layers"][1]["mediaType"]


def test_a_dockerfile_that_adds_no_file_adds_no_layer(registry, context):
    base(registry)
    build(request(registry, context, f"FROM {registry.host}/base:1\nENV A=1\n"))
    config = registry.config("api", COMMIT)
    assert len(registry.manifest("api", COMMIT)["layers"]) == len(config["rootfs"]["diff_ids"]) == 1
    assert config["history"][1]["empty_layer"] is True


def test_the_build_and_the_push_are_told_of(registry, context):
    base(registry)
    told = []
    digest = build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"), told=told)
    assert {(each.step, each.about) for each in told} == {("build", "api"), ("push", "api")}
    assert told[0].message == f"FROM {registry.host}/base:1, appended to without an engine"
    assert told[-1].message == f"pushed {registry.host}/api:{COMMIT} as {digest}"


def uploads(registry):
    return [path for method, path in registry.requests if method == "POST" and "mount" not in path]


def test_a_base_of_the_same_registry_is_mounted_not_pushed(registry, context):
    base(registry)
    build(request(registry, context, f"FROM {registry.host}/base:1\nENV A=1\n"))
    assert len(uploads(registry)) == 1  # the configuration


def test_a_registry_that_mounts_nothing_is_given_the_base_s_layer(registry, context):
    registry.mounts = False
    base(registry)
    build(request(registry, context, f"FROM {registry.host}/base:1\nENV A=1\n"))
    assert len(uploads(registry)) == 2


def test_a_base_of_another_registry_is_copied(registry, context):
    with serving() as other:
        base(other)
        build(request(registry, context, f"FROM {other.host}/base:1\nCOPY . /app/\n"))
    assert len(registry.manifest("api", COMMIT)["layers"]) == 2


def test_a_private_base_of_another_registry_is_read_with_the_user_s_password(registry, context, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(password=("ada", "s3cret")) as other:
        base(other)
        made = request(registry, context, f"FROM {other.host}/base:1\nCOPY . /app/\n")
        (tmp_path / "config.json").write_text(json.dumps({"credsStore": "not-installed"}))
        with pytest.raises(BuildFailed, match="not allowed to read"):
            build(made)
        known = base64.b64encode(b"ada:s3cret").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {other.host: {"auth": known}}}))
        build(made)
    assert len(registry.manifest("api", COMMIT)["layers"]) == 2


def test_of_an_index_the_platform_s_image_is_the_base(registry, context):
    entries = [
        {"digest": base(registry, f"{name}", architecture=name), "platform": {"os": "linux", "architecture": name}}
        for name in ("arm64", "amd64")
    ]
    entries.append({"digest": digest_of(b"attestation"), "platform": {"os": "unknown", "architecture": "unknown"}})
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.put_manifest("base", "all", INDEX, index)
    text = f"FROM {registry.host}/base:all\nCOPY . /app/\n"
    build(request(registry, context, text, platforms=("linux/arm64/v8",)))
    assert registry.config("api", COMMIT)["architecture"] == "arm64"
    with pytest.raises(Refusal) as caught:
        build(request(registry, context, text, platforms=("linux/s390x",)))
    assert "base:all is not made for linux/s390x, but for linux/amd64, linux/arm64" in str(caught.value)


@pytest.mark.parametrize(
    ("offered", "wanted", "taken"),
    [
        (["amd64/v3", "amd64"], "linux/amd64", "amd64"),
        (["amd64", "amd64/v3", "amd64/v2"], "linux/amd64", "amd64"),
        (["amd64", "amd64/v3", "amd64/v2"], "linux/amd64/v2", "amd64/v2"),
        (["amd64", "amd64/v2"], "linux/amd64/v3", "amd64/v2"),
        (["arm/v5", "arm/v7", "arm/v6"], "linux/arm", "arm/v7"),
        (["arm/v5", "arm/v7", "arm/v6"], "linux/arm/v6", "arm/v6"),
        (["arm64/v8"], "linux/arm64", "arm64/v8"),
        (["arm64"], "linux/arm64/v8", "arm64"),
        (["amd64/v3"], "linux/amd64", None),
    ],
)
def test_of_an_index_the_nearest_variant_that_runs_is_the_base(registry, context, offered, wanted, taken):
    entries = []
    for name in offered:
        architecture, _, variant = name.partition("/")
        platform = {"os": "linux", "architecture": architecture, "variant": variant}
        digest = base(registry, name.replace("/", "-"), architecture=architecture, User=name)
        entries.append({"digest": digest, "platform": platform})
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.put_manifest("base", "all", INDEX, index)
    made = request(registry, context, f"FROM {registry.host}/base:all\nCOPY . /app/\n", platforms=(wanted,))
    if taken is None:
        with pytest.raises(Refusal, match="base:all is not made for linux/amd64, but for linux/amd64/v3"):
            build(made)
    else:
        build(made)
        assert registry.config("api", COMMIT)["config"]["User"] == taken


def test_a_base_for_another_platform_is_refused(registry, context):
    base(registry, architecture="arm64")
    with pytest.raises(Refusal, match="base:1 is not made for linux/amd64, but for linux/arm64"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))


def test_a_base_named_by_digest_is_checked_against_it(registry, context):
    digest = base(registry)
    text = f"FROM {registry.host}/base@{digest}\nCOPY . /app/\n"
    build(request(registry, context, text))
    registry.manifests["base"][digest] = (OCI, registry.manifests["base"][digest][1] + b" ")
    with pytest.raises(BuildFailed, match=f"for {digest}"):
        build(request(registry, context, text))


def test_a_base_layer_that_is_not_what_its_digest_says_is_not_taken(registry, context):
    base(registry)
    layer = registry.manifest("base", "1")["layers"][0]["digest"]
    registry.blobs["base"][layer] = b"something else"
    with pytest.raises(BuildFailed, match=r"could not read .*expected digest"):
        build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"))


def test_a_base_packed_otherwise_than_gzip_is_refused(registry, context):
    digest = base(registry)
    said = registry.manifest("base", digest)
    said["layers"][0] |= {"digest": registry.put_blob("base", b"\x28\xb5\x2f\xfd zstd"), "mediaType": "tar+zstd"}
    registry.put_manifest("base", "1", OCI, json.dumps(said).encode())
    with pytest.raises(Refusal, match=r"\(tar\+zstd\) is not a gzipped tar"):
        build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"))


def test_a_base_with_onbuild_instructions_is_refused(registry, context):
    base(registry, OnBuild=["RUN x"])
    with pytest.raises(Refusal, match="ONBUILD"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("index.docker.io/library/python:3", "docker.io/library/python:3"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("registry:5000/x", "registry:5000/x:latest"),
        ("public.ecr.aws/docker/library/python:3", "public.ecr.aws/docker/library/python:3"),
        (f"x:1@sha256:{'a' * 64}", f"docker.io/library/x@sha256:{'a' * 64}"),
    ],
)
def test_names_are_spelled_out_as_docker_does(text, spelled):
    assert str(Reference.parse(text, "Dockerfile:1")) == spelled


@pytest.mark.parametrize("text", ["", "-x", "a b", "x@sha256:12", "http://x/y"])
def test_what_is_no_image_name_is_refused_by_its_line(text):
    with pytest.raises(Refusal, match="is not an image name"):
        Reference.parse(text, "Dockerfile:1")


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.8.8.8", True),
        ("[::1]:5000", True),
        ("registry.example.com", False),
        ("localhost.example.com:5000", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_only_this_machine_s_registries_are_spoken_to_without_tls(host, plain):
    assert is_loopback(host) is plain


def test_the_login_opens_its_own_registry(context):
    with serving(password=("AWS", "s3cret")) as registry:
        base(registry)
        login = Login(registry.host, "AWS", "s3cret")
        assert build(request(registry, context, f"FROM {registry.host}/base:1\nCOPY . /app/\n"), login)


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_refused_login_is_a_plain_message_without_the_password(context, password):
    with serving(password=("AWS", "s3cret")) as registry:
        login = Login(registry.host, "AWS", password) if password else None
        with pytest.raises(BuildFailed) as caught:
            build(request(registry, context, "FROM scratch\nCOPY . /app/\n"), login)
    assert str(caught.value).startswith(f"{registry.host}/api: not allowed to push the layer\n    log in")
    assert "wrong" not in str(caught.value)


def test_the_login_is_not_shown_to_another_registry(registry, context):
    seen = []
    with serving(password=("AWS", "s3cret")) as other:
        base(other)
        other.fault = lambda method, path: seen.append(path)
        with pytest.raises(BuildFailed, match="not allowed to read the manifest"):
            build(request(registry, context, f"FROM {other.host}/base:1\n"), Login(registry.host, "AWS", "s3cret"))
    assert len(seen) == 1


def test_a_login_does_not_show_its_password():
    assert "s3cret" not in repr(Login("host", "AWS", "s3cret"))


def test_an_immutable_tag_that_names_another_image_is_the_registry_s_own_message(registry, context):
    registry.immutable = True
    build(request(registry, context, "FROM scratch\nCOPY . /app/\n"))
    (context / "app.py").write_text("changed")
    with pytest.raises(BuildFailed, match="already exists in the 'api' repository and cannot be overwritten"):
        build(request(registry, context, "FROM scratch\nCOPY . /app/\n"))


def test_a_missing_repository_says_what_makes_it(registry, context):
    said = json.dumps({"errors": [{"code": "NAME_UNKNOWN", "message": "no repository 'api'"}]}).encode()
    registry.fault = lambda method, path: (404, said) if method == "POST" else None
    with pytest.raises(BuildFailed) as caught:
        build(request(registry, context, "FROM scratch\nCOPY . /app/\n"))
    assert str(caught.value) == (
        f"{registry.host}/api: could not push the layer: no repository 'api'\n"
        "    check the name; a missing repository is made by `inv envs.bootstrap`"
    )


def test_a_base_that_is_not_there_is_named(registry, context):
    with pytest.raises(BuildFailed, match="base: could not read the manifest 9: manifest unknown"):
        build(request(registry, context, f"FROM {registry.host}/base:9\n"))


@pytest.mark.parametrize("answer", [(500, b"oops"), (503, b'{"errors": []}')])
def test_a_registry_that_fails_is_a_plain_message(registry, context, answer):
    registry.fault = lambda method, path: answer if method == "PUT" else None
    with pytest.raises(BuildFailed, match=f"could not push the layer: HTTP {answer[0]}"):
        build(request(registry, context, "FROM scratch\nCOPY . /app/\n"))


def test_something_that_is_no_registry_is_a_plain_message(registry, context):
    registry.fault = lambda method, path: (200, b"<html>")
    with pytest.raises(BuildFailed, match="none of a registry's"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))


def test_a_registry_that_does_not_answer_is_a_plain_message(registry, context):
    made = request(registry, context, "FROM localhost:1/base:1\n")
    with pytest.raises(BuildFailed, match="localhost:1/base: the registry does not answer"):
        build(made)


def test_a_registry_that_answers_with_another_manifest_than_was_pushed_is_a_failure(registry, context):
    base(registry, tag=COMMIT, repository="api")
    other = registry.manifests["api"][registry.tags["api"][COMMIT]][1]
    registry.fault = lambda method, path: (200, other) if method == "GET" and COMMIT in path else None
    with pytest.raises(BuildFailed, match="but the registry answers sha256:"):
        build(request(registry, context, "FROM scratch\nCOPY . /app/\n"))


def test_a_missing_dockerfile_is_refused_with_the_setting(registry, context):
    made = request(registry, context, "")
    (context / "Dockerfile").unlink()
    with pytest.raises(Refusal) as caught:
        build(made)
    assert str(caught.value).startswith("examples/api/Dockerfile: cannot be read: ")
    assert "set images.api.dockerfile" in str(caught.value)


def test_a_dockerfile_that_needs_an_engine_is_refused_before_the_registry_is_asked(registry, context):
    with pytest.raises(Refusal, match="examples/api/Dockerfile:2: RUN needs a Docker engine"):
        build(request(registry, context, "FROM scratch\nRUN make\n"))
    assert registry.requests == []


def answered(header: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 401
    response.headers["WWW-Authenticate"] = header
    return response


def test_ecr_s_way_of_asking_is_answered_with_the_login():
    reference = Reference.parse("012345678922.dkr.ecr.us-east-1.amazonaws.com/api:1", "api")
    asked = 'Basic realm="https://012345678922.dkr.ecr.us-east-1.amazonaws.com/",service="ecr.amazonaws.com"'
    with opened(reference, Login(reference.host, "AWS", "s3cret")) as repository:
        client = repository._client
        client._auth(client, answered(asked))
        assert client._headers["Authorization"] == "Basic QVdTOnMzY3JldA=="


def test_a_base_of_an_old_schema_is_refused(registry, context):
    registry.put_manifest("base", "1", "application/vnd.docker.distribution.manifest.v1+json", b'{"schemaVersion": 1}')
    with pytest.raises(Refusal, match=r"is a application/vnd.docker.distribution.manifest.v1\+json, and no image"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))


def test_a_base_whose_configuration_is_no_json_is_a_plain_message(registry, context):
    said = registry.manifest("base", base(registry))
    said["config"]["digest"] = registry.put_blob("base", b"not json")
    registry.put_manifest("base", "1", OCI, json.dumps(said).encode())
    with pytest.raises(BuildFailed, match=r"its configuration sha256:\w+ is not JSON"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))


def test_a_registry_that_cannot_even_look_is_a_plain_message(registry, context):
    registry.fault = lambda method, path: (500, b"") if method == "HEAD" else None
    base(registry)
    with pytest.raises(BuildFailed, match=r"could not look for sha256:.*: HTTP 500\n    try again"):
        build(request(registry, context, f"FROM {registry.host}/base:1\n"))
