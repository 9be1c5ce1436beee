"""Money: exact amounts with as many decimals as ISO 4217 gives their currency. They are Decimal, never float."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache

from iso4217 import raw_xml

REMEMBERED = 512  # currencies whose smallest and largest amount are computed once; ISO has fewer
NO_PAYMENT = frozenset({"UYW", "XAD"})  # units of account that the table does not mark as such
WEAK = frozenset(
    """
    ARS CDF COP IDR IQD IRR KHR LAK LBP MGA MMK MNT MWK NGN SSP SYP TZS UZS
    """.split()  # noqa: SIM905 - as a list it would be 18 lines
)
"""Currencies with decimals of which more than a thousand make one US dollar (2025): their amounts may be larger."""


def _means_of_payment() -> Iterator[tuple[str, int]]:
    """Code and decimals of each currency in ISO 4217 list one, without metals, funds and units of account."""
    for entry in raw_xml.iterfind("CcyTbl/CcyNtry"):
        code, name, decimals = entry.findtext("Ccy"), entry.find("CcyNm"), entry.findtext("CcyMnrUnts", "")
        if code and name is not None and decimals.isdigit() and code not in NO_PAYMENT and not name.get("IsFund"):
            yield code, int(decimals)


DECIMALS: Mapping[str, int] = dict(_means_of_payment())
"""The decimals of every currency that an order may have, by code."""


def decimals(currency: str) -> int:
    """How many decimals a currency has. One that ISO has withdrawn since keeps the two that it had in older orders."""
    return DECIMALS.get(currency, 2)


@lru_cache(maxsize=REMEMBERED)
def smallest(currency: str) -> Decimal:
    return Decimal(1).scaleb(-decimals(currency))


@lru_cache(maxsize=REMEMBERED)
def largest(currency: str) -> Decimal:
    """The largest amount. It has so few digits that a program that reads it as a binary float loses nothing."""
    digits = 14 if currency in WEAK else 12
    return (Decimal(10) ** digits - 1).scaleb(-decimals(currency))


def code_of(currency: str) -> str:
    """The code in capitals, as it is stored: `usd` means USD."""
    return currency.upper() if currency.isascii() else currency


MOST_DECIMALS = max(DECIMALS.values())
FINEST = Decimal(1).scaleb(-MOST_DECIMALS)
HIGHEST = max(map(largest, DECIMALS))
AMOUNT_TEXT = re.compile(rf"[0-9]{{1,{HIGHEST.adjusted() + 1}}}(\.[0-9]{{1,{MOST_DECIMALS}}})?")
"""An amount as people write it, when its currency is not known: it has as many digits as any currency takes."""


def wrong_amount(amount: Decimal, currency: str) -> str | None:
    """What is wrong with an amount, or None. The size is checked first: expanding 1E+999999999 would never end."""
    if not amount.is_finite():
        return "must be a number"
    if amount < smallest(currency):
        return f"must be at least {smallest(currency)}"
    if amount > largest(currency):
        return f"must be at most {largest(currency)}"
    if amount != amount.quantize(smallest(currency)):
        most = decimals(currency)
        return f"must have at most {most} decimals" if most else f"must have no decimals in {currency}"
    return None


def wrong_in_every_currency(amount: Decimal) -> str | None:
    """What is wrong with an amount whose currency is not known, or None."""
    if not amount.is_finite():
        return "must be a number"
    if amount < FINEST:
        return f"must be at least {FINEST}"
    if amount > HIGHEST:
        return f"must be at most {HIGHEST}"
    return None if amount == amount.quantize(FINEST) else f"must have at most {MOST_DECIMALS} decimals"


def exact(amount: Decimal, currency: str) -> Decimal:
    """The amount with all decimals of its currency, as it is stored and shown. It must have been checked before."""
    return amount.quantize(smallest(currency))
