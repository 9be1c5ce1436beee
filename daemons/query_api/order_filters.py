"""Reads the parameters by which lists and counts of orders are filtered."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from litestar.params import QueryParameter

from core.domain.money import AMOUNT_TEXT, code_of
from core.domain.order_number import in_capitals
from core.domain.validation import composed, unreadable
from core.errors import FieldError
from core.filters.order_query import PAYMENT_STATUSES, SAGA_TROUBLES, STATUSES, OrderQuery
from daemons.http.problems import wrong_fields
from daemons.query_api.moments import a_moment
from daemons.query_api.parameters import LONGEST_TEXT, MOST_IDS, Moment, a_uuid
from daemons.query_api.reads import Reads

MOST_VALUES = 20

AGAIN = "For several, give it again"
COMMAS = f"{AGAIN}, or put commas between them: {MOST_VALUES} in all at most."
COMMAS_OF_IDS = f"{AGAIN}, or put commas between them: {MOST_IDS} in all at most."
NOT = "Orders without any of these."
StatusNames = Annotated[
    list[str] | None,
    QueryParameter(max_items=MOST_VALUES, description=f"One of {', '.join(STATUSES)}, in any case. {COMMAS}"),
]
PaymentStatusNames = Annotated[
    list[str] | None,
    QueryParameter(max_items=MOST_VALUES, description=f"One of {', '.join(PAYMENT_STATUSES)}, in any case. {COMMAS}"),
]
SagaTroubles = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=MOST_VALUES,
        description=f"Orders with an unfinished saga that is {', '.join(SAGA_TROUBLES)}: stuck is failed or overdue, "
        f"open has money open. {COMMAS}",
    ),
]
Ids = Annotated[list[str] | None, QueryParameter(max_items=MOST_IDS, description=f"A UUID. {COMMAS_OF_IDS}")]
Numbers = Annotated[
    list[str] | None,
    QueryParameter(max_items=MOST_IDS, description=f"Such as ORD-9KYFYSQFCF, in any case. {COMMAS_OF_IDS}"),
]
Words = Annotated[list[str] | None, QueryParameter(max_items=MOST_VALUES, description=COMMAS)]
NotWords = Annotated[list[str] | None, QueryParameter(max_items=MOST_VALUES, description=f"{NOT} {COMMAS}")]
Customers = Annotated[list[str] | None, QueryParameter(max_items=MOST_VALUES, description=f"{AGAIN}.")]
NotCustomers = Annotated[list[str] | None, QueryParameter(max_items=MOST_VALUES, description=f"{NOT} {AGAIN}.")]
Amount = Annotated[
    str | None,
    QueryParameter(pattern=f"^{AMOUNT_TEXT.pattern}$", description="an amount such as 99.50, in any currency"),
]
SearchText = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=100,
        description="Start of an order or tracking number; a SKU; or the id of an order, its payment or a saga of it.",
    ),
]


def order_filter(
    queries: Reads,
    order_id: Ids = None,
    order_number: Numbers = None,
    status: StatusNames = None,
    not_status: StatusNames = None,
    payment: PaymentStatusNames = None,
    not_payment: PaymentStatusNames = None,
    customer_id: Customers = None,
    not_customer_id: NotCustomers = None,
    sku: Words = None,
    not_sku: NotWords = None,
    currency: Words = None,
    not_currency: NotWords = None,
    saga: SagaTroubles = None,
    min_total: Amount = None,
    max_total: Amount = None,
    created_from: Moment = None,
    created_to: Moment = None,
    updated_from: Moment = None,
    updated_to: Moment = None,
    q: SearchText = None,
) -> OrderQuery:
    del queries  # the framework finds what does not depend on each other in tasks, which takes longer than to find both
    return OrderQuery(
        order_id=tuple(a_uuid("order_id", id_) for id_ in _words("order_id", order_id, MOST_IDS)),
        order_number=tuple(in_capitals(number) for number in _words("order_number", order_number, MOST_IDS)),
        status=_names("status", STATUSES, status),
        not_status=_names("not_status", STATUSES, not_status),
        payment=_names("payment", PAYMENT_STATUSES, payment),
        not_payment=_names("not_payment", PAYMENT_STATUSES, not_payment),
        customer_id=_texts("customer_id", customer_id or ()),
        not_customer_id=_texts("not_customer_id", not_customer_id or ()),
        sku=_words("sku", sku),
        not_sku=_words("not_sku", not_sku),
        currency=tuple(map(code_of, _words("currency", currency))),
        not_currency=tuple(map(code_of, _words("not_currency", not_currency))),
        saga=tuple(_trouble(word) for word in _words("saga", saga)),
        min_total=Decimal(min_total) if min_total is not None else None,
        max_total=Decimal(max_total) if max_total is not None else None,
        created_from=a_moment("created_from", created_from),
        created_to=a_moment("created_to", created_to, end=True),
        updated_from=a_moment("updated_from", updated_from),
        updated_to=a_moment("updated_to", updated_to, end=True),
        q=composed(q) if q is not None else None,
    )


def a_status(text: str) -> str:
    return _name("status", STATUSES, text)


def _trouble(text: str) -> str:
    if text.lower() not in SAGA_TROUBLES:
        raise wrong_fields(FieldError("saga", f"must be one of {', '.join(SAGA_TROUBLES)}"))
    return text.lower()


def _words(field: str, texts: Sequence[str] | None, most: int = MOST_VALUES) -> tuple[str, ...]:
    """The values of a field whose values have no comma, and may therefore be listed with commas between them."""
    return _texts(field, [word.strip() for text in texts for word in text.split(",")], most) if texts else ()


def _texts(field: str, texts: Sequence[str], most: int = MOST_VALUES) -> tuple[str, ...]:
    if len(texts) > most:
        raise wrong_fields(FieldError(field, f"has {len(texts)} values, and may have {most}"))
    if why := next(filter(None, (unreadable(text, LONGEST_TEXT) for text in texts)), None):
        raise wrong_fields(FieldError(field, why))
    return tuple(map(composed, texts))


def _names(field: str, known: Sequence[str], texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(_name(field, known, text) for text in _words(field, texts))


def _name(field: str, known: Sequence[str], text: str) -> str:
    if text.upper() not in known:
        raise wrong_fields(FieldError(field, f"must be one of {', '.join(known)}"))
    return text.upper()
