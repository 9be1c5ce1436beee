"""Payment method: what an order is paid with, as the provider knows it and as people call it."""

from __future__ import annotations

import re

from msgspec import Struct

from core.domain.sealed_customer import PSEUDONYM
from core.domain.validation import Fields

METHOD = re.compile(r"[a-z0-9_]{1,40}")
LONGEST_LABEL = 60
_CARD_NUMBER = re.compile(r"(?:\d[ \-./]*){12}")  # the shortest have twelve digits


class PaymentMethod(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`type` is what the provider is told. `label` is for people, such as `Visa ending in 4242`: no whole number."""

    type: str
    label: str = ""


def check_method(fields: Fields, place: str, method: PaymentMethod) -> None:
    """Check a payment method, whose fields are named after `place`."""
    fields.matches(f"{place}.type", method.type, METHOD, "1 to 40 characters of a-z, 0-9 and _")
    if method.label:
        fields.text(f"{place}.label", method.label, LONGEST_LABEL)
        if method.label.startswith(PSEUDONYM):
            fields.check(f"{place}.label", f"must not begin with {PSEUDONYM}, as what is sealed does")
        if _CARD_NUMBER.search(method.label):
            fields.check(f"{place}.label", "must not be a card number: give its last four digits at most")
