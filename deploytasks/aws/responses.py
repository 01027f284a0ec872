"""Checks of AWS's responses as they arrive: complete, readable, and with the members that this package reads.

Botocore takes a response that it can't read for an empty one, and a truncated one for a whole one. Here such a response
becomes an error, `UnreadableAnswer`, with the HTTP status of a gateway whose upstream answers nonsense: the rules for
that status decide whether the call is retried, looked up again or given up.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from botocore import parsers
from botocore.utils import lowercase_dict, parse_timestamp

from deploytasks.aws import operations
from deploytasks.errors import AwsError, Complaint, Unforeseen

UNREADABLE = "UnreadableAnswer"
TO_DO = "something between here and AWS, e.g. a proxy, spoils its answers; then run the same command again"

_SCALARS: Mapping[str, type | tuple[type, ...]] = {
    **{"string": str, "boolean": bool, "integer": int, "long": int},
    **{"float": (int, float), "double": (int, float)},
}
_SHOWN = 80


class Unreadable(Unforeseen):
    """AWS's response lacks a member that it always has."""


class _Odd(ValueError):
    """The response is JSON, but not AWS's."""


class Members(dict[str, Any]):
    """A structure of a response. A member that AWS did not send raises Unreadable instead of KeyError."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        raise Unreadable(Complaint("AWS", f"its answer has no `{name}`", TO_DO), error_code=UNREADABLE)


class Factory(parsers.ResponseParserFactory):
    """Creates the checking parsers; it is a component of a botocore session."""

    def create_parser(self, protocol_name: str) -> Any:
        """Return the parser of a protocol, e.g. `json`."""
        return _CHECKED[protocol_name](timestamp_parser=_timestamp)


class _Checked:
    """The checks for every protocol's responses."""

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """Return the parsed response, or an error that says why it can't be read.

        Botocore calls this outside of its retries, so nothing is raised, whatever its parsers fail on.
        """
        if why := _cut(response):
            return _unreadable(response, why, HTTPStatus.BAD_GATEWAY)
        status = response["status_code"]
        try:
            parsed: Any = super().parse(response, shape) or {}  # type: ignore[misc]
        except Exception as error:
            passes = status < 300 or status >= 500
            return _unreadable(response, _strange(response, error), HTTPStatus.BAD_GATEWAY if passes else status)
        missing = _missing(response, parsed) if status < 300 else ""
        return _unreadable(response, missing, HTTPStatus.BAD_GATEWAY) if missing else parsed

    def _handle_structure(self, shape: Any, node: Any) -> Any:
        parsed = super()._handle_structure(shape, node)  # type: ignore[misc]
        return parsed if parsed is None else Members(parsed)

    def _handle_list(self, shape: Any, node: Any) -> Any:
        if None in node:
            raise _Odd(f"{shape.name} holds a null")
        return super()._handle_list(shape, node)  # type: ignore[misc]


class _CheckedJson(_Checked):
    """The additional checks for JSON: the body may be invalid, and any value may have the wrong type."""

    def _parse_body_as_json(self, body: bytes) -> Any:
        return json.loads(body) if body else {}

    def _default_handle(self, shape: Any, value: Any) -> Any:
        if not isinstance(value, _SCALARS.get(shape.type_name, object)):
            raise _Odd(f"{shape.name} is not of type {shape.type_name}")
        return value


_KINDS: Mapping[str, Any] = parsers.PROTOCOL_PARSERS
_CHECKED = {
    protocol: type(kind.__name__, (_CheckedJson if "json" in protocol else _Checked, kind), {})
    for protocol, kind in _KINDS.items()
}


def settle(response: tuple[Any, Mapping[str, Any]] | None) -> None:
    """Set the HTTP status of an unreadable response to that of its error, for code that reads the status.

    Call it before anything decides whether to retry the call.
    """
    if response and response[1].get("Error", {}).get("Code") == UNREADABLE:
        response[0].status_code = response[1]["ResponseMetadata"]["HTTPStatusCode"]


def located(where: str, error: Unreadable) -> AwsError:
    """Return the error with `where` as the place of its complaints."""
    complaints = (each.at(where) for each in error.complaints)
    return AwsError(*complaints, error_code=error.error_code, operation=error.operation)


def _cut(response: Mapping[str, Any]) -> str:
    """Return how much of the response is missing, judged by its Content-Length; "" if it is complete."""
    announced, body = response["headers"].get("content-length", ""), response["body"]
    if not str(announced).isdigit() or not isinstance(body, bytes) or int(announced) == len(body):
        return ""
    return f"{len(body):,} of its {int(announced):,} bytes came"


def _strange(response: Mapping[str, Any], error: Exception) -> str:
    body = response["body"]
    kind = response["headers"].get("content-type", "no content type")
    text = " ".join(body[: _SHOWN * 4].decode("utf-8", "replace").split()) if isinstance(body, bytes) else ""
    shown = text[:_SHOWN] + "…" * (len(text) > _SHOWN)
    why = error if isinstance(error, _Odd) else "it is not AWS's"
    return f"{why} (HTTP {response['status_code']}, {kind}: {shown or 'nothing'})"


def _missing(response: Mapping[str, Any], parsed: Mapping[str, Any]) -> str:
    needed = operations.answers_of(response["context"].get("operation_name", ""))
    return ", ".join(f"it has no `{name}`" for name in needed if name not in parsed)


def _unreadable(response: Mapping[str, Any], why: str, status: int) -> dict[str, Any]:
    headers = lowercase_dict(response["headers"])
    metadata = {"HTTPStatusCode": int(status), "HTTPHeaders": headers, "RetryAttempts": 0}
    return {"Error": {"Code": UNREADABLE, "Message": f"the answer can't be read: {why}"}, "ResponseMetadata": metadata}


def _timestamp(value: Any) -> datetime:
    """Parse a timestamp: epoch seconds from ECS, which botocore spends most of a DescribeServices on recognizing."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    parsed: datetime = parse_timestamp(value)
    return parsed
