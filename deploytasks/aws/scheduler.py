"""EventBridge Scheduler: the schedules that run jobs. `rules/schedule.py` decides what is sent.

Every function takes a client of the target's account, and `where`, the target as messages name it.
"""

from collections.abc import Mapping
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.model import DEFAULT_GROUP


def get_schedule(client: Any, where: str, name: str, group: str = DEFAULT_GROUP) -> dict[str, Any] | None:
    """Return the schedule as the UpdateSchedule request that repeats it; None if there is none of that name.

    Source: scheduler GetSchedule, without what the request of UpdateSchedule does not take.

    """
    with translated(where):
        try:
            told = client.get_schedule(Name=name, GroupName=group)
        except client.exceptions.ResourceNotFoundException:
            return None
        shape = client.meta.service_model.operation_model("UpdateSchedule").input_shape
        return {key: value for key, value in told.items() if key in shape.members}


def create_schedule(client: Any, where: str, request: Mapping[str, Any]) -> None:
    """Create the schedule; if the answer is lost, botocore sends it again with the same ClientToken.

    Raises:
        AwsError: among others, there is a schedule of that name, or no such group.

    Source: scheduler CreateSchedule, "ClientToken".

    """
    with translated(where):
        client.create_schedule(**request)


def update_schedule(client: Any, where: str, request: Mapping[str, Any]) -> None:
    """Replace the schedule by the request, which names all that is to stay; repeated as `create_schedule` is.

    Source: scheduler UpdateSchedule: what is left out is reset to its default.

    """
    with translated(where):
        client.update_schedule(**request)
