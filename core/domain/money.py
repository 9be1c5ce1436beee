"""Money: amounts with two decimals, in the ISO 4217 currencies that have two. They are Decimal, never float."""

from __future__ import annotations

from decimal import Decimal

CENT = Decimal("0.01")
MAX_AMOUNT = Decimal("9999999999.99")

CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - as a list it would be 150 lines
)
"""The ISO 4217 codes in use whose amounts have 2 decimals (list one, 2025). JPY, for example, has none."""


def wrong_amount(amount: Decimal) -> str | None:
    """What is wrong with an amount, or None. The size is checked first: expanding 1E+999999999 would never end."""
    if not amount.is_finite():
        return "must be a number"
    if amount < CENT:
        return f"must be at least {CENT}"
    if amount > MAX_AMOUNT:
        return f"must be at most {MAX_AMOUNT}"
    if amount != amount.quantize(CENT):
        return "must have at most 2 decimals"
    return None


def exact(amount: Decimal) -> Decimal:
    """The amount with exactly two decimals, as it is stored and shown. It must have been checked before."""
    return amount.quantize(CENT)
