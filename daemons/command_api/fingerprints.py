"""The fingerprint of a command: the same for all requests that mean the same, however they are written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, cast, get_origin

import msgspec
from msgspec.structs import astuple

from core.domain.validation import composed
from daemons.http.unknown_fields import bare_type

LARGEST_EXPONENT = 40  # of ten; no amount that is taken needs more, and a larger one would become a very long text
IN_ANY_CASE = frozenset({"country", "currency"})

_PLAIN = msgspec.json.Encoder(order="sorted")
_FORMER = msgspec.json.Encoder(decimal_format="string", order="sorted")


def fingerprint(route: str, path: Mapping[str, Any], body: msgspec.Struct) -> bytes:
    """SHA-256 of the route, what stands in its path, and the body.

    Spacing, the order of fields, defaults that are left out, 10, 10.00, "10.00" and 1e1, the case of country, currency
    and ids, and Unicode forms make no difference.
    """
    places = {name: _place(name, str(value)) for name, value in path.items()}
    return hashlib.sha256(_PLAIN.encode([route, places, _same(body)])).digest()


def former_fingerprint(path: str, sent: msgspec.Struct) -> bytes:
    """As releases up to 0.1.0 made it, so that a command that was sent before an upgrade can be repeated after it."""
    return hashlib.sha256(path.encode(errors="surrogatepass") + b"\n" + _FORMER.encode(sent)).digest()


def _place(name: str, value: str) -> str:
    return value.lower() if name.endswith("_id") else composed(value)


def _same(body: msgspec.Struct) -> list[Any]:
    """The names and values of the fields that are given, each value in the one form for all that mean the same."""
    same: list[Any] = []
    for (name, form), value in zip(_forms(type(body)), astuple(body), strict=True):
        if value is None or (value.__class__ is str and not value):
            continue  # a decimal is not compared with a text, which takes long
        same += (name, form(value) if form else value)
    return same


@cache
def _forms(kind: type[msgspec.Struct]) -> Sequence[tuple[str, Callable[[Any], Any] | None]]:
    return [(field.name, _form(field.name, field.type)) for field in msgspec.structs.fields(kind)]


def _form(name: str, kind: Any) -> Callable[[Any], Any] | None:
    kind = bare_type(kind)
    if name in IN_ANY_CASE:
        return str.upper
    if kind is Decimal:
        return _number
    if get_origin(kind) is tuple:
        return _same_of_each
    return _same_of_one if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _same_of_one(value: Any) -> Any:
    """A payment method that is an object with a type alone means the same as the text of this type."""
    if isinstance(value, str):
        return value
    same = _same(value)
    return same[1] if same[::2] == ["type"] else same


def _same_of_each(value: Any) -> Any:
    return [_same(each) for each in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


def _number(value: Decimal) -> str:
    if value.is_finite() and abs(value.adjusted()) <= LARGEST_EXPONENT:
        return f"{value.normalize():f}"
    return str(value)
