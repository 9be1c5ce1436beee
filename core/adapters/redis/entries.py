"""Entries of the cache: an order's document as it is sent, or the note that the read model does not have the order."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple
from uuid import UUID

from core.ports.listed_orders import OrderDocument

_ENTRY = re.compile(rb"1 [0-9a-f]+ ([0-9]{1,10}) ([0-9]{1,10}) ([0-9]{1,10}) ([0-9]{1,15}) ")


class CacheEntry(NamedTuple):
    """`document` is None when the read model does not have the order. `stored_at`: by Redis's clock, in ms."""

    document: OrderDocument | None
    stored_at: int


def key_of(order_id: UUID) -> str:
    return f"order:{order_id}"


def written(order_id: UUID, version: int, payment_version: int, document: bytes) -> tuple[str, bytes]:
    """The head of an entry, to which the script adds generation and time, and its document."""
    return f"{version} {payment_version} {_checksum(order_id, version, payment_version, document)}", document


def read(order_id: UUID, value: bytes) -> CacheEntry | None:
    """None for what we have not written for this order: somebody may have changed, cut off or copied it."""
    head = _ENTRY.match(value)
    if head is None:
        return None
    version, payment_version, checksum, stored_at = map(int, head.groups())
    document = value[head.end() :]
    if _checksum(order_id, version, payment_version, document) != checksum:
        return None
    return CacheEntry(OrderDocument(version, payment_version, document) if version else None, stored_at)


def _checksum(order_id: UUID, version: int, payment_version: int, document: bytes) -> int:
    return zlib.crc32(document, zlib.crc32(b"%b %d %d" % (order_id.bytes, version, payment_version)))
