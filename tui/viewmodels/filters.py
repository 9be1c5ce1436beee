"""The filter line: `status:confirmed min:100 text` becomes a query, or a sentence that says what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from core.domain.money import AMOUNT_TEXT
from tui.viewmodels.payments import PAYMENT_STATUSES
from tui.viewmodels.statuses import STATUSES
from tui.wire import WireOrder

FIELDS = ("status", "payment", "customer", "sku", "min", "max")


class FilterError(ValueError):
    """Its text is the sentence to show."""


@dataclass(frozen=True)
class OrderQuery:
    """Which orders the list shows; None means any."""

    status: str | None = None
    payment: str | None = None
    customer_id: str | None = None
    sku: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    q: str | None = None

    def params(self) -> dict[str, str]:
        """As parameters of `GET /api/v1/orders`."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: str(value) for name, value in named if value is not None}

    def takes(self, order: WireOrder) -> bool | None:
        """Whether an order belongs in the list, judged as the server does; None when only the server can say."""
        return (
            self.status in (None, order.status)
            and self.payment in (None, order.payment_status)
            and self.customer_id in (None, order.customer_id)
            and (self.sku is None or any(i.sku == self.sku for i in order.items))
            and (self.min_total is None or order.total_amount >= self.min_total)
            and (self.max_total is None or order.total_amount <= self.max_total)
            and (self.q is None or self._text(self.q, order))
        )

    @staticmethod
    def _text(q: str, order: WireOrder) -> bool:
        return (
            order.order_number.startswith(q.upper())
            or any(i.sku == q for i in order.items)
            or (order.tracking_number or "").startswith(q)
        )


def parse(text: str) -> OrderQuery:
    """Raises FilterError. Free text is the beginning of an order number or a tracking number, or a SKU."""
    values: dict[str, str] = {}
    words: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon:
            words.append(word)
            continue
        name = name.lower()
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f"did you mean {near[0]}:?" if near else f"there are {', '.join(FIELDS)}"
            raise FilterError(f"no field {name or 'without a name'}: {hint}")
        if not value:
            raise FilterError(f"{name}: needs a value")
        if name in values:
            raise FilterError(f"{name}: is given twice")
        values[name] = value
    if len(words) > 1:
        raise FilterError(f"one search word only, not {len(words)}: order number, SKU or tracking")
    low, high = _amount(values, "min"), _amount(values, "max")
    if low is not None and high is not None and low > high:
        raise FilterError(f"min:{low} is above max:{high}")
    return OrderQuery(
        status=_one_of("status", STATUSES, values.get("status")),
        payment=_one_of("payment", PAYMENT_STATUSES, values.get("payment")),
        customer_id=values.get("customer"),
        sku=values.get("sku"),
        min_total=low,
        max_total=high,
        q=words[0] if words else None,
    )


def _one_of(field: str, names: Sequence[str], value: str | None) -> str | None:
    if value is None:
        return None
    hits = [name for name in names if name.startswith(value.upper())]
    if len(hits) == 1:
        return hits[0]
    if value.upper() in names:
        return value.upper()
    sentence = f"{field}:{value} could be {' or '.join(hits)}" if hits else f"no {field} {value}"
    raise FilterError(f"{sentence}: there are {', '.join(name.lower() for name in names)}")


def _amount(values: dict[str, str], name: str) -> Decimal | None:
    if name not in values:
        return None
    if not AMOUNT_TEXT.fullmatch(values[name]):
        raise FilterError(f"{name}: needs an amount such as 99.50, not {values[name]}")
    return Decimal(values[name])
