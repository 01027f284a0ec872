"""Build a job's image and push it; return the pushed image's digest.

    choose      docker if an engine answers, else append; a service may name its own
    docker      BuildKit or the engine builds, the engine pushes: any Dockerfile
    append      no engine, no root: files on top of a base, pushed by this package; Dockerfiles that run nothing

Both push under the one reference they are given, and report progress line by line.
"""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Literal

from deploytasks.builders import append, docker, dockerfile, recipe
from deploytasks.builders.base import labels_of
from deploytasks.builders.job import BuilderName, BuildLog, Job, Login, labels
from deploytasks.errors import Complaint, Refusal
from deploytasks.model import OnEvent, Platform, Service

__all__ = ["Job", "Login", "build_and_push", "choose", "labels", "labels_of", "refused"]

Wanted = Literal["auto", "docker", "append"]


def build_and_push(job: Job, login: Login | None, tell: OnEvent, *, builder: Wanted = "auto") -> str:
    """Build the job's image, push it under its reference, and return the pushed manifest's digest.

    Raises: Refusal if nothing was started (no engine, a Dockerfile that needs one, several platforms),
    BuildFailed if the build or the push failed.
    """
    job.platform  # noqa: B018 - refuses several platforms before anything is started
    log = BuildLog(job.service, tell)
    chosen = choose(builder, docker.answers)
    if chosen == "docker":
        return docker.build_and_push(job, login, log)
    return append.build_and_push(job, login, log)


def refused(service: Service, text: str) -> tuple[Complaint, ...]:
    """Return why the service's Dockerfile can't be built on this machine, as far as its text shows."""
    try:
        if choose(service.builder, docker.answers) == "append":
            name = str(PurePosixPath(service.context, service.dockerfile))
            recipe.base(dockerfile.parse(text, name), Platform.parse(service.platforms[0]))
    except Refusal as error:
        return error.complaints
    return ()


def choose(wanted: Wanted, docker_answers: Callable[[], bool]) -> BuilderName:
    """Return the builder to use. Raises: Refusal if `docker` is wanted and no engine answers."""
    match wanted:
        case "append":
            return "append"
        case "auto":
            return "docker" if docker_answers() else "append"
        case "docker" if docker_answers():
            return "docker"
    raise Refusal.of(
        "docker",
        f"no Docker engine answers at {docker.address()}",
        'start it, or set DOCKER_HOST;\nor set builder = "append", which needs none, where the Dockerfile runs nothing',
    )
