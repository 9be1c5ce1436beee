"""OrderDraft: what stands in the New order form, as text, and the body that is sent for it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from tui.wire import FieldProblem

LINE_FIELDS = ("sku", "quantity", "unit_price")
ADDRESS_FIELDS = ("street", "city", "state", "zip", "country")
DEFAULTS = {"payment_method": "card", "currency": "USD"}  # what the server takes when the field is left out
EXAMPLE = {
    "customer_id": "customer-001",
    **DEFAULTS,
    "payment_method.label": "Visa ending in 4242",
    "items[0].sku": "LAPTOP-001",
    "items[0].quantity": "1",
    "items[0].unit_price": "999.99",
    "shipping_address.street": "123 Main St",
    "shipping_address.city": "San Francisco",
    "shipping_address.state": "CA",
    "shipping_address.zip": "94105",
    "shipping_address.country": "US",
}
_NEW_LINE = {"sku": "", "quantity": "1", "unit_price": ""}
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}\.[0-9]{1,15}")


def _empty() -> dict[str, str]:
    return {**dict.fromkeys(EXAMPLE, ""), **{f"items[0].{name}": value for name, value in _NEW_LINE.items()}}


@dataclass
class OrderDraft:
    """The texts in the form, by the names that the server gives the fields in its errors.

    It is empty at first, so that no order is placed that nobody has written. `touched` are the fields that somebody has
    written in; what the others lack is told only when the order is placed.

    The key stays the same until the order is placed, so that a draft sent twice is placed once; the first edit after it
    was sent gives it another key.
    """

    values: dict[str, str] = field(default_factory=_empty)
    lines: int = 1
    key: str = field(default_factory=lambda: f"deck-{uuid.uuid4()}")
    sent: bool = False
    touched: set[str] = field(default_factory=set[str])

    @property
    def blank(self) -> bool:
        """Whether nobody has written anything in it."""
        return self.values == _empty()

    def set(self, name: str, value: str) -> None:
        if self.values.get(name) == value:
            return
        self.values[name] = value
        self.touched.add(name)
        if self.sent:
            self.key, self.sent = f"deck-{uuid.uuid4()}", False

    def fill_in_example(self) -> None:
        """Write an example, which the server accepts, into the fields that are empty."""
        for name, value in EXAMPLE.items():
            if not self.values[name].strip():
                self.set(name, value)

    def add_line(self) -> int:
        """Add an empty line; returns its index."""
        self.lines += 1
        self.values.update({f"items[{self.lines - 1}].{name}": value for name, value in _NEW_LINE.items()})
        return self.lines - 1

    def body(self) -> dict[str, Any]:
        """The body to send, without blank lines. A text that is no number is sent too: the server names the error.

        What has a default and is blank is left out.
        """
        items = [self._line(n) for n in self.used_lines()]
        address = {name: self.values.get(f"shipping_address.{name}", "").strip() for name in ADDRESS_FIELDS}
        top: dict[str, Any] = {name: text for name in DEFAULTS if (text := self.values[name].strip())}
        if label := self.values["payment_method.label"].strip():
            top["payment_method"] = {"type": top.get("payment_method", DEFAULTS["payment_method"]), "label": label}
        return {"customer_id": self.values["customer_id"].strip(), **top, "items": items, "shipping_address": address}

    def used_lines(self) -> list[int]:
        """The indexes of the lines that are sent; the server counts only these in its errors."""
        return [n for n in range(self.lines) if n == 0 or self.values.get(f"items[{n}].sku", "").strip()]

    def total(self) -> Decimal | None:
        """The sum of the lines; None while a quantity or a price is not a number."""
        try:
            lines = [(self._text(n, "quantity"), self._text(n, "unit_price")) for n in self.used_lines()]
            total = sum((Decimal(quantity) * Decimal(price) for quantity, price in lines), Decimal())
        except InvalidOperation:
            return None
        return total if total.is_finite() else None

    def place(self, problems: Iterable[FieldProblem]) -> Mapping[str, str]:
        """The server's errors by the names of the form's fields; those of no field stand under the empty name."""
        placed: dict[str, str] = {}
        for problem in problems:
            name = self._own_name(problem.field)
            sentence = problem.message if name else f"{problem.field}: {problem.message}".strip(": ")
            placed[name] = f"{placed[name]}; {sentence}" if name in placed else sentence
        return placed

    def _own_name(self, name: str) -> str:
        used = self.used_lines()
        if (match := re.fullmatch(r"items\[(\d+)\](?:\.(\w+))?", name)) and int(match[1]) < len(used):
            inner = match[2] if match[2] in LINE_FIELDS else "sku"
            return f"items[{used[int(match[1])]}].{inner}"
        if name == "items":
            return "items[0].sku"
        if name == "shipping_address":
            return "shipping_address.street"
        if name == "payment_method.type":
            return "payment_method"
        return name if name in self.values else ""

    def _text(self, line: int, name: str) -> str:
        return self.values.get(f"items[{line}].{name}", "").strip()

    def _line(self, n: int) -> dict[str, Any]:
        quantity = self._text(n, "quantity")
        number: float | str = int(quantity) if _WHOLE.fullmatch(quantity) else quantity
        number = float(quantity) if _DECIMAL.fullmatch(quantity) else number
        sku = self._text(n, "sku")  # the form has one field for a product, and people know its SKU
        return {"product_id": sku, "sku": sku, "quantity": number, "unit_price": self._text(n, "unit_price")}
