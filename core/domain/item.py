"""Items: the lines of an order, each with its SKU, how many, and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from core.domain.inventory import wrong_sku
from core.domain.message import Sku
from core.domain.money import DECIMALS, wrong_amount, wrong_in_every_currency
from core.domain.validation import Fields, wrong_text

MAX_ITEMS = 200
MAX_QUANTITY = 1_000_000


class Item(Struct, frozen=True, kw_only=True, gc=False):
    product_id: str
    sku: Sku
    quantity: int
    unit_price: Decimal


def check_items(fields: Fields, place: str, items: Sequence[Item], currency: str) -> None:
    """Check the items, whose fields are named after `place`. Prices fit the currency, or some one if it is unknown."""
    if not 1 <= len(items) <= MAX_ITEMS:
        fields.check(place, f"must have 1 to {MAX_ITEMS} entries")
    known = currency in DECIMALS
    for i, item in enumerate(items[:MAX_ITEMS]):
        price = item.unit_price
        for name, wrong in (
            ("product_id", wrong_text(item.product_id, 100)),
            ("sku", wrong_sku(item.sku)),
            ("quantity", None if 1 <= item.quantity <= MAX_QUANTITY else f"must be 1 to {MAX_QUANTITY}"),
            ("unit_price", wrong_amount(price, currency) if known else wrong_in_every_currency(price)),
        ):
            if wrong is not None:
                fields.check(f"{place}[{i}].{name}", wrong)
