"""Build with a Docker engine: by BuildKit if its buildx plugin is there, else by the engine's own builder; then push.

The registry's password goes to the engine through its API, in memory: for the push, and for base images of the same
registry if the engine itself builds. `docker buildx` reads only Docker's own configuration, which is left alone:
a private base image needs a credential helper, or a `docker login`, of the user's own there.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, cast

import docker
import requests
from docker import auth
from docker.context import ContextAPI
from docker.errors import DockerException, create_api_error_from_http_exception

from deploytasks.builders import context, credentials
from deploytasks.builders.registry import Reference, again, sounds_passing
from deploytasks.builders.request import BuildLog, BuildRequest, Login
from deploytasks.errors import BuildFailed, Complaint, Refusal
from deploytasks.model import Platform

_DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_PING_TIMEOUT_S = 5
_PUSH_TIMEOUT_S = 900
_LAST_LINES = 12
_BUILDKIT_WORDS = ("buildkit", "unknown flag", "unknown instruction", "dockerfile parse error")
_INSTALL_BUILDX = "the engine's own builder knows no BuildKit syntax: install the buildx plugin (docker-buildx)"


def answers() -> bool:
    """Return whether a Docker engine answers at the address in the environment or in Docker's current context.

    Raises: Refusal if DOCKER_HOST is not an address.
    """
    try:
        if not _listens(address()):
            return False
        with closing(docker.from_env(timeout=_PING_TIMEOUT_S)) as client:
            return bool(client.ping())
    except (DockerException, requests.RequestException, OSError):
        return False
    except ValueError as error:
        to_do = "for example unix:///var/run/docker.sock or tcp://127.0.0.1:2375; unset it where no engine is meant"
        raise Refusal.of(
            "DOCKER_HOST", f"'{address()}' is not an address of a Docker engine: {error}", to_do
        ) from error


def missing() -> Complaint | None:
    """Return the complaint that no engine answers; None if one does.

    Raises: Refusal if DOCKER_HOST is not an address.
    """
    if answers():
        return None
    return Complaint("docker", f"no Docker engine answers at {address()}", "start it, or set DOCKER_HOST")


def _listens(where: str) -> bool:
    """Return whether a process listens on a local socket; True for other addresses, of which only the SDK can tell.

    The SDK does not close a socket that it could not connect.
    """
    if not where.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(where.removeprefix("unix://"))
        return True
    return False


def address() -> str:
    """Return the address of the engine."""
    return os.environ.get("DOCKER_HOST") or str(ContextAPI.kwargs_from_context().get("base_url") or _DEFAULT_SOCKET)


def build_and_push(request: BuildRequest, login: Login | None, log: BuildLog) -> str:
    """Build the image, push it under the request's reference, and return the manifest's digest.

    Raises: BuildFailed with the last lines of output of the engine or the registry.
    """
    with _plainly(request.image, "Docker failed"), closing(docker.from_env(timeout=_PUSH_TIMEOUT_S)) as client:
        if _has_buildx():
            _build_by_buildx(request, log)
        else:
            _build_by_engine(client, request, login, log)
        _check_platform(client, request)
        return _push(client, request, login, log)


def _has_buildx() -> bool:
    program = shutil.which("docker")
    if program is None:
        return False
    return subprocess.run([program, "buildx", "version"], capture_output=True, check=False).returncode == 0


def _build_by_buildx(request: BuildRequest, log: BuildLog) -> None:
    """Build the image into the engine's store, under the request's reference, by BuildKit."""
    command = ["docker", "buildx", "build", "--load", "--provenance=false", "--progress=plain"]
    command += ["--platform", str(request.platform), "--tag", request.ref, "--file", str(request.dockerfile)]
    command += [part for name, value in request.labels.items() for part in ("--label", f"{name}={value}")]
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with (
        credentials.without_missing_helpers() as settings,
        _process([*command, str(request.context)], {**os.environ, **settings}) as process,
    ):
        for line in _lines(cast(Iterable[str], process.stdout)):
            last.append(line)
            if not line.lstrip().startswith(_CHATTER):
                log.build(line)
    if process.returncode != 0:
        raise BuildFailed.of(request.image, "docker buildx build failed", "\n".join(last))


def _build_by_engine(client: docker.DockerClient, request: BuildRequest, login: Login | None, log: BuildLog) -> None:
    """Build the image into the engine's store, under the request's reference, by the engine's own builder."""
    if login:
        said = {"username": login.username, "password": login.password, "serveraddress": login.host}
        with _plainly(request.image, f"the registry {login.host} does not let {login.username} in"):
            _ask_engine(client, "auth", json=said)
    with tempfile.TemporaryFile() as packed, _plainly(request.image, "the build failed"):
        name = context.pack(request.context, request.dockerfile, packed)
        asked = {"t": request.ref, "dockerfile": name, "labels": json.dumps(dict(request.labels)), "rm": "1"}
        known = credentials.of_bases(request, login, log)
        headers = {"Content-Type": "application/x-tar", "X-Registry-Config": auth.encode_header(known).decode()}
        params = {**asked, "platform": str(request.platform)}
        with _ask_engine(client, "build", params=params, headers=headers, data=packed, stream=True) as response:
            _follow_build(map(json.loads, filter(str.strip, response.iter_lines(decode_unicode=True))), request, log)


def _ask_engine(client: docker.DockerClient, what: str, **request: Any) -> requests.Response:
    """POST to the engine; docker-py's own `build` and `login` would first ask every credential helper of the user's."""
    where = f"{client.api.base_url}/v{client.api.api_version}/{what}"
    response = client.api.post(where, timeout=_PUSH_TIMEOUT_S, **request)
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        raise create_api_error_from_http_exception(error) from error
    return response


_CHATTER = ("--->", "Removing intermediate container", "Successfully ")
_PUSH_CHATTER = (": Preparing", ": Waiting", ": Layer already exists")


def _follow_build(items: Iterable[Mapping[str, Any]], request: BuildRequest, log: BuildLog) -> None:
    last, error = deque[str](maxlen=_LAST_LINES), ""
    for item in items:
        for line in _lines([_said(item)]):
            last.append(line)
            if not line.lstrip().startswith(_CHATTER):
                log.build(line)
        error = str(item.get("error", error)).strip()
    if error:
        raise BuildFailed.of(request.image, f"the build failed: {error}", "\n".join([*last, *_buildx_advice(error)]))


def _buildx_advice(error: str) -> list[str]:
    """Return what to install, if an error of the engine's own builder suggests syntax that only BuildKit knows."""
    return [_INSTALL_BUILDX] if any(word in error.lower() for word in _BUILDKIT_WORDS) else []


def _check_platform(client: docker.DockerClient, request: BuildRequest) -> None:
    """Raise BuildFailed unless the image is for the platform that was asked for, whatever this machine's own is."""
    about = client.images.get(request.ref).attrs
    built = Platform(about["Os"], about["Architecture"], about.get("Variant", ""))
    if not request.platform.accepts(built):
        what = f"built for {built}, and not for {request.platform}: a base image is for another platform"
        raise BuildFailed.of(request.image, what, "take a base that has the platform, or set the image's `platforms`")


def _push(client: docker.DockerClient, request: BuildRequest, login: Login | None, log: BuildLog) -> str:
    """Push the reference, and return the digest that the registry gave it.

    The engine has recorded that digest for the same image.
    """
    reference = Reference.parse(request.ref, request.image)
    repository, auth = request.ref.removesuffix(f":{reference.tag}"), None
    if login and login.host == reference.host:
        auth = {"username": login.username, "password": login.password}

    def push() -> str:
        items = client.api.push(repository, tag=reference.tag, stream=True, decode=True, auth_config=auth)
        return _follow_push(cast(Iterable[Mapping[str, Any]], items), request, log)

    digest = again(push, sounds_passing, log.push)
    if f"{repository}@{digest}" not in client.images.get(request.ref).attrs["RepoDigests"]:
        raise BuildFailed.of(request.image, f"the engine does not know the digest {digest} it has pushed", "try again")
    log.push(f"pushed {reference} as {digest}")
    return digest


def _follow_push(items: Iterable[Mapping[str, Any]], request: BuildRequest, log: BuildLog) -> str:
    digest, error, last = "", "", deque[str](maxlen=_LAST_LINES)
    for item in items:
        for line in _lines([_said(item)]):
            last.append(line)
            if not line.endswith(_PUSH_CHATTER):
                log.push(line)
        error = str(item.get("error", error)).strip()
        digest = (item.get("aux") or {}).get("Digest", digest)
    if error or not digest:
        what = f"the push failed: {error}" if error else "the push ended without a digest"
        raise BuildFailed.of(request.image, what, "\n".join(last))
    return digest


def _said(item: Mapping[str, Any]) -> str:
    """Return the text or status of a stream's item; "" for a progress bar's steps."""
    if item.get("progressDetail"):
        return ""
    layer = f"{item['id']}: " if item.get("id") and item.get("status") else ""
    return layer + str(item.get("stream") or item.get("status") or "")


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    return (line.rstrip() for piece in pieces for line in piece.splitlines() if line.strip())


@contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a process whose output is read line by line, and end it if this process is interrupted."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


@contextmanager
def _plainly(where: str, what: str) -> Iterator[None]:
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        said = getattr(error, "explanation", None) or str(error)
        advice = _buildx_advice(said) or [f"the engine is at {address()}"]
        raise BuildFailed.of(where, f"{what}: {said}", "\n".join(advice)) from error
