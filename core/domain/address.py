"""Address: where an order is delivered, and which parts of an address its country needs.

The tables are of the data behind Google's address forms (chromium-i18n.appspot.com/ssl-address, as of 2024-09). Where
those ask for more than people write in practice, we ask for less: a state only where the post sorts by it.
"""

from __future__ import annotations

from msgspec import Struct

from core.domain.validation import Fields, wrong_text

LONGEST = {"street": 200, "city": 100, "state": 100, "zip": 20}


class Address(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A part that the country does not have is empty, and is left out of JSON. `country`: a code of ISO 3166-1."""

    street: str
    city: str = ""
    state: str = ""
    zip: str = ""
    country: str
    sealed: str = ""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


COUNTRIES = _codes(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """
)
"""The codes of ISO 3166-1, and XK, which posts and banks use for Kosovo."""

MISTAKEN = {"UK": "GB", "EL": "GR", "AN": "CW", "SU": "RU", "YU": "RS", "CS": "RS", "TP": "TL", "ZR": "CD", "FX": "FR"}
"""Codes that are no longer in use, or never were, and those that are meant."""

NEED_A_ZIP = _codes(
    """
    AS AT AU AX BE BL BR CA CH CN CZ DE DK EE ES FI FK FM FO FR GB GF GG GL GP GR GS GU HU IM IN IO IT JE JP KR LI LT
    LU LV MF MH MP MQ MX MY NC NL NO NZ PF PL PM PN PR PT PW RE RO RU SE SG SH SJ SK SM TC TR TW UA US VI WF YT ZA
    """
)
NEED_A_STATE = _codes("AU BR CA IN MX US")
NEEDED_IN = {"state": NEED_A_STATE, "zip": NEED_A_ZIP}
CITY_OR_STATE = _codes("AE CO HK ID JP KY NR")
"""Where the area, such as an emirate, says what the city says elsewhere; one of the two is needed."""

NEED_NO_CITY = _codes("AG GI MC MO SG SM VA VG")
"""Where the country's name is the city's."""


def check_address(fields: Fields, place: str, address: Address) -> None:
    """Check an address, whose fields are named after `place`."""
    country = address.country.upper() if address.country.isascii() else ""
    for name, longest in LONGEST.items():
        value = getattr(address, name)
        wrong = wrong_text(value, longest) if value else _missing(name, country, address)
        if wrong is not None:
            fields.check(f"{place}.{name}", wrong)
    if country not in COUNTRIES:
        meant = f": did you mean {MISTAKEN[country]}?" if country in MISTAKEN else ""
        fields.check(f"{place}.country", f"must be a country code of ISO 3166-1, two letters such as US{meant}")


def _missing(name: str, country: str, address: Address) -> str | None:
    """What is wrong with leaving out this part of an address, or None."""
    if name == "city" and country in CITY_OR_STATE:
        return None if address.state else f"or state is required in {country}"
    if name == "city" and country in NEED_NO_CITY:
        return None
    if name in NEEDED_IN:
        return f"is required in {country}" if country in NEEDED_IN[name] else None
    return "must not be blank"
