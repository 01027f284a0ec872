"""One-off tasks: run a command once from a revision, in the same place as a service's own tasks.

`start` starts it; `follow_task` does the rest: its states and log lines, its exit code, its stop.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks.aws import tags as aws_tags
from deploytasks.aws.errors import translated
from deploytasks.aws.tasks import tasks_of
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import Author, Target

_TOKEN_LIVES = timedelta(hours=24)
"""How long ECS remembers a client token at most: the first task with one can't be older."""


_OF_PLACE = frozenset(
    {
        *("capacityProviderStrategy", "launchType", "platformVersion", "placementConstraints", "placementStrategy"),
        "networkConfiguration",
    }
)


class OneOff(Struct, frozen=True):
    """What to run: the words, in which container, of which revision (an ARN), and `place`, RunTask's members.

    Without words it runs the definition's own command. If the container is not `essential`, the task does not end with
    it. `mark` replaces the author in the task's `startedBy`. With a `token` of its own it runs once, however often it
    is requested.
    """

    target: Target
    revision: str
    container: str
    words: tuple[str, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    essential: bool = True
    mark: str = ""
    token: str = ""


class Started(Struct, frozen=True):
    """A one-off task that ECS runs or is about to run, or one that `has_failed` before it was found."""

    one_off: OneOff
    arn: str
    at: datetime
    has_failed: bool = False

    @property
    def id(self) -> str:
        """Return the task's id, with which its log stream's name ends."""
        return self.arn.rpartition("/")[2]


def place(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return where and how the tasks of a described service run, as RunTask's members.

    A launch type and capacity providers exclude each other; providers win.
    """
    listed: Iterable[Mapping[str, Any]] = service.get("deployments", [])
    primary = next((each for each in listed if each.get("status") == "PRIMARY"), {})
    own = ("capacityProviderStrategy", "launchType", "platformVersion", "placementConstraints", "placementStrategy")
    found = {key: service.get(key) for key in own}
    for key in ("networkConfiguration", "volumeConfigurations"):
        found[key] = service.get(key) or primary.get(key)
    if found["capacityProviderStrategy"]:
        del found["launchType"]
    return {key: value for key, value in found.items() if value}


def place_of_job(ecs: Mapping[str, Any]) -> dict[str, Any]:
    """Return where and how the tasks of a schedule, or of a rule's target, run, as RunTask's members.

    Source: botocore's models: EcsParameters have RunTask's members, with a capital letter.
    """
    return {key: value for key, value in _camel(ecs).items() if key in _OF_PLACE and value}


def _camel(value: Any) -> Any:
    """Return the value with keys that begin with a small letter, as ECS writes them."""
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def is_essential(definition: Mapping[str, Any], container: str) -> bool:
    """Return whether the task ends with the container."""
    named = (each for each in definition.get("containerDefinitions", []) if each["name"] == container)
    return all(each.get("essential", True) for each in named)


def marked(client: Any, one_off: OneOff) -> Started | None:
    """Return the task with the same mark, running or ended; None if ECS lists none.

    ECS lists a new task some seconds late, and an ended one for an hour.
    """
    for status in ("RUNNING", "STOPPED"):
        for task in tasks_of(client, one_off.target, status, one_off.mark):
            has_failed = status == "STOPPED" and not _succeeded(task, one_off.container)
            return replace(_started(one_off, task), has_failed=has_failed)
    return None


def _succeeded(task: Mapping[str, Any], container: str) -> bool:
    codes = [each.get("exitCode") for each in task.get("containers", []) if each["name"] == container]
    return codes == [0]


def start(client: Any, one_off: OneOff, author: Author, tags: Mapping[str, str]) -> Started:
    """Start the command; record its author in the task's `startedBy` and tags.

    Raises:
        AwsError: ECS found no place for it, or refused the call.

    Source: ecs RunTask and "Ensuring idempotency": a token that was used in the cluster starts no second task, for an
    hour after the first has ended; with another request it is a ConflictException, which names the first task. Without
    a token botocore makes one for each command, so that only its retries start no second task.

    """
    target, token = one_off.target, {"clientToken": one_off.token} if one_off.token else {}
    with translated(str(target)):
        try:
            answer = client.run_task(
                cluster=target.cluster,
                taskDefinition=one_off.revision,
                overrides={"containerOverrides": _commands(one_off)},
                count=1,
                startedBy=one_off.mark or _started_by(author),
                tags=aws_tags.to_ecs(tags),
                **token,
                **one_off.place,
            )
        except client.exceptions.ConflictException as conflict:
            first = next(iter(conflict.response.get("resourceIds") or []), "")
            if not first:
                raise
            return Started(one_off, first, datetime.now(UTC) - _TOKEN_LIVES)
    if not answer["tasks"]:
        raise AwsError(*(_no_place(target, failure) for failure in answer.get("failures") or [{}]))
    return _started(one_off, answer["tasks"][0])


def _commands(one_off: OneOff) -> list[dict[str, Any]]:
    return [{"name": one_off.container, "command": list(one_off.words)}] if one_off.words else []


def perhaps(one_off: OneOff, author: Author) -> Complaint:
    """Return the complaint for a command of which no answer tells whether it was started."""
    by = one_off.mark or _started_by(author)
    to_do = f"aws ecs list-tasks --cluster {one_off.target.cluster} --started-by {by} shows it"
    return Complaint(str(one_off.target), "whether its task was started is not known", to_do)


def _started(one_off: OneOff, task: Mapping[str, Any]) -> Started:
    return Started(one_off, task["taskArn"], task.get("createdAt") or datetime.now(UTC))


def _no_place(target: Target, failure: Mapping[str, Any]) -> Complaint:
    reason = failure.get("reason") or "ECS started nothing and gave no reason"
    what = f"RunTask: {reason} {failure.get('detail') or ''}".rstrip()
    return Complaint(str(target), what, "run it again; there may be room in the cluster by then")


def _started_by(author: Author) -> str:
    """Return the author as a legal `startedBy`.

    Source: ECS's documentation of startedBy: up to 128 letters, digits, - / and _.
    """
    return re.sub(r"[^A-Za-z0-9_/-]", "-", f"deploytasks/{author.by}")[:128]
