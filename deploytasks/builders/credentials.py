"""The registry passwords of a build: ours, and the user's own for the registries that the Dockerfile names.

No other registry's credential helper is asked: one that is not installed, or locked, says nothing about this build.
"""

import re
import warnings
from collections.abc import Iterator, Mapping

from docker import auth
from docker.errors import DockerException

from deploytasks.builders import words
from deploytasks.builders.job import Job, Login, Voice
from deploytasks.builders.recipe import SCRATCH
from deploytasks.builders.registry import HUB, Reference
from deploytasks.errors import DeployError

_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)|^\s*COPY\s+(?:--\S+\s+)*--from=(\S+)", re.IGNORECASE | re.MULTILINE)
_STAGE = re.compile(r"^\s*FROM\s.*\sAS\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE | re.MULTILINE)


def of_bases(job: Job, login: Login | None, voice: Voice) -> dict[str, Mapping[str, str]]:
    """Registry → credentials, as a Docker engine takes them; a registry without any is read anonymously."""
    known: dict[str, Mapping[str, str]] = {}
    users = auth.load_config()
    ours = login.host if login else ""
    for host in dict.fromkeys(host for host in _hosts(job) if host != ours):
        name = auth.INDEX_URL if host == HUB else host
        try:
            with warnings.catch_warnings(action="ignore"):  # of a helper that is not installed: told below
                found = users.resolve_authconfig(auth.INDEX_NAME if host == HUB else host)
        except DockerException as error:
            voice.build(f"{host} is read anonymously: {error}")
            continue
        if found:
            known[name] = found
    if login:
        known[login.host] = {"username": login.username, "password": login.password, "serveraddress": login.host}
    return known


def _hosts(job: Job) -> Iterator[str]:
    """The registries of the images that the Dockerfile names."""
    text = job.dockerfile.read_text(encoding="utf-8", errors="replace")
    arguments = dict(_ARG.findall(text))
    stages = {SCRATCH, *_STAGE.findall(text)}
    for base, source in _FROM.findall(text):
        if (base or source) in stages or source.isdecimal():
            continue
        try:
            reference = Reference.parse(words.expand(base or source, arguments), job.service)
        except (DeployError, words.Malformed):
            continue
        yield reference.host
