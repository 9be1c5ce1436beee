"""Decodes the JSON body of a request into a typed struct, or refuses it with a problem that names every wrong field."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

import msgspec

from core.errors import FieldError
from daemons.http.problems import RequestRefused, wrong_fields, wrong_json

T = TypeVar("T", bound=msgspec.Struct)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("Infinity")  # an exponent too large for a decimal; the field that holds it refuses infinity


_PLAIN = msgspec.json.Decoder(float_hook=_number)
_ODD = re.compile(r"[_\s]|[^\x00-\x7f]")
_AMOUNT_AS_TEXT = re.compile(rb'"(?:unit_price|amount)"\s*:\s*"')
_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}


def read_body(kind: type[T], raw: bytes, content_type: str) -> T:
    """Decode a body; raises RequestRefused with 400 or 415."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, "unsupported_media_type", "the Content-Type must be application/json")
    plain: Any = msgspec.UNSET
    try:
        plain = _PLAIN.decode(raw)
        if raw.count(b":") != _pairs(plain):  # more colons than pairs: one is within a text, or a name is repeated
            _refuse_repeated_names(raw)
        body = _decoder(kind).decode(raw)
        odd = _odd_amounts(plain, kind, "") if _AMOUNT_AS_TEXT.search(raw) else []
    except msgspec.ValidationError as error:
        if plain is msgspec.UNSET:  # it failed before there was a value: an integer has thousands of digits
            raise _malformed(str(error).partition(" - at `")[0]) from None
        wrong = _wrong(plain, kind, "")
        raise (wrong_fields(*wrong) if wrong else wrong_json(error)) from None
    except RecursionError:
        raise _malformed("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _malformed(str(error)) from None
    if odd:
        raise wrong_fields(*odd)
    return body


def _malformed(detail: str) -> RequestRefused:
    return wrong_fields(FieldError("body", f"is not valid JSON: {detail}"))


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    return decoder


def _odd_amounts(value: Any, kind: Any, path: str) -> list[FieldError]:
    """The amounts that are texts which only Python reads as numbers: 1_000, with blanks, digits of other scripts."""
    kind = _bare(kind)
    if kind is Decimal:
        odd = isinstance(value, str) and _ODD.search(value)
        return [FieldError(path, "must be a number, as in 12.50")] if odd else []
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        members = cast("dict[str, Any]", value)
        places = [(field.encode_name, field.type) for field in msgspec.structs.fields(kind)]
        inside = [_odd_amounts(members.get(name), each, f"{path}.{name}".removeprefix(".")) for name, each in places]
    elif isinstance(value, list) and get_origin(kind) is tuple:
        items = cast("list[Any]", value)
        inside = [_odd_amounts(each, get_args(kind)[0], f"{path}[{n}]") for n, each in enumerate(items)]
    else:
        return []
    return [error for errors in inside for error in errors]


def _bare(kind: Any) -> Any:
    """The type within an `Annotated` one, which fields have whose limits stand in the OpenAPI document."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _pairs(value: Any) -> int:
    """How many pairs of a name and a value there are at all depths; a name that is repeated counts once."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return len(pairs) + sum(_pairs(each) for each in pairs.values() if isinstance(each, dict | list))
    if isinstance(value, list):
        return sum(_pairs(each) for each in cast("list[Any]", value) if isinstance(each, dict | list))
    return 0


def _refuse_repeated_names(raw: bytes) -> None:
    import json  # noqa: PLC0415 - few bodies need it: those with a colon within a text

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen:
                raise wrong_fields(FieldError(name, "is given twice"))
            seen[name] = value
        return seen

    json.loads(raw, object_pairs_hook=unique, parse_int=str, parse_float=str)


def _wrong(value: Any, kind: Any, path: str) -> list[FieldError]:
    """Every wrong field of a value that msgspec has refused; it names only one, so each field is tried alone."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message = str(error).partition(" - at `")[0]
    else:
        return []
    kind = _bare(kind)
    inside: list[FieldError] = []
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        members = cast("dict[str, Any]", value)
        for field in msgspec.structs.fields(kind):
            place = f"{path}.{field.encode_name}".removeprefix(".")
            if field.encode_name in members:
                inside += _wrong(members[field.encode_name], field.type, place)
            elif field.required:
                inside.append(FieldError(place, "is required"))
    elif isinstance(value, list) and get_origin(kind) is tuple:
        for n, each in enumerate(cast("list[Any]", value)):
            inside += _wrong(each, get_args(kind)[0], f"{path}[{n}]")
    return inside or [FieldError(path or "body", message[:1].lower() + message[1:])]
