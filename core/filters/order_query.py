"""OrderQuery: which orders a list shows, as parameters of the query API, and judged of one order without asking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol, cast
from uuid import UUID

from msgspec import Struct
from msgspec.structs import asdict, replace

from core.domain.order import Status
from core.domain.order_number import in_capitals
from core.domain.payment import PaymentStatus

STATUSES = tuple(status.value for status in Status if status is not Status.ABSENT)
PAYMENT_STATUSES = tuple(status.value for status in PaymentStatus)


class _SkuOfLine(Protocol):
    @property
    def sku(self) -> str: ...


class ListedOrder(Protocol):
    """What is told of an order in lists."""

    @property
    def order_id(self) -> object: ...
    @property
    def order_number(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def payment_status(self) -> str: ...
    @property
    def total_amount(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...
    @property
    def items(self) -> Sequence[_SkuOfLine]: ...
    @property
    def tracking_number(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...


class OrderQuery(Struct, frozen=True, kw_only=True):
    """Selects the orders that fit every field that is neither None nor empty.

    An order fits a field with several values if it has one of them, and a `not_…` if it has none of them. Orders that
    are exactly at `created_from`, `updated_from`, `min_total` or `max_total` fit; those exactly at `created_to` or
    `updated_to` do not. `q` is the start of an order number, whose letters may be small, or of a tracking number; or a
    whole SKU; or the id of an order, of its payment, or of one of its sagas.
    """

    order_id: tuple[UUID, ...] = ()
    order_number: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    not_status: tuple[str, ...] = ()
    payment: tuple[str, ...] = ()
    not_payment: tuple[str, ...] = ()
    customer_id: tuple[str, ...] = ()
    not_customer_id: tuple[str, ...] = ()
    sku: tuple[str, ...] = ()
    not_sku: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()
    not_currency: tuple[str, ...] = ()
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    q: str | None = None

    def params(self) -> dict[str, str | Sequence[str]]:
        """As parameters of `GET /api/v1/orders`; a parameter with several values is given several times."""
        return {name: _text(value) for name, value in asdict(self).items() if value is not None and value != ()}

    def among(self, order_ids: Sequence[str]) -> OrderQuery:
        """The same query, only for orders with these ids; what is no id is no order's."""
        ids = tuple(id_ for text in order_ids if (id_ := as_id(text)) and (not self.order_id or id_ in self.order_id))
        return replace(self, order_id=ids or (NIL,))

    def takes(self, order: ListedOrder) -> bool | None:
        """Whether the order fits, judged as the server does; None when only the server can say."""
        skus = {line.sku for line in order.items}
        fits = (
            (not self.order_id or str(order.order_id) in map(str, self.order_id))
            and (not self.order_number or order.order_number in self.order_number)
            and _has(self.status, self.not_status, {order.status})
            and _has(self.payment, self.not_payment, {order.payment_status})
            and _has(self.customer_id, self.not_customer_id, {order.customer_id})
            and _has(self.sku, self.not_sku, skus)
            and _has(self.currency, self.not_currency, {order.currency})
            and (self.min_total is None or order.total_amount >= self.min_total)
            and (self.max_total is None or order.total_amount <= self.max_total)
            and _between(self.created_from, order.created_at, self.created_to)
            and _between(self.updated_from, order.updated_at, self.updated_to)
        )
        if not fits or self.q is None or self._begins(self.q, order, skus):
            return fits
        return None if as_id(self.q) is not None else False

    @staticmethod
    def _begins(q: str, order: ListedOrder, skus: set[str]) -> bool:
        return (
            order.order_number.startswith(in_capitals(q))
            or (order.tracking_number or "").startswith(q)
            or q in skus
            or (as_id(q) is not None and q.lower() == str(order.order_id))
        )


NIL = UUID(int=0)
"""The id of no order."""


def as_id(text: str) -> UUID | None:
    """The id that a text is, as ids are written in answers; None for any other text."""
    try:
        id_ = UUID(text)
    except ValueError:
        return None
    return id_ if str(id_) == text.lower() else None


def _has(wanted: Sequence[str], left_out: Sequence[str], there: set[str]) -> bool:
    return (not wanted or not there.isdisjoint(wanted)) and there.isdisjoint(left_out)


def _between(start: datetime | None, moment: datetime, end: datetime | None) -> bool:
    return (start is None or moment >= start) and (end is None or moment < end)


def _text(value: Any) -> str | Sequence[str]:
    match value:
        case tuple():
            texts = list(map(str, cast("tuple[object, ...]", value)))
            return texts[0] if len(texts) == 1 else texts
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
