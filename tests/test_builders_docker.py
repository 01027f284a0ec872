"""With a real Docker engine: what is built and pushed is what runs, whichever builder made it."""

import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from deploytasks import builders
from deploytasks.builders import BuildRequest, Login
from deploytasks.errors import BuildFailed
from deploytasks.model import Build, Image
from tests.registry import Registry, serving

pytestmark = pytest.mark.docker

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BUSYBOX = Path("/bin/busybox")
DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
WORKDIR /app
COPY . ./
ENV GREETING="hello world"
LABEL team=shop
USER 10:10
EXPOSE 80
ENTRYPOINT ["/bin/busybox"]
CMD ["cat", "hello.txt"]
"""


@pytest.fixture
def engine():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def registry(engine):
    with serving() as running:
        yield running
        forget(engine, running)


def forget(engine, registry: Registry) -> None:
    for image in engine.api.images():  # one answer: another test may remove its images meanwhile
        for name in [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]:
            if name.startswith(f"{registry.host}/"):
                try:
                    engine.images.remove(name, force=True)
                except ImageNotFound:
                    continue  # it went with another of its names


@pytest.fixture
def context(tmp_path: Path) -> Path:
    if not BUSYBOX.exists():
        pytest.fail("no /bin/busybox: apt-get install busybox-static")
    root = tmp_path / "api"
    root.mkdir()
    shutil.copy(BUSYBOX, root / "busybox")
    (root / "hello.txt").write_text("hello")
    (root / "secret.env").write_text("PASSWORD=x")
    (root / ".dockerignore").write_text("*.env\n")
    return root


@pytest.fixture
def without_buildx(monkeypatch, tmp_path):
    """No docker program is found, so the engine's own builder is taken."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def with_buildx(monkeypatch, tmp_path):
    """`docker buildx` is there: where it is not, a stand-in that hands the build to the docker program as it is."""
    program = shutil.which("docker", path="/usr/bin") or shutil.which("docker")
    if program is None:
        pytest.fail("there is no docker program: apt-get install docker.io")
    if subprocess.run([program, "buildx", "version"], capture_output=True).returncode != 0:
        (tmp_path / "bin").mkdir()
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        stand_in(tmp_path / "bin" / "docker", program, tmp_path / "arguments")
    return tmp_path / "arguments"


def stand_in(path: Path, program: str, arguments: Path) -> None:
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    buildkit = int(int(version.split()[2].split(".")[0]) < 23)
    path.write_text(
        f"""#!/bin/sh
[ "$2" = version ] && exit 0
shift 2
echo "$@" > {arguments}
for word do shift; case "$word" in --load|--provenance=*|--progress=*) ;; *) set -- "$@" "$word";; esac; done
DOCKER_BUILDKIT={buildkit} exec {program} build "$@"
"""
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def build_request(
    registry,
    context,
    text=DOCKERFILE,
    *,
    dockerfile="Dockerfile",
    platform="linux/amd64",
    labels=None,
    builder="docker",
) -> BuildRequest:
    (context / dockerfile).write_text(text)
    service = Image("api", "api", context="api", dockerfile=dockerfile, platforms=(platform,), builder=builder)
    return BuildRequest(
        Build(service, COMMIT, COMMIT), context, f"{registry.host}/api:{COMMIT}", labels or {"commit": COMMIT}
    )


def build(made: BuildRequest, login: Login | None = None, told: list | None = None) -> str:
    return builders.build_and_push(made, login, (told if told is not None else []).append)


def ran(engine, ref: str, *command: str) -> str:
    container = engine.containers.run(ref, list(command) or None, detach=True, network_mode="host")
    container.wait()
    said = container.logs().decode()
    container.remove()
    return said


def listed(registry: Registry) -> set[str]:
    """Every file of the pushed image."""
    found: set[str] = set()
    for layer in registry.manifest("api", COMMIT)["layers"]:
        with tarfile.open(fileobj=io.BytesIO(registry.blobs["api"][layer["digest"]])) as tar:
            found |= {each.name for each in tar if each.isfile()}
    return found


def pulled(engine, registry: Registry, made: BuildRequest, digest: str) -> str:
    """What the engine runs, taken from the registry by its digest."""
    forget(engine, registry)
    engine.images.pull(f"{registry.host}/api@{digest}")
    return f"{registry.host}/api@{digest}"


@pytest.mark.parametrize("builder", ["append", "docker"])
def test_what_is_pushed_runs_by_its_digest(engine, registry, context, builder):
    made = build_request(registry, context, builder=builder)
    image = pulled(engine, registry, made, build(made))
    assert ran(engine, image) == "hello"
    assert ran(engine, image, "sh", "-c", "echo $GREETING; pwd; id -u") == "hello world\n/app\n10\n"


def test_both_builders_make_the_same_image_of_a_dockerfile(registry, context, without_buildx):
    configs, contents = [], []
    for builder in ("append", "docker"):
        build(build_request(registry, context, builder=builder))
        config = registry.config("api", COMMIT)
        wanted = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Labels")
        configs.append({name: config["config"].get(name) for name in wanted})
        contents.append(listed(registry))
    assert configs[0] == configs[1]
    assert contents[0] == contents[1]
    assert "app/secret.env" not in contents[0] and "app/hello.txt" in contents[0]


def test_an_appended_file_behind_a_link_of_the_base_hides_nothing(engine, registry, context):
    (context / "bin").symlink_to("usr/bin")
    (context / "usr/bin").mkdir(parents=True)
    shutil.move(context / "busybox", context / "usr/bin/busybox")
    build(build_request(registry, context, "FROM scratch\nCOPY . /\n", builder="append"))
    text = f'FROM {registry.host}/api:{COMMIT}\nCOPY hello.txt /bin/\nCMD ["/bin/busybox", "ls", "/usr/bin"]\n'
    made = build_request(registry, context, text, builder="append")
    image = pulled(engine, registry, made, build(made))
    assert ran(engine, image) == "busybox\nhello.txt\n"


def test_the_engine_s_digest_is_the_registry_s(registry, context, without_buildx):
    told = []
    digest = build(build_request(registry, context), told=told)
    assert registry.tags["api"] == {COMMIT: digest}
    assert registry.config("api", COMMIT)["config"]["Labels"] == {"team": "shop", "commit": COMMIT}
    assert any(each.step == "build" and each.message.startswith("Step 1/") for each in told)
    assert told[-1].message == f"pushed {registry.host}/api:{COMMIT} as {digest}"


def test_buildx_builds_where_its_plugin_is_and_the_engine_pushes(engine, registry, context, with_buildx):
    told = []
    made = build_request(registry, context, labels={"commit": COMMIT, "note": "two words; $HOME"})
    image = pulled(engine, registry, made, build(made, told=told))
    assert ran(engine, image) == "hello"
    assert registry.config("api", COMMIT)["config"]["Labels"]["note"] == "two words; $HOME"
    assert {each.step for each in told} == {"build", "push"}
    if with_buildx.exists():
        assert with_buildx.read_text().startswith("--load --provenance=false --progress=plain --platform linux/amd64")


def test_a_build_that_fails_by_buildx_shows_its_last_lines(registry, context, with_buildx):
    with pytest.raises(BuildFailed, match=r"api: docker buildx build failed\n(.*\n)*.*no-such-file"):
        build(build_request(registry, context, "FROM scratch\nCOPY no-such-file /\n"))
    assert registry.tags == {}


def test_a_build_that_fails_in_the_engine_shows_its_last_lines(registry, context, without_buildx):
    with pytest.raises(BuildFailed, match=r"api: the build failed: .*no-such-file.*\n    Step 1/") as caught:
        build(build_request(registry, context, "FROM scratch\nCOPY no-such-file /\n"))
    assert caught.value.code == 1
    assert registry.tags == {}


@pytest.mark.parametrize(
    "line", ["RUN --mount=type=cache,target=/x true", "COPY --link hello.txt /", "COPY <<EOF /x\nhello\nEOF"]
)
def test_buildkit_s_syntax_without_buildx_says_what_to_install(registry, context, without_buildx, line):
    with pytest.raises(BuildFailed, match="install the buildx plugin"):
        build(build_request(registry, context, f"FROM scratch\n{line}\n"))


def test_the_platform_is_checked_on_what_was_built(engine, registry, context, without_buildx):
    build(build_request(registry, context, "FROM scratch\nCOPY hello.txt /\n", platform="linux/amd64"))
    text = f"FROM {registry.host}/api:{COMMIT}\nCOPY hello.txt /again\n"
    with pytest.raises(BuildFailed, match=r"linux/arm64"):
        build(build_request(registry, context, text, platform="linux/arm64"))


def test_a_dockerfile_may_lie_outside_its_context(engine, registry, context, without_buildx):
    made = build_request(registry, context, dockerfile="../Other.dockerfile")
    assert ran(engine, pulled(engine, registry, made, build(made))) == "hello"


def test_an_ignore_file_of_the_dockerfile_s_own_is_obeyed_by_the_engine_too(registry, context, without_buildx):
    (context / "Dockerfile.dockerignore").write_text("hello.txt\n")
    build(build_request(registry, context))
    assert {"app/hello.txt", "app/secret.env"} & listed(registry) == {"app/secret.env"}


def test_the_login_pushes_and_pulls_a_private_base_and_is_written_nowhere(
    engine, context, without_buildx, monkeypatch, tmp_path
):
    settings = tmp_path / "docker-config"
    settings.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(settings))
    with serving(password=("AWS", "s3cret")) as registry:
        login = Login(registry.host, "AWS", "s3cret")
        build(build_request(registry, context, builder="append"), login)
        forget(engine, registry)
        digest = build(build_request(registry, context, f"FROM {registry.host}/api:{COMMIT}\nLABEL a=b\n"), login=login)
        assert registry.tags["api"] == {COMMIT: digest}
        forget(engine, registry)
    assert list(settings.iterdir()) == []


def test_a_wrong_password_is_a_plain_message_without_it(engine, context, without_buildx):
    with serving(password=("AWS", "s3cret")) as registry:
        with pytest.raises(BuildFailed, match=f"api: the registry {registry.host} does not let AWS in") as caught:
            build(build_request(registry, context), login=Login(registry.host, "AWS", "wr0ng"))
        forget(engine, registry)
    assert "wr0ng" not in str(caught.value)


def test_an_error_in_the_push_s_stream_is_an_error(registry, context, without_buildx):
    build(build_request(registry, context))
    registry.immutable = True
    (context / "hello.txt").write_text("changed")
    with pytest.raises(BuildFailed, match=r"api: the push failed: .*already exists in the 'api' repository"):
        build(build_request(registry, context))


def test_a_registry_that_is_not_there_fails_the_push(engine, context, without_buildx):
    made = build_request(Registry(host="localhost:1"), context)
    with pytest.raises(BuildFailed, match="api: the push failed: "):
        build(made)
    forget(engine, Registry(host="localhost:1"))


@pytest.mark.parametrize("way", ["without_buildx", "with_buildx"])
def test_an_image_for_another_platform_says_so(registry, context, request, way):
    request.getfixturevalue(way)
    build(build_request(registry, context, "FROM scratch\nCOPY hello.txt /\n", platform="linux/arm64"))
    assert registry.config("api", COMMIT)["architecture"] == "arm64"


def test_an_interrupted_build_leaves_no_process_behind(registry, context, monkeypatch, tmp_path):
    noted = tmp_path / "pid"
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\n[ "$2" = version ] && exit 0\necho $$ > {noted}\necho started\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        builders.build_and_push(build_request(registry, context), None, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"credsStore": "not-installed"},
        {"credHelpers": {"registry.example.com": "not-installed"}},
        {"credsStore": "not-installed", "credHelpers": {"registry.example.com": "not-installed"}},
    ],
)
def test_a_credential_helper_that_is_not_installed_stops_no_build(
    engine, context, without_buildx, monkeypatch, tmp_path, settings
):
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(password=("AWS", "s3cret")) as registry:
        login = Login(registry.host, "AWS", "s3cret")
        build(build_request(registry, context), login=login)
        digest = build(build_request(registry, context, f"FROM {registry.host}/api:{COMMIT}\nLABEL a=b\n"), login=login)
        assert registry.tags["api"] == {COMMIT: digest}
        forget(engine, registry)
