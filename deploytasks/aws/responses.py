"""Checks of AWS's responses as they arrive: complete, readable, and with the members that this package reads.

Botocore takes a response that it can't read for an empty one, and a truncated one for a whole one. Here such a response
becomes an error, `UnreadableAnswer`, with the HTTP status of a gateway whose upstream answers nonsense: the rules for
that status decide whether the call is retried, looked up again or given up.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
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
_Reader = Callable[[Any], Any]


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
        return _Checking(super().create_parser(protocol_name), protocol_name)


class _Checking:
    """Botocore's parser, with checks; successes in ECS's protocol are read here, which looks once at each value."""

    def __init__(self, parser: Any, protocol: str) -> None:
        self._botocores, self._protocol = parser, protocol

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """Return the parsed response, or an error that says why it can't be read.

        Botocore calls this outside of its retries, so nothing is raised, whatever its parsers fail on.
        """
        if why := _cut(response):
            return _unreadable(response, why, HTTPStatus.BAD_GATEWAY)
        status = response["status_code"]
        try:
            parsed = self._parsed(response, shape)
        except Exception as error:
            passes = status < 300 or status >= 500
            return _unreadable(response, _strange(response, error), HTTPStatus.BAD_GATEWAY if passes else status)
        missing = _missing(response, parsed) if status < 300 else ""
        return _unreadable(response, missing, HTTPStatus.BAD_GATEWAY) if missing else parsed

    def _parsed(self, response: Mapping[str, Any], shape: Any) -> Any:
        body: Any = {}
        if "json" in self._protocol and not _is_page(response):
            body = json.loads(response["body"] or b"{}")  # botocore would take any other text for a message
        if response["status_code"] > 300:
            return self._botocores.parse(response, shape) or {}
        if self._protocol != "json":
            return _with_members(self._botocores.parse(response, shape) or {})
        parsed = (shape and _reader(shape)(body)) or Members()
        headers = lowercase_dict(response["headers"])
        named = {"RequestId": headers["x-amzn-requestid"]} if "x-amzn-requestid" in headers else {}
        parsed["ResponseMetadata"] = {**named, "HTTPStatusCode": response["status_code"], "HTTPHeaders": headers}
        return parsed


def _is_page(response: Mapping[str, Any]) -> bool:
    """Return whether botocore takes the response for a gateway's, which says nothing but its status."""
    text = response["body"].strip()
    return response["status_code"] >= 500 and (not text or text.startswith(b"<html>"))


@cache
def _reader(shape: Any) -> _Reader:
    """Return the function that makes of a JSON value what botocore does, or raises if it is not of the shape's type.

    Botocore's shapes are asked once: a DescribeServices brings a thousand values.
    """
    match shape.type_name:
        case "structure":
            return _as_it_is if shape.is_document_type else _structure(shape)
        case "list":
            return _list(shape.name, _reader(shape.member))
        case "map":
            return _map(_reader(shape.key), _reader(shape.value))
        case "timestamp":
            return _timestamp
        case "blob":
            return b64decode
        case kind:
            return _scalar(shape.name, kind)


def _structure(shape: Any) -> _Reader:
    @cache  # when first needed: a shape may contain itself
    def members() -> list[tuple[str, str, _Reader]]:
        listed = shape.members.items()
        return [(member.serialization.get("name", name), name, _reader(member)) for name, member in listed]

    def read(value: Any) -> Any:
        if value is None:
            return None
        get, parsed = value.get, Members()
        for sent, name, reader in members():
            given = get(sent)
            if given is not None:
                parsed[name] = reader(given)
        return parsed

    return _union(read) if shape.is_tagged_union else read


def _union(read: _Reader) -> _Reader:
    def read_one(value: Any) -> Any:
        parsed = read(value)
        if value is None:
            return None
        (name,) = (name for name, given in value.items() if given is not None and name != "__type")
        return parsed or Members(SDK_UNKNOWN_MEMBER={"name": name})

    return read_one


def _list(name: str, member: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(name)
        if None in value:
            raise _Odd(f"{name} holds a null")
        return [member(each) for each in value]

    return read


def _map(key: _Reader, member: _Reader) -> _Reader:
    return lambda value: {key(name): member(each) for name, each in value.items()}


def _scalar(name: str, kind: str) -> _Reader:
    types = _SCALARS.get(kind, object)

    def read(value: Any) -> Any:
        if not isinstance(value, types):
            raise _Odd(f"{name} is not of type {kind}")
        return value

    return read


def _as_it_is(value: Any) -> Any:
    return value


def _with_members(value: Any) -> Any:
    """Return the value with Members in place of each dict."""
    if isinstance(value, dict):
        return Members({name: _with_members(each) for name, each in value.items()})
    return [_with_members(each) for each in value] if isinstance(value, list) else value


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
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    parsed: datetime = parse_timestamp(value)
    return parsed
