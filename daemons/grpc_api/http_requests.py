"""Makes of a message the HTTP request that it stands for; all that HTTP would refuse, it is left to refuse."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from daemons.grpc_api.grpc_statuses import wrong_field
from daemons.grpc_api.orderdeck_pb2 import Restock
from daemons.grpc_api.routes import Route

TERMS = "terms"  # the field with the terms of a command, which HTTP has in headers and in the query
PASSED_ON = frozenset(
    {"authorization", "idempotency-key", "if-match", "orderdeck-actor", "traceparent", "tracestate", "x-request-id"}
)
"""The metadata of a call that become headers of the request."""
WITH_COMMAS_INSIDE = frozenset({"customer_id", "not_customer_id"})  # given several times, where others are listed
RESTOCK = Restock.DESCRIPTOR

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class HttpRequest(NamedTuple):
    """`target` is the path with the query."""

    verb: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes | None


def http_request(route: Route, message: Message, metadata: Iterable[tuple[str, Any]]) -> HttpRequest:
    """Raises CallRefused for what no HTTP request could say."""
    path = route.path
    for name in route.names:
        path = path.replace(f"{{{name}}}", _segment(name, getattr(message, name)))
    headers = [(name, str(value)) for name, value in metadata if name in PASSED_ON]
    if route.is_command:
        query, more = _terms(getattr(message, TERMS))
        body = msgspec.json.encode(_document(message, {*route.names, TERMS}))
        headers += [("content-type", "application/json"), *more]
    else:
        query, body = _pairs(message, route.names), None
    target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
    return HttpRequest(route.verb, target, [_header(*each) for each in headers], body)


def unknown_names(message: Message) -> list[str]:
    """A name for each field that is not known here. Over HTTP such a field has a name, and here only a number."""
    return [f"field_{each.field_number}" for each in UnknownFieldSet(message)]


def _segment(name: str, value: str) -> str:
    if not value:
        raise wrong_field(name, "is required")
    return quote(value, safe="")


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    value = value.strip(" ")  # blanks around a value are none of it in HTTP, and no header can be written with them
    if _CONTROL.search(value):
        raise wrong_field(name, "must have no control characters")
    return name.encode(), value.encode()


def _terms(terms: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What the terms of a command are in the query, and in headers."""
    query = [(name, "true") for name in ("dry_run", "strict") if getattr(terms, name)]
    query += [(name, "") for name in unknown_names(terms)]
    headers: list[tuple[str, str]] = []
    if terms.idempotency_key:
        headers.append(("idempotency-key", f'"{terms.idempotency_key}"'))
    if terms.HasField("expected_version"):
        headers.append(("if-match", f'"{terms.expected_version}"'))
    if terms.actor:
        headers.append(("orderdeck-actor", terms.actor))
    return query, headers


def _document(message: Message, without: Collection[str] = ()) -> dict[str, Any]:
    """The message as a JSON object. A field that is not optional is always in it, since it always has a value."""
    document: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.name in without or (field.has_presence and not message.HasField(field.name)):
            continue
        value = getattr(message, field.name)
        document[field.name] = [_plain(each) for each in value] if field.is_repeated else _plain(value)
    return document | dict.fromkeys(unknown_names(message))


def _plain(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    if value.DESCRIPTOR is not RESTOCK:
        return _document(value)
    restock: Any = value
    units, everything = list[Message](restock.units), bool(restock.everything)
    if everything and units:
        raise wrong_field("restock", "names units, although everything comes back")
    return True if everything else [_document(each) for each in units]


def _pairs(message: Message, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """The fields that are given, as parameters of a query."""
    pairs: list[tuple[str, str]] = []
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.name in without or not (len(value) if field.is_repeated else message.HasField(field.name)):
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            pairs += _pairs(value)
        elif not field.is_repeated:
            pairs.append((field.name, _text(value)))
        elif field.name in WITH_COMMAS_INSIDE:
            pairs += [(field.name, each) for each in value]
        else:
            pairs.append((field.name, ",".join(value)))
    return pairs + [(name, "") for name in unknown_names(message)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
