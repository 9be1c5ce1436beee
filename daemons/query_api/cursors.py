"""Cursors: each is one opaque word that says from which row of a list to read on, and in which direction."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from core import codec
from core.errors import FieldError
from daemons.http.problems import wrong_fields

LONGEST_AMOUNT = 20


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The row from which to read on: after it when `way` is "next", before it when `way` is "prev".

    `value` is that row's value in the column by which the list is sorted.
    """

    sort: str
    way: Literal["next", "prev"]
    value: str
    id: UUID


_decode = msgspec.json.Decoder(Cursor, strict=True).decode


def opaque(sort: str, way: Literal["next", "prev"], place: tuple[Any, UUID]) -> str:
    value, id_ = place
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return base64.urlsafe_b64encode(codec.json(Cursor(sort, way, text, id_))).decode().rstrip("=")


def place(text: str, sort: str) -> tuple[tuple[Any, UUID], bool]:
    """The place in a list, and whether to read backwards from it.

    Raises RequestRefused for a text that is not a cursor that `opaque` made for this sort.
    """
    try:
        cursor = _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if cursor.sort == sort:
            return (_value(cursor), cursor.id), cursor.way == "prev"
    except (ValueError, OverflowError, ArithmeticError, binascii.Error, msgspec.MsgspecError):
        pass
    raise wrong_fields(FieldError("cursor", "is not one that was given for this list and sort"))


def _value(cursor: Cursor) -> datetime | Decimal:
    if cursor.sort.endswith("_at"):
        return datetime.fromisoformat(cursor.value).astimezone(UTC)
    amount = Decimal(cursor.value[:LONGEST_AMOUNT])
    if not amount.is_finite() or abs(amount.adjusted()) > LONGEST_AMOUNT:
        raise ValueError(cursor.value)
    return amount


def ends(
    sort: str,
    first: tuple[Any, UUID] | None,
    last: tuple[Any, UUID] | None,
    *,
    more: bool,
    start: bool,
    backwards: bool,
) -> dict[str, str | None]:
    """The cursors of the next and the previous page, given the places of a page's first and last rows.

    A cursor is None where the list ends. `more`: further rows follow in the direction in which the page was read.
    `start`: the page was read from a cursor, not from the list's beginning.
    """
    before, after = (more, True) if backwards else (start, more)
    return {
        "next_cursor": opaque(sort, "next", last) if last and after else None,
        "prev_cursor": opaque(sort, "prev", first) if first and before else None,
    }
