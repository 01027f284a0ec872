"""CloudWatch Logs: streams of lines, read one by one or a page at a time."""

from collections.abc import Mapping
from operator import itemgetter

from tests.cloud.accounts import REGION, Account, Answer, Ask, AwsError, Operation, page

MOST_EVENTS = 10_000
"""The most lines of a page of FilterLogEvents; AWS's pages hold fewer as well, and ours always do."""
_EVENTS_A_PAGE = 100


def write_log(account: Account, group: str, stream: str, message: str, *, ago_s: float = 0) -> None:
    """One more line in a log stream, which is made if it is not there; written some time ago, it arrives now."""
    at = int((account.cloud.clock() - ago_s) * 1000)
    account.log_streams.setdefault((group, stream), []).append((at, message))


def regional(group: str, region: str = REGION) -> str:
    """The log group of that name in the region.

    Source: log groups are a region's own (botocore: CloudWatch Logs has an endpoint a region).

    """
    return group if region == REGION else f"{group}@{region}"


def get_log_events(account: Account, ask: Ask) -> Answer:
    """Source: GetLogEvents."""
    group, limit = _group(account, ask), int(ask.get("limit", MOST_EVENTS))
    if not 1 <= limit <= MOST_EVENTS:  # Source: botocore's `EventsLimit`
        raise AwsError("InvalidParameterException", "limit is not valid.")
    lines = account.log_streams.get((group, ask["logStreamName"]))
    if lines is None:
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    events = [{"timestamp": at, "ingestionTime": at, "message": line} for at, line in lines[-limit:]]
    return {"events": events, "nextForwardToken": f"f/{len(lines)}", "nextBackwardToken": "b/0"}


def filter_log_events(account: Account, ask: Ask) -> Answer:
    """Source: FilterLogEvents. A page may be empty and not the last, as AWS's may: the first one is."""
    prefix, limit = ask.get("logStreamNamePrefix", ""), int(ask.get("limit", MOST_EVENTS))
    if not 1 <= limit <= MOST_EVENTS or (prefix and "logStreamNames" in ask):
        raise AwsError("InvalidParameterException", "limit, logStreamNames or logStreamNamePrefix is not valid.")
    group = _group(account, ask)
    found = [
        {"eventId": f"{stream}:{n}", "logStreamName": stream, "timestamp": at, "ingestionTime": at, "message": line}
        for (name, stream), lines in account.log_streams.items()
        for n, (at, line) in enumerate(lines)
        if name == group and stream.startswith(prefix) and at >= ask.get("startTime", 0)
    ]
    found.sort(key=itemgetter("timestamp"))
    if "nextToken" not in ask:
        return {"events": [], "nextToken": "0", "searchedLogStreams": []}
    events, more = page(found, ask, min(limit, _EVENTS_A_PAGE))
    return {"events": events, **more, "searchedLogStreams": []}


def _group(account: Account, ask: Ask) -> str:
    group = regional(ask["logGroupName"], account.asked_in)
    if group not in {name for name, _ in account.log_streams}:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


OPERATIONS: Mapping[str, Operation] = {"GetLogEvents": get_log_events, "FilterLogEvents": filter_log_events}
