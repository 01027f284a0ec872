"""The Docker engine, where there is one: does it answer, does it run our images, and what of ours is left on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

_TIMEOUT_S = 60
_PROBE_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine that answered."""

    address: str
    version: str


def answering() -> Engine | None:
    """The engine that Docker's own settings name, None where none answers."""
    try:
        with _client(_PROBE_TIMEOUT_S) as client:
            version = str(client.version()["Version"])
    except (DockerException, RequestException):
        return None
    return Engine(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), version)


def runs(image: str, command: list[str]) -> str:
    """What is wrong with running the command on the image in the host's network; empty where it ends well.

    An engine may answer and yet not see this machine's loopback, or not be of its kind.
    """
    try:
        with _client() as client:
            client.images.pull(image)
            client.containers.run(image, command, network_mode="host", remove=True)
    except (DockerException, RequestException) as error:
        return str(error)
    return ""


def clear(registry: str, label: str) -> None:
    """No container of that label and no image of that registry is left on the engine."""
    with _client() as client:
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            with suppress(NotFound):
                container.remove(force=True, v=True)
        # The list alone: `images.list()` asks for each image again, and fails for one that others removed meanwhile.
        for image in client.api.images():
            for name in [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]:
                if name.startswith(f"{registry}/"):
                    with suppress(ImageNotFound):  # it went with another of its names
                        client.images.remove(name, force=True)


@contextmanager
def _client(timeout_s: int = _TIMEOUT_S) -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=timeout_s)
    try:
        yield client
    finally:
        client.close()
