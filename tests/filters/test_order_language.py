"""The filter language for orders: what a text asks for, and the sentence that says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.validation import composed
from core.filters.order_language import FIELDS, LONGEST_QUERY, parse
from core.filters.order_query import NIL, OrderQuery
from core.filters.words import FilterError, quoted

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
ID = UUID("01959a7f-3e40-7cc1-9d2e-000000000001")
TICK = timedelta(microseconds=1)


def day(number: int, month: int = 3) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("   ", {}),
        ("status:confirmed", {"status": ("CONFIRMED",)}),
        ("STATUS:Conf", {"status": ("CONFIRMED",)}),
        ("status=shipped", {"status": ("SHIPPED",)}),
        ("status:created,conf,CREATED", {"status": ("CREATED", "CONFIRMED")}),
        ("-status:canc -payment:unp,void", {"not_status": ("CANCELLED",), "not_payment": ("UNPAID", "VOIDED")}),
        ("payment:refunded status:ship", {"payment": ("REFUNDED",), "status": ("SHIPPED",)}),
        ("customer:acme-1 sku:LAPTOP-001", {"customer_id": ("acme-1",), "sku": ("LAPTOP-001",)}),
        ("customer:a:b", {"customer_id": ("a:b",)}),
        ("customer:o'neill,-x", {"customer_id": ("o'neill", "-x")}),
        ('customer:"Ada, Ltd",bob', {"customer_id": ("Ada, Ltd", "bob")}),
        (r'customer:"the \"best\" \\"', {"customer_id": ('the "best" \\',)}),
        ("customer:u\u0308", {"customer_id": ("ü",)}),
        ("-customer:acme -sku:A,B", {"not_customer_id": ("acme",), "not_sku": ("A", "B")}),
        ("min:10 max:99.50", {"min_total": Decimal(10), "max_total": Decimal("99.50")}),
        ("min:0.001 max:999999999999", {"min_total": Decimal("0.001"), "max_total": Decimal(999999999999)}),
        ("min:100 EUR", {"min_total": Decimal(100), "currency": ("EUR",)}),
        ("min:100eur max:500 EUR", {"min_total": Decimal(100), "max_total": Decimal(500), "currency": ("EUR",)}),
        ('min:100 "EUR"', {"min_total": Decimal(100), "q": "EUR"}),
        ("EUR min:100", {"min_total": Decimal(100), "q": "EUR"}),
        ("currency:usd,EUR -currency:jpy", {"currency": ("USD", "EUR"), "not_currency": ("JPY",)}),
        ("total>100 total<=500", {"min_total": Decimal("100.001"), "max_total": Decimal(500)}),
        ("total:100..500", {"min_total": Decimal(100), "max_total": Decimal(500)}),
        ("total:..500", {"max_total": Decimal(500)}),
        ("total:99.50", {"min_total": Decimal("99.50"), "max_total": Decimal("99.50")}),
        ("created:2026-03-01", {"created_from": day(1), "created_to": day(2)}),
        ("created:2026-02", {"created_from": day(1, 2), "created_to": day(1)}),
        ("created>2026-03-01", {"created_from": day(2)}),
        ("created:>=2026-03-01 created:<2026-03-03", {"created_from": day(1), "created_to": day(3)}),
        ("created<=2026-03-03", {"created_to": day(4)}),
        ("created:2026-03-01..2026-03-07", {"created_from": day(1), "created_to": day(8)}),
        ("updated:2026-03-01..", {"updated_from": day(1)}),
        ("updated:..yesterday", {"updated_to": day(14)}),
        ("created:today", {"created_from": day(14), "created_to": day(15)}),
        ("created>2026-03-14T12:00", {"created_from": day(14) + timedelta(hours=12) + TICK}),
        ("created<2026-03-14T12:00+02:00", {"created_to": day(14) + timedelta(hours=10)}),
        ("age<2h", {"created_from": NOW - timedelta(hours=2) + TICK}),
        ("age>1h30m", {"created_to": NOW - timedelta(hours=1.5)}),
        ("age:1h..2d", {"created_from": NOW - timedelta(days=2), "created_to": NOW - timedelta(hours=1) + TICK}),
        ("idle>=15m", {"updated_to": NOW - timedelta(minutes=15) + TICK}),
        ("order:ord-0000000001,ORD-0000000002", {"order_number": ("ORD-0000000001", "ORD-0000000002")}),
        (f"order:{ID}", {"order_id": (ID,)}),
        (f"{str(ID).upper()}", {"q": str(ID).upper()}),
        ("ORD-7 status:shipped", {"q": "ORD-7", "status": ("SHIPPED",)}),
        ('"status:created"', {"q": "status:created"}),
        ('"-foo bar"', {"q": "-foo bar"}),
        ("12:30", {"q": "12:30"}),
    ],
)  # fmt: skip
def test_a_filter_text_becomes_a_query(text: str, fields: dict[str, Any]) -> None:
    assert parse(text, NOW) == OrderQuery(**fields)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("staus:confirmed", "no field staus: did you mean status:?"),
        ("zzz:1", "no field zzz: there are status, payment, customer, sku, currency, order, min, max"),
        ("status:", "status: needs a value"),
        ('customer:""', "customer: needs a value"),
        ("sku:a,,b", "sku: has nothing before or after a comma"),
        ("status:lost", "no status lost: there are created, confirmed"),
        ("status:deliverd", "no status deliverd: did you mean delivered?"),
        ("status:c", "status:c could be CREATED or CONFIRMED or CANCELLED: there are"),
        ("-payment:paid", "no payment paid: did you mean unpaid?"),
        ("payment:a", "payment:a could be ABSENT or AUTHORIZED: there are"),
        ("status>created", "status cannot be compared: write status:created"),
        ("status:created status:confirmed", "status: is given twice: write the values in one list, such as status:a,b"),
        ("min:much", "min: needs an amount such as 99.50, not much"),
        ("min:NaN", "min: needs an amount such as 99.50, not NaN"),
        ("max:-1", "max: needs an amount such as 99.50, not -1"),
        ("min:1,2", "min: takes one value, not 2"),
        ("min:10 max:5", "min:10 is above max:5"),
        ("min:1 total>1", "min: is given twice"),
        ("total<0", "total<0: no total is below 0"),
        ("-min:1", "-min: only status, payment, customer, sku and currency can be left out"),
        ("currency:EURO", "currency: needs a code of three letters such as EUR, not EURO"),
        ("currency:USD min:1EUR", "amounts are in EUR, and currency: asks for USD"),
        ("created:2026-02-30", "created: needs a day such as 2026-03-14 or today"),
        ("created:march", "created: needs a day such as 2026-03-14 or today"),
        ("created>2h", "created: needs a time; for how long ago there is age: age<2h"),
        ("created:2026-03-07..2026-03-01", "created: 2026-03-07..2026-03-01 ends before it begins"),
        ("created>2026-03-01..2026-03-07", "created: a range is written created:2026-03-01..2026-03-07"),
        ("age:2h", "age is compared: write age<2h, age>3d or age:1h..2h"),
        ("idle>soon", "idle: needs a duration such as 90s, 15m"),
        ("age<1h age>2h", "created: no time is in all of these ranges"),
        ("order:ORD-1", "order:ORD-1 is no whole number and no id; without order: it finds what begins with it"),
        (f"order:{ID},ORD-0000000001", "order: takes ids or numbers, not both in one list"),
        (f"order:{ID} order:{ID}", "order: is given twice"),
        ("two words", "one search word only, not 2"),
        ('customer:"x', "a quotation mark is not closed"),
        ('""', "there is nothing between the quotation marks"),
        ("a\x1bb", "the filter has control characters in it"),
        ("x" * 101, "the search word has 101 characters, and may have 100"),
        ("sku:" + ",".join("abcdefghijklmnopqrstu"), "sku: has 21 values, and may have 20"),
        ("customer:" + "x" * 201, "customer: has a value of more than 200 characters"),
        ("x" * 4_001, "the filter has 4,001 characters, and may have 4,000"),
        ("customer:" + ",".join(f"{n}{'東' * 180}" for n in range(20)), "the filter is too long to be sent"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text, NOW)
    assert str(caught.value).startswith(sentence)


SIGNS = st.sampled_from([":", ">", ">=", "<", "<=", ":>", "=", "..", ",", '"', "\\", "-", " ", "2h", "today", "EUR"])
WORDS = st.lists(st.sampled_from(FIELDS) | SIGNS | st.text(max_size=5), max_size=12).map("".join)


@given(st.text(max_size=60) | WORDS, st.datetimes(timezones=st.just(UTC)))
def test_any_text_at_any_time_becomes_a_query_or_an_error_with_a_sentence(text: str, now: datetime) -> None:
    try:
        params = parse(text, now).params()
    except FilterError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
        assert "\n" not in str(error).replace(text, "")  # noqa: PT017 - as above
    else:
        assert len(urlencode(params, doseq=True)) <= LONGEST_QUERY


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and text.isprintable()))
def test_any_value_can_be_quoted(value: str) -> None:
    assert parse(f"customer:{quoted(value)}", NOW).customer_id == (composed(value),)


def test_a_list_can_be_asked_which_of_some_orders_belong_to_it() -> None:
    other = UUID(int=7)
    assert parse("status:created", NOW).among([str(ID), "no id"]) == OrderQuery(status=("CREATED",), order_id=(ID,))
    assert parse(f"order:{ID}", NOW).among([str(ID), str(other)]).order_id == (ID,)
    assert parse(f"order:{ID}", NOW).among([str(other)]).order_id == (NIL,)
    assert parse("", NOW).among([]).order_id == (NIL,)
