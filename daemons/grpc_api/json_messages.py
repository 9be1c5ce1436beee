"""Makes messages of the JSON that the HTTP services answer. Amounts stay decimal texts, and payloads stay JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from daemons.grpc_api.orderdeck_pb2 import Amounts

Put = Callable[[Message, Any], None]
"""Sets one field of a message to a value of JSON."""

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def read_json(data: bytes) -> Any:
    """Numbers with a point become Decimals. Raises msgspec.DecodeError."""
    return _DECODER.decode(data)


def fill(message: Message, document: Mapping[str, Any]) -> None:
    """Set the fields of these names. Names that the message does not have are left out, and so are nulls."""
    puts = _puts(message.DESCRIPTOR)
    for name, value in document.items():
        if value is not None and (put := puts.get(name)) is not None:
            put(message, value)


@cache
def _puts(kind: Descriptor) -> Mapping[str, Put]:
    return {field.name: _put(field) for field in kind.fields}


def _put(field: FieldDescriptor) -> Put:
    name, kind = field.name, field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return _put_map(name, kind.fields_by_name["value"])
    if field.is_repeated:
        return _put_list(name, field)
    if kind is None:
        convert = _scalar(field)
        return lambda message, value: setattr(message, name, convert(value))
    if kind is Timestamp.DESCRIPTOR:
        return lambda message, value: getattr(message, name).FromJsonString(value)
    return lambda message, value: _fill_one(getattr(message, name), value)


def _put_list(name: str, field: FieldDescriptor) -> Put:
    if field.message_type is None:
        convert = _scalar(field)
        return lambda message, value: getattr(message, name).extend([convert(each) for each in value])

    def put(message: Message, value: Any) -> None:
        several = getattr(message, name)
        for each in value:
            fill(several.add(), each)

    return put


def _put_map(name: str, field: FieldDescriptor) -> Put:
    convert = _scalar(field)

    def put(message: Message, value: Any) -> None:
        entries = getattr(message, name)
        for key, each in value.items():
            if field.message_type is None:
                entries[key] = convert(each)
            else:
                _fill_one(entries[key], each)

    return put


def _fill_one(message: Message, value: Any) -> None:
    message.SetInParent()
    fill(message, {"amounts": value} if message.DESCRIPTOR is Amounts.DESCRIPTOR else value)


def _scalar(field: FieldDescriptor) -> Callable[[Any], Any]:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _text
        case FieldDescriptor.TYPE_DOUBLE:
            return float
        case FieldDescriptor.TYPE_BOOL:
            return bool
        case _:
            return int


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _ENCODER.encode(value).decode()
