"""Refunds: how much of an order's money may still be given back, and how many of its units may still come back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from core.domain.inventory import wrong_sku
from core.domain.message import Sku
from core.domain.money import exact, wrong_amount
from core.domain.payment import Payment
from core.domain.validation import Fields
from core.errors import NotAllowed

MAX_RETURNS = 200


class Returned(Struct, frozen=True, kw_only=True):
    """Units of an order that are put back into stock."""

    sku: Sku
    quantity: int


class Units(Protocol):
    @property
    def sku(self) -> Sku: ...
    @property
    def quantity(self) -> int: ...


class OrderRefund(Protocol):
    """A refund that an operator asked for. Whether the provider has made it stands in the payment."""

    @property
    def refund_id(self) -> str: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def restock(self) -> tuple[Returned, ...]: ...


def units_of(lines: Iterable[Units]) -> dict[Sku, int]:
    """How many units there are of each SKU, sorted by SKU. Lines of the same SKU are added up."""
    units: dict[Sku, int] = {}
    for line in lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    return dict(sorted(units.items()))


def not_refused(refunds: Sequence[OrderRefund], payment: Payment) -> Sequence[OrderRefund]:
    """The refunds that are done or under way, without those that the provider refused for good."""
    return [refund for refund in refunds if refund.refund_id not in payment.refused_refunds]


def under_way(refunds: Sequence[OrderRefund], payment: Payment) -> Sequence[OrderRefund]:
    return [refund for refund in not_refused(refunds, payment) if refund.refund_id not in payment.refunds]


def left_to_refund(refunds: Sequence[OrderRefund], payment: Payment) -> Decimal:
    """What was captured, and is neither refunded nor about to be."""
    return payment.refundable - sum((refund.amount for refund in under_way(refunds, payment)), Decimal(0))


def left_to_return(shipped: Iterable[Units], refunds: Sequence[OrderRefund], payment: Payment) -> dict[Sku, int]:
    """How many units of each SKU were shipped, and neither came back nor are about to."""
    back = units_of(line for refund in not_refused(refunds, payment) for line in refund.restock)
    return {sku: units - back.get(sku, 0) for sku, units in units_of(shipped).items() if units > back.get(sku, 0)}


def agree(
    amount: Decimal,
    currency: str,
    restock: Sequence[Returned] | None,
    shipped: Iterable[Units],
    refunds: Sequence[OrderRefund],
    payment: Payment,
) -> tuple[Decimal, tuple[Returned, ...]]:
    """The amount and the returns of a new refund, sorted by SKU; `restock` None means all units that are left.

    Raises NotAllowed if less is left than is wanted. `check` must have found nothing wrong with them.
    """
    if not payment.captured:
        raise NotAllowed("nothing of this order has been captured, so nothing of it can be refunded")
    left = left_to_refund(refunds, payment)
    if amount > left:
        asked = sum((refund.amount for refund in under_way(refunds, payment)), Decimal(0))
        waits = f", since refunds of {asked} are under way" if asked else ""
        of_all = f"{left} of the {payment.captured} captured is left{waits}"
        raise NotAllowed(f"cannot refund {exact(amount, currency)} {currency}: {of_all}")
    units = left_to_return(shipped, refunds, payment)
    wanted = units if restock is None else units_of(restock)
    for sku, quantity in wanted.items():
        if quantity > units.get(sku, 0):
            raise NotAllowed(f"cannot take back {quantity} of {sku}: {units.get(sku, 0)} were shipped and are not back")
    return exact(amount, currency), tuple(Returned(sku=sku, quantity=quantity) for sku, quantity in wanted.items())


def check(amount: Decimal, currency: str, restock: Sequence[Returned] | None, fields: Fields) -> None:
    """Note in `fields` what is wrong with the amount and the returns of a refund, whatever its order is."""
    fields.check("amount", wrong_amount(amount, currency))
    if len(restock or ()) > MAX_RETURNS:
        fields.check("restock", f"must have at most {MAX_RETURNS} entries")
        return
    for n, each in enumerate(restock or ()):
        fields.check(f"restock[{n}].sku", wrong_sku(each.sku))
        if each.quantity < 1:
            fields.check(f"restock[{n}].quantity", "must be at least 1")
