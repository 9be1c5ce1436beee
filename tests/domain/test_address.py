"""An address needs what its country's post needs, and no more."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core import codec
from core.domain.address import (
    CITY_OR_STATE,
    COUNTRIES,
    MISTAKEN,
    NEED_A_STATE,
    NEED_A_ZIP,
    NEED_NO_CITY,
    Address,
    check_address,
)
from core.domain.order import OrderCreated
from core.domain.validation import Fields
from tests.support.samples import create, created

RIGHT = {
    "Hong Kong": Address(street="8 Finance Street", city="Central", country="HK"),
    "Hong Kong by its area": Address(street="8 Finance Street", state="Hong Kong Island", country="HK"),
    "Ireland": Address(street="1 O'Connell Street", city="Dublin", country="IE"),
    "Ireland with a county": Address(street="Main St", city="Bray", state="Co. Wicklow", zip="A98 X2Y1", country="ie"),
    "Dubai": Address(street="Sheikh Zayed Road", city="Dubai", country="AE"),
    "Singapore": Address(street="1 Raffles Place", zip="048616", country="SG"),
    "Monaco": Address(street="2 Avenue de Monte-Carlo", zip="98000", country="MC"),
    "Vatican": Address(street="Via del Pellegrino", zip="00120", country="VA"),
    "Germany": Address(street="Unter den Linden 1", city="Berlin", zip="10117", country="DE"),
    "France": Address(street="1 rue de Rivoli", city="Paris", zip="75001", country="FR"),
    "England": Address(street="10 Downing Street", city="London", zip="SW1A 2AA", country="GB"),
    "Spain": Address(street="Gran Vía 1", city="Madrid", zip="28013", country="ES"),
    "Japan": Address(street="千代田1-1", city="東京", zip="100-0001", country="JP"),
    "Qatar": Address(street="Corniche", city="Doha", country="QA"),
    "Panama": Address(street="Vía España", city="Panamá", country="PA"),
    "Fiji": Address(street="Victoria Parade", city="Suva", country="FJ"),
    "Kosovo": Address(street="Nëna Terezë", city="Prishtinë", country="XK"),
    "United States": Address(street="1 Market St", city="San Francisco", state="CA", zip="94105", country="us"),
}
WRONG = [
    ("US", {"state"}, "is required in US"),
    ("US", {"zip"}, "is required in US"),
    ("CA", {"state", "zip"}, "is required in CA"),
    ("AU", {"state"}, "is required in AU"),
    ("IN", {"zip"}, "is required in IN"),
    ("DE", {"zip"}, "is required in DE"),
    ("FR", {"city"}, "must not be blank"),
    ("SG", {"zip"}, "is required in SG"),
    ("HK", {"city", "state"}, "or state is required in HK"),
    ("IE", {"street"}, "must not be blank"),
    ("ZZ", {"country"}, "ISO 3166-1"),
    ("UK", {"country"}, "did you mean GB?"),
    ("", {"country"}, "ISO 3166-1"),
    ("USA", {"country"}, "ISO 3166-1"),
]


def wrong(address: Address) -> dict[str, str]:
    fields = Fields()
    check_address(fields, "a", address)
    return {error.field: error.message for error in fields.errors}


@pytest.mark.parametrize("address", RIGHT.values(), ids=RIGHT.keys())
def test_an_address_without_what_its_country_does_not_have_is_right(address: Address) -> None:
    assert wrong(address) == {}


@pytest.mark.parametrize(("country", "missing", "sentence"), WRONG)
def test_a_missing_part_that_the_country_needs_is_named(country: str, missing: set[str], sentence: str) -> None:
    address = replace(RIGHT["United States"], country=country, **dict.fromkeys(missing - {"country"}, ""))
    found = wrong(address)
    assert set(found) <= {f"a.{name}" for name in missing}
    assert sentence in " ".join(found.values())


def test_a_part_that_may_be_left_out_is_checked_when_it_is_given() -> None:
    address = replace(RIGHT["Ireland"], state="x" * 101, zip="\u202e1")
    assert set(wrong(address)) == {"a.state", "a.zip"}


def test_the_tables_name_only_countries_that_there_are() -> None:
    assert len(COUNTRIES) == 250
    assert (NEED_A_ZIP | NEED_A_STATE | CITY_OR_STATE | NEED_NO_CITY) <= COUNTRIES
    assert not MISTAKEN.keys() & COUNTRIES
    assert set(MISTAKEN.values()) <= COUNTRIES


def test_an_event_with_a_full_address_and_one_without_a_state_are_both_read() -> None:
    assert codec.decode("OrderCreated", created.schema_version, codec.encode(created)) == (created,)
    short = codec.encode(replace(created, shipping_address=RIGHT["Ireland"]))
    [read] = codec.decode("OrderCreated", created.schema_version, short)
    assert isinstance(read, OrderCreated)
    assert (read.shipping_address.state, read.shipping_address.zip) == ("", "")
    assert create.shipping_address.state
