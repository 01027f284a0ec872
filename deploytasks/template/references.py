"""Find the secrets, parameters and roles that a task definition names, without which its tasks do not start. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from botocore.model import ListShape, Shape, StructureShape
from msgspec import Struct

from deploytasks.model import Definition
from deploytasks.template.shape import request_shape

Kind = Literal["secret", "parameter", "role"]
_ROLES = ("taskRoleArn", "executionRoleArn")
_IN_SECRETS_MANAGER = "/aws/reference/secretsmanager/"
"""Source: Systems Manager user guide, "Referencing AWS Secrets Manager secrets from Parameter Store parameters"."""


class Reference(Struct, frozen=True):
    """One reference, by the `name` to ask its service with: a secret's or role's name or ARN, a parameter's name.

    A parameter whose ARN does not tell `x` from `/x` is called `parameter/x`. `account` and `region` are those of its
    ARN, "" if they are the target's. `key` and `text` are what the request says: `executionRoleArn` and its value. A
    role must trust the service `principal`, "" for the one of ECS's tasks.
    """

    kind: Kind
    name: str
    account: str
    region: str
    key: str
    text: str
    principal: str = ""

    @property
    def shown(self) -> str:
        """The name that people know it by."""
        return self.text if self.kind == "parameter" else self.name


def references(request: Definition) -> Iterator[Reference]:
    """Yield what the RegisterTaskDefinition request names."""
    for key in _ROLES:
        if text := str(request.get(key) or ""):
            yield role(key, text)
    for key, text in _texts(request, request_shape("RegisterTaskDefinition")):
        if found := _referred(key, text):
            yield found


def role(key: str, text: str, principal: str = "") -> Reference:
    """Return the reference to a role, named by `key`, that must trust the service `principal`."""
    account = text.split(":")[4] if text.count(":") >= 5 else ""
    return Reference("role", text, account, "", key, text, principal)


def _texts(value: Any, shape: Shape) -> Iterator[tuple[str, str]]:
    """Yield each `valueFrom` of a secret and each `credentialsParameter`, wherever ECS's model has one."""
    match shape:
        case StructureShape() if isinstance(value, Mapping):
            for key, member in shape.members.items():
                if key in ("valueFrom", "credentialsParameter") and value.get(key):
                    yield key, str(value[key])
                elif value.get(key):
                    yield from _texts(value[key], member)
        case ListShape() if isinstance(value, Iterable):
            for item in value:
                yield from _texts(item, shape.member)


def _referred(key: str, text: str) -> Reference | None:
    """Return what a text refers to: in `valueFrom` a bare name is a parameter, in `credentialsParameter` a secret.

    A parameter is asked for by name: SSM has not always accepted ARNs in place of names.

    Source: botocore's documentation of both; ECS developer guide, "Pass Secrets Manager secrets through Amazon ECS
    environment variables" (`:json-key:version-stage:version-id` follow the secret's ARN).
    """
    match text.split(":"):
        case ["arn", _, "secretsmanager", region, account, _, _, *_]:
            return Reference("secret", ":".join(text.split(":")[:7]), account, region, key, text)
        case ["arn", _, "ssm", region, account, resource, *_]:
            return _parameter(resource.removeprefix("parameter"), account, region, key, text)
        case ["arn", *_]:
            return None
        case _ if key == "credentialsParameter":
            return Reference("secret", text, "", "", key, text)
    return _parameter(text, "", "", key, text)


def _parameter(name: str, account: str, region: str, key: str, text: str) -> Reference:
    if name.startswith(_IN_SECRETS_MANAGER):
        secret, _, _ = name.removeprefix(_IN_SECRETS_MANAGER).partition(":")  # a version or its stage may follow
        return Reference("secret", secret, account, region, key, text)
    name = f"parameter{name}" if text.startswith("arn:") and name.count("/") == 1 else name
    return Reference("parameter", name, account, region, key, text)
