"""Find the registry credentials of a build: ours, and the user's own for the registries that the Dockerfile names.

`docker buildx` asks the credential helpers itself, as Docker's own configuration says.

No other registry's helper is asked: one that is not installed, or locked, must not affect this build.
"""

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import auth
from docker.errors import DockerException

from deploytasks.builders import dockerfile
from deploytasks.builders.recipe import SCRATCH
from deploytasks.builders.registry import HUB, Reference
from deploytasks.builders.request import BuildLog, BuildRequest, Login
from deploytasks.errors import DeployError

_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)|^\s*COPY\s+(?:--\S+\s+)*--from=(\S+)", re.IGNORECASE | re.MULTILINE)
_STAGE = re.compile(r"^\s*FROM\s.*\sAS\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE | re.MULTILINE)


def of_bases(request: BuildRequest, login: Login | None, log: BuildLog) -> dict[str, Mapping[str, str]]:
    """Return registry → credentials, in a Docker engine's form; a registry without any is read anonymously."""
    known: dict[str, Mapping[str, str]] = {}
    users = auth.load_config()
    ours = login.host if login else ""
    for host in dict.fromkeys(host for host in _hosts(request) if host != ours):
        name = auth.INDEX_URL if host == HUB else host
        try:
            with warnings.catch_warnings(action="ignore"):  # a helper that is not installed is reported below
                found = users.resolve_authconfig(auth.INDEX_NAME if host == HUB else host)
        except DockerException as error:
            log.build(f"{host} is read anonymously: {error}")
            continue
        if found:
            known[name] = found
    if login:
        known[login.host] = {"username": login.username, "password": login.password, "serveraddress": login.host}
    return known


def login_to(reference: Reference, request: BuildRequest, login: Login | None, log: BuildLog) -> Login | None:
    """Return the login for a base's registry, ours or the user's own; None to read it anonymously."""
    if login and login.host == reference.host:
        return login
    known = of_bases(request, login, log).get(auth.INDEX_URL if reference.host == HUB else reference.host, {})
    fields = {key.lower(): value for key, value in known.items()}
    if not (fields.get("username") and fields.get("password")):
        return None
    return Login(reference.host, fields["username"], fields["password"])


def _hosts(request: BuildRequest) -> Iterator[str]:
    """Yield the registries of the images that the Dockerfile names."""
    text = request.dockerfile.read_text(encoding="utf-8", errors="replace")
    arguments = dict(_ARG.findall(text))
    stages = {SCRATCH, *_STAGE.findall(text)}
    for base, source in _FROM.findall(text):
        if (base or source) in stages or source.isdecimal():
            continue
        try:
            reference = Reference.parse(dockerfile.expand(base or source, arguments), request.image)
        except (DeployError, dockerfile.Malformed):
            continue
        yield reference.host


@contextmanager
def without_missing_helpers() -> Iterator[Mapping[str, str]]:
    """Yield the variables to add to `docker`'s environment so that it asks no credential helper that is not installed.

    They name a directory with the user's configuration without those helpers; passwords in it are not copied.
    """
    home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    said = _settings(home / "config.json")
    kept = _with_installed_helpers(said)
    if kept == said:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        for path in home.iterdir():
            if path.name != "config.json":
                Path(scratch, path.name).symlink_to(path.resolve())
        shown = {key: value for key, value in kept.items() if key != "auths"}
        Path(scratch, "config.json").write_text(json.dumps(shown))
        yield {"DOCKER_CONFIG": scratch}


def _settings(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _with_installed_helpers(said: Mapping[str, Any]) -> dict[str, Any]:
    def is_missing(name: object) -> bool:
        return shutil.which(f"docker-credential-{name}") is None

    kept = dict(said)
    if "credsStore" in kept and is_missing(kept["credsStore"]):
        del kept["credsStore"]
    if "credHelpers" in kept:
        helpers = {host: name for host, name in kept["credHelpers"].items() if not is_missing(name)}
        kept["credHelpers"] = helpers
    return kept
