from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_gateway import FakeGateway
from tui.viewmodels.filters import FilterError, OrderQuery, parse


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", OrderQuery()),
        ("   ", OrderQuery()),
        ("status:confirmed", OrderQuery(status="CONFIRMED")),
        ("STATUS:Conf", OrderQuery(status="CONFIRMED")),
        ("payment:refunded status:ship", OrderQuery(payment="REFUNDED", status="SHIPPED")),
        ("payment:part", OrderQuery(payment="PARTLY_REFUNDED")),
        ("customer:acme-1 sku:LAPTOP-001", OrderQuery(customer_id="acme-1", sku="LAPTOP-001")),
        ("min:10 max:99.50", OrderQuery(min_total=Decimal(10), max_total=Decimal("99.50"))),
        ("min:0.001 max:999999999999", OrderQuery(min_total=Decimal("0.001"), max_total=Decimal(999999999999))),
        ("ORD-7 status:shipped", OrderQuery(q="ORD-7", status="SHIPPED")),
        ("customer:a:b", OrderQuery(customer_id="a:b")),
    ],
)
def test_a_filter_text_becomes_a_query(text: str, query: OrderQuery) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("staus:confirmed", "no field staus: did you mean status:?"),
        ("zzz:1", "no field zzz: there are status, payment, customer, sku, min, max"),
        ("status:", "status: needs a value"),
        ("status:lost", "no status lost: there are created, confirmed, shipped, delivered, cancelled"),
        ("status:c", "status:c could be CREATED or CONFIRMED or CANCELLED: there are"),
        ("payment:paid", "no payment paid: there are absent, authorized, failed, voided, captured, unpaid"),
        ("payment:a", "payment:a could be ABSENT or AUTHORIZED: there are"),
        ("min:much", "min: needs an amount such as 99.50, not much"),
        ("min:NaN", "min: needs an amount such as 99.50, not NaN"),
        ("max:-1", "max: needs an amount such as 99.50, not -1"),
        ("min:10 max:5", "min:10 is above max:5"),
        ("min:1 min:2", "min: is given twice"),
        ("two words", "one search word only, not 2"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


@given(st.text(max_size=60))
def test_any_text_becomes_a_query_or_an_error_with_a_sentence(text: str) -> None:
    try:
        query = parse(text)
    except FilterError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(isinstance(value, str) for value in query.params().values())


def test_a_filter_judges_an_order_as_the_server_does() -> None:
    gateway = FakeGateway()
    order = gateway.views[gateway.place(5, customer="acme-1")]
    number = order.order_number.lower()
    taken = (
        "",
        "status:created",
        "customer:acme-1",
        "sku:LAPTOP-001",
        "min:999.99 max:999.99",
        number[:7],
        "LAPTOP-001",
    )
    left = ("status:shipped", "customer:acme", "sku:LAPTOP", "min:1000", "max:999.98", number[1:], "laptop-001")
    assert all(parse(text).takes(order) for text in taken)
    assert not any(parse(text).takes(order) for text in left)
