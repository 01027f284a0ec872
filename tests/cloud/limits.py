"""AWS's published rate limits: a token bucket for each kind of call, in each account.

Source: "Request throttling for the Amazon ECS API", whose actions of one category share a bucket; the service quotas of
ECR and Systems Manager; for rules "CloudWatch Events Limits".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.cloud.accounts import AwsError, Call


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many calls at once, and so many a second after that."""

    name: str
    burst: float
    per_s: float


def _buckets(service: str, *rows: tuple[str, float, float]) -> dict[tuple[str, str], Bucket]:
    """Each operation's bucket; operations in one row share it."""
    return {
        (service, operation): Bucket(operations, burst, per_s)
        for operations, burst, per_s in rows
        for operation in operations.split()
    }


BUCKETS: Mapping[tuple[str, str], Bucket] = {
    **_buckets(
        "ecs",
        ("RegisterTaskDefinition DeregisterTaskDefinition", 20, 1),
        ("DescribeTaskDefinition ListTaskDefinitions", 50, 20),
        ("CreateService UpdateService DeleteService", 50, 5),
        ("DescribeServices ListServices", 100, 20),
        ("DescribeTasks ListTasks", 100, 20),
        ("RunTask StopTask", 100, 40),
        ("ListServiceDeployments DescribeServiceDeployments DescribeServiceRevisions", 50, 20),
        ("DescribeClusters", 50, 20),
        ("CreateCluster", 20, 1),
        ("TagResource UntagResource", 20, 10),
        ("ListTagsForResource", 50, 20),
    ),
    **_buckets("ecr", ("PutImage", 10, 10)),
    **_buckets("events", ("DescribeRule ListTargetsByRule PutTargets", 50, 50)),
    **_buckets("ssm", ("GetParameter GetParameters PutParameter", 40, 40)),
}
"""What no row names is not limited: a release asks it of the registry's account a few times, and no more."""


class Limits:
    """How full every account's buckets are."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[tuple[str, Bucket], tuple[float, float]] = {}

    def check(self, call: Call) -> None:
        """The call has taken its token.

        Raises: AwsError where there is none: the call is throttled.
        """
        bucket = BUCKETS.get((call.service, call.operation))
        if bucket is None:
            return
        now = self._clock()
        left, at = self._left.get((call.account, bucket), (bucket.burst, now))
        left = min(bucket.burst, left + max(0.0, now - at) * bucket.per_s)
        self._left[call.account, bucket] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise AwsError("ThrottlingException", "Rate exceeded")
