"""Hypothesis strategies read from the types themselves: a new event or field is tried without a word here."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, NewType, Union, cast, get_args, get_origin
from uuid import UUID

import msgspec
from hypothesis import HealthCheck
from hypothesis import strategies as st

# To be suppressed where examples are large or slow on purpose.
EVERY_HEALTH_CHECK = cast("list[HealthCheck]", list(HealthCheck))  # its metaclass hides the type of its members
CENTS = st.integers(1, 999_999_999_999)
AMOUNTS = CENTS.map(lambda cents: Decimal(cents).scaleb(-2))
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
    UUID: st.uuids(),
    Decimal: AMOUNTS | st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that our messages use."""
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{f.name: values(f.type) for f in msgspec.structs.fields(kind)})
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) in (UnionType, Union):
        return st.one_of(*map(values, get_args(kind)))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    return SCALARS[kind]
