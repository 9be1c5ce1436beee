"""Decodes the JSON body of a request into a typed struct, or refuses it with a problem that names every wrong field.

The work for a body that is refused is at most a constant times its size: `limits` counts its values and levels
before anything is decoded, and each value is looked at a fixed number of times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast, get_args, get_origin

import msgspec

from core.domain.validation import composed
from core.errors import FieldError
from daemons.http.json_bytes import why_malformed, why_refused
from daemons.http.limits import excess
from daemons.http.problems import RequestRefused, wrong_fields, wrong_json
from daemons.http.unknown_fields import bare_type, given_fields, not_known, unknown_fields
from daemons.http.wording import in_words

T = TypeVar("T", bound=msgspec.Struct)

MOST_UNKNOWN = 100
"""How many different unknown names a body may have, since each of them is compared with the known ones."""


class Body(NamedTuple, Generic[T]):
    """A decoded body. `sent` has its texts as they were sent, which may have been in several Unicode forms.

    `ignored` are the paths of the fields that the type does not have.
    """

    value: T
    sent: T
    ignored: tuple[str, ...]


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("Infinity")  # an exponent too large for a decimal; the field that holds it refuses infinity


_PLAIN = msgspec.json.Decoder(float_hook=_number)
_ODD = re.compile(r"[_\s]|[^\x00-\x7f]")
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_MANY_DIGITS = b"0" * 1_000  # of a number that one decoder takes and another refuses
_AMOUNT_AS_TEXT = re.compile(rb'"(?:unit_price|amount)"\s*:\s*"')
_AMOUNT_AS_ODD_TEXT = re.compile(_AMOUNT_AS_TEXT.pattern + rb'(?![^"\\_\s\x80-\xff]*")')  # see `_odd_amounts`
_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}


def read_body(kind: type[T], raw: bytes, content_type: str, *, strict: bool = False) -> Body[T]:
    """Decode a body; raises RequestRefused with 400 or 415. `strict`: a field that the type does not have is refused.

    One that resembles a field of the type is refused always, because the caller most probably meant that one.
    """
    if (refused := why_refused(content_type)) is not None:
        raise RequestRefused(415, "unsupported_media_type", refused)
    if (too_much := excess(raw)) is not None:
        raise wrong_fields(FieldError("body", too_much))
    if (quick := _all_known(kind, raw)) is not None:
        return Body(quick if raw.isascii() else _composed(quick), quick, ())
    plain: Any = msgspec.UNSET
    try:
        plain = _PLAIN.decode(raw)
        sent = _decoder(kind).decode(raw)
        _refuse_repeated_names(raw, plain)
        wrong = _odd_amounts(plain, kind, "") if _AMOUNT_AS_TEXT.search(raw) or b"\\u" in raw else []
    except msgspec.ValidationError as error:
        if plain is msgspec.UNSET:  # it failed before there was a value: an integer has thousands of digits
            raise _malformed(raw, str(error).partition(" - at `")[0]) from None
        _refuse_repeated_names(raw, plain)
        wrong = _wrong(plain, kind, "") or list(wrong_json(error).fields)
        raise wrong_fields(*wrong, *_refused(_unknown(plain, kind), strict=strict)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _malformed(raw, str(error)) from None
    unknown = _unknown(plain, kind)
    wrong += _refused(unknown, strict=strict)
    if wrong:
        raise wrong_fields(*wrong)
    plain_ascii = raw.isascii() and b"\\u" not in raw
    return Body(sent if plain_ascii else _composed(sent), sent, tuple(path for path, _ in unknown))


def _all_known(kind: type[T], raw: bytes) -> T | None:
    """What the body says, if it is right and surely has no name that is unknown or repeated, as most bodies are.

    Then it has as many colons as fields are given: each of those has one, and so have other names, and texts with one.
    """
    try:
        sent = _decoder(kind).decode(raw)
    except ValueError:  # as all errors of the decoder are
        return None
    odd = raw.count(b":") != given_fields(sent) or b"\\" in raw or _AMOUNT_AS_ODD_TEXT.search(raw) is not None
    if odd or (len(raw) > len(_MANY_DIGITS) and _MANY_DIGITS in raw.translate(_DIGITS)):
        return None
    return sent


def _malformed(raw: bytes, detail: str) -> RequestRefused:
    return wrong_fields(FieldError("body", f"is not valid JSON: {why_malformed(raw, detail)}"))


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    return decoder


def _unknown(plain: Any, kind: type[msgspec.Struct]) -> list[tuple[str, str | None]]:
    try:
        return unknown_fields(plain, kind, MOST_UNKNOWN)
    except OverflowError:
        raise wrong_fields(FieldError("body", f"has more than {MOST_UNKNOWN} names that are not known here")) from None


def _refused(unknown: list[tuple[str, str | None]], *, strict: bool) -> list[FieldError]:
    return [not_known(path, meant) for path, meant in unknown if strict or meant is not None]


def _composed(value: Any) -> Any:
    """The value with each of its texts in the one Unicode form in which texts are stored and compared."""
    if isinstance(value, str):
        return composed(value)
    if isinstance(value, tuple):
        return tuple(_composed(each) for each in cast("tuple[Any, ...]", value))
    if isinstance(value, msgspec.Struct):
        return type(value)(**{name: _composed(getattr(value, name)) for name in value.__struct_fields__})
    return value


def _odd_amounts(value: Any, kind: Any, path: str) -> list[FieldError]:
    """The amounts that are texts which only Python reads as numbers: 1_000, with blanks, digits of other scripts."""
    kind = bare_type(kind)
    if kind is Decimal:
        odd = isinstance(value, str) and _ODD.search(value)
        return [FieldError(path, "must be a number, as in 12.50")] if odd else []
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        members = cast("dict[str, Any]", value)
        inside = [
            _odd_amounts(members.get(name), each, f"{path}.{name}".removeprefix(".")) for name, each in _places(kind)
        ]
    elif isinstance(value, list) and get_origin(kind) is tuple:
        items = cast("list[Any]", value)
        inside = [_odd_amounts(each, get_args(kind)[0], f"{path}[{n}]") for n, each in enumerate(items)]
    else:
        return []
    return [error for errors in inside for error in errors]


@cache
def _places(kind: type[msgspec.Struct]) -> Sequence[tuple[str, Any]]:
    """The names of the fields and their types. msgspec evaluates all annotations again each time that it is asked."""
    return [(field.encode_name, bare_type(field.type)) for field in msgspec.structs.fields(kind)]


def _pairs(value: Any) -> int:
    """How many pairs of a name and a value there are at all depths; a name that is repeated counts once."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return len(pairs) + sum(_pairs(each) for each in pairs.values() if isinstance(each, dict | list))
    if isinstance(value, list):
        return sum(_pairs(each) for each in cast("list[Any]", value) if isinstance(each, dict | list))
    return 0


def _refuse_repeated_names(raw: bytes, plain: Any) -> None:
    if raw.count(b":") == _pairs(plain):  # more colons than pairs: one is within a text, or a name is repeated
        return
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
    kind = bare_type(kind)
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
    choices = _choices(kind)
    return inside or [
        FieldError(path or "body", f"must be one of {', '.join(choices)}" if choices else in_words(message))
    ]


def _choices(kind: Any) -> list[str]:
    """The values that a type allows, if they are few and have names."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [str(each.value) for each in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
