"""Our SSM parameters in the registry's account: their names, and how to read, create, write and delete one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploytasks.aws.errors import dated, is_lost, translated


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's value, and when it was written and read: both by AWS's own clock, None if not reported."""

    value: str
    modified_at: datetime | None = None
    read_at: datetime | None = None

    @property
    def age_s(self) -> float | None:
        """Return the seconds since it was written, independent of this host's clock; None if unknown."""
        if self.modified_at is None or self.read_at is None:
            return None
        return (self.read_at - self.modified_at).total_seconds()


def path(project: str, tier: str, kind: str = "lock") -> str:
    """Return the name of the tier's parameter of that kind."""
    return f"{folder(project, tier)}/{kind}"


def folder(project: str, tier: str) -> str:
    """Return the prefix of the names of all the tier's parameters."""
    return f"/deploytasks/{project}/{tier}"


def find(client: Any, name: str, where: str) -> Parameter | None:
    """Return the parameter, None if there is none.

    Source: ssm GetParameter: LastModifiedDate, and the `Date` header of the answer.

    """
    with translated(where):
        try:
            answer = client.get_parameter(Name=name)
        except client.exceptions.ParameterNotFound:
            return None
    found = answer["Parameter"]
    return Parameter(found["Value"], found.get("LastModifiedDate"), dated(answer))


def create(client: Any, name: str, value: str, where: str) -> bool:
    """Create the parameter; return False if it exists with another value. Of any number of callers, one creates it.

    If the answer was lost, the parameter's value tells whether it was created.

    Source: ssm PutParameter with Overwrite=False.

    """
    with translated(where):
        try:
            client.put_parameter(Name=name, Value=value, Type="String", Overwrite=False)
        except (client.exceptions.ParameterAlreadyExists, client.exceptions.TooManyUpdates):
            return False
        except (BotoCoreError, ClientError) as error:
            if not is_lost(error):
                raise
            found = find(client, name, where)
            return found is not None and found.value == value
    return True


def write(client: Any, name: str, value: str, where: str) -> None:
    """Write the parameter, whether it exists or not.

    Source: ssm PutParameter with Overwrite=True.

    """
    with translated(where):
        client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def delete(client: Any, name: str, where: str) -> None:
    """Delete the parameter, if there is one.

    Source: ssm DeleteParameter.

    """
    with translated(where):
        try:
            client.delete_parameter(Name=name)
        except client.exceptions.ParameterNotFound:
            return
