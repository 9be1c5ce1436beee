"""Lists of orders: what they are asked for and what they answer. The methods are in `core.ports.queries.Queries`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from core.filters.order_query import OrderQuery
from core.ports.order_cache import CacheUse

OrderSort = Literal["-created_at", "created_at", "-updated_at", "updated_at", "-total_amount", "total_amount"]
"""How a list of orders is sorted. With a minus, the newest or the largest comes first."""

OrderPlace: TypeAlias = tuple[datetime | Decimal, UUID]
"""The place of one order in a sorted list: the order's value that the list is sorted by, and the order's id."""


TroubleState = Literal["failed", "overdue", "retrying"]


class OrderTrouble(Struct, frozen=True, kw_only=True):
    """An unfinished saga of an order that does not get on; `open_amount` is None while it is not known."""

    saga_id: UUID
    saga_state: TroubleState
    open_amount: Decimal | None


class OrderDocument(Struct, frozen=True, gc=False):
    """The view of an order as JSON that is ready to send, and the versions of the order and its payment in it.

    `cache` says how it was read, and `age` how many seconds it had been in the cache.
    """

    version: int
    payment_version: int
    json: bytes
    cache: CacheUse = "bypass"
    age: int = 0

    def shows(self, version: int, payment_version: int) -> bool:
        """Whether it has these versions of the order and its payment, or later ones."""
        return self.version >= version and self.payment_version >= payment_version


class OrderSearch(Struct, frozen=True, kw_only=True):
    """Asks for at most `limit` orders of a sorted list: the first ones after `start`, or the last ones before it.

    `troubles`: an order whose saga is in trouble says so, with the fields of OrderTrouble.
    """

    filter: OrderQuery
    sort: OrderSort = "-created_at"
    start: OrderPlace | None = None
    backwards: bool = False
    limit: int = 20
    troubles: bool = True


class DocumentPage(Struct, frozen=True, kw_only=True):
    """One page of a sorted list of orders, and the places of its first and its last order.

    `json` is the array of their views as it is sent, and `size` the number of orders in it.
    `more`: the list goes on after the last order, or before the first one if the page was read backwards.
    """

    json: bytes
    size: int
    first: OrderPlace | None
    last: OrderPlace | None
    more: bool


class OrderCount(Struct, frozen=True):
    """How many orders there are. `estimated`: there are too many to count them quickly."""

    total: int
    estimated: bool


class OrderCounts(Struct, frozen=True, kw_only=True):
    """How many orders there are: altogether, in each status, and with each status of their payment; 0 where none is."""

    total: OrderCount
    statuses: Mapping[str, OrderCount]
    payments: Mapping[str, OrderCount]
