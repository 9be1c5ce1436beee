"""Makes the SQL conditions of an OrderQuery. Values are always parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from core.adapters.postgres.queries.sagas import CANDIDATES, SAGAS
from core.domain.order_number import in_capitals
from core.filters.order_query import PAYMENT_STATUSES, STATUSES, OrderQuery, as_id

# The condition for each field with one value, and for each that may have several.
ONE: Mapping[str, str] = {
    "min_total": "total_amount >= {}",
    "max_total": "total_amount <= {}",
    "created_from": "created_at >= {}",
    "created_to": "created_at < {}",
    "updated_from": "updated_at >= {}",
    "updated_to": "updated_at < {}",
}
SEVERAL: Mapping[str, str] = {
    "order_id": "order_id = ANY ({}::uuid[])",
    "order_number": "order_number = ANY ({}::text[])",
    "status": "status = ANY ({}::text[])",
    "payment": "payment_status = ANY ({}::text[])",
    "customer_id": "customer_id = ANY ({}::text[])",
    "not_customer_id": "customer_id <> ALL ({}::text[])",
    "sku": "skus && {}::text[]",
    "not_sku": "NOT skus && {}::text[]",
    "currency": "currency = ANY ({}::text[])",
    "not_currency": "currency <> ALL ({}::text[])",
}
# With one value: for = an index gives the rows in its order, for ANY it does not.
EQUAL: Mapping[str, str] = {
    "status": "status = {}",
    "payment": "payment_status = {}",
    "customer_id": "customer_id = {}",
    "currency": "currency = {}",
}
# The text as the start of an order number, as the start of a tracking number, and as a SKU.
TEXT = "order_number LIKE {} || '%' OR tracking_number LIKE {} || '%' OR skus && ARRAY[{}::text]"
WITH_MONEY = "status IN ('RUNNING', 'COMPENSATING', 'FAILED') AND s.at_risk > 0"
# As an id: an order's, or that of another stream about it, whose first event names the order.
ID = """order_id = ANY (ARRAY[{0}::uuid, (
        SELECT e.correlation_id FROM events e
         WHERE e.stream_id = {0} AND e.version = 1 AND e.category IN ('payment', 'saga'))])"""

# The orders with an unfinished saga in trouble, of at most 10 000 such sagas.
TROUBLE = """order_id = ANY (ARRAY (
        SELECT order_id FROM ({sagas} WHERE {candidates}) AS seen
         WHERE state = ANY ({states}::text[]) OR (open_amount > 0 AND 'open' = ANY ({states}::text[]))
         LIMIT 10000))"""
STUCK = ("failed", "overdue")

LAST = chr(0x10FFFF)  # sorts behind every character that a number has

NAMES = {"status": STATUSES, "payment": PAYMENT_STATUSES}


def conditions_of(fits: OrderQuery) -> tuple[dict[str, str], list[Any]]:
    """The conditions of a filter by the names of its fields, and the values of their parameters, from $1 on."""
    conditions: dict[str, str] = {}
    values: list[Any] = []

    def add(field: str, template: str, *new: Any) -> None:
        places = [f"${len(values) + n}" for n in range(1, len(new) + 1)]
        conditions[field] = template.format(*places)
        values.extend(new)

    for field, value in msgspec.structs.asdict(without_negated_statuses(fits)).items():
        if value is None or value == ():
            continue
        if field in EQUAL and len(value) == 1:
            add(field, EQUAL[field], value[0])
        elif field in SEVERAL:
            add(field, SEVERAL[field], list(value))
        elif field in ONE:
            add(field, ONE[field], value)
    if fits.saga:
        add("saga", _trouble(fits.saga), sorted({state for each in fits.saga for state in _states(each)}))
    if fits.q is not None:
        add("q", TEXT, escaped(in_capitals(fits.q)), escaped(fits.q), fits.q)
        if (id_ := as_id(fits.q)) is not None:
            text = conditions["q"]
            add("q", ID, id_)
            conditions["q"] = f"{text} OR {conditions['q']}"
        conditions["q"] = f"({conditions['q']})"
    return conditions, values


def found_by_index(
    field: str, fits: OrderQuery, conditions: Mapping[str, str], add: Callable[[Any], str]
) -> Sequence[str]:
    """Conditions that select together what that of a field selects, and of which an index finds each, for any values.

    `add` gives the name of a new parameter. Of LIKE an index knows only for a value where to begin and where to end.
    """
    if field != "q" or fits.q is None:
        return [conditions[field]]
    number, text = in_capitals(fits.q), fits.q
    found = [
        f"{column} ~>=~ {add(start)}::text AND {column} ~<~ {add(start + LAST)}::text"
        for column, start in (("order_number", number), ("tracking_number", text))
    ]
    found.append(f"skus && ARRAY[{add(text)}::text]")
    if (id_ := as_id(text)) is not None:
        found.append(ID.format(add(id_)))
    return found


def _states(trouble: str) -> tuple[str, ...]:
    return STUCK if trouble == "stuck" else (trouble,)


def _trouble(troubles: Sequence[str]) -> str:
    """The condition, in which an index finds the sagas that may be in such a trouble."""
    states = [state for each in troubles for state in _states(each)]
    candidates = " OR ".join(f"({WITH_MONEY if state == 'open' else CANDIDATES[state]})" for state in states)
    return TROUBLE.format(sagas=SAGAS, candidates=f"({candidates})", states="{0}")


def without_negated_statuses(fits: OrderQuery) -> OrderQuery:
    """The same filter with the statuses that remain in place of those that are left out.

    An index finds the orders of a few statuses. It cannot find those that are not in a status, and if they are few, the
    whole table would be read for them.
    """
    remaining = {
        field: tuple(name for name in getattr(fits, field) or NAMES[field] if name not in left_out) or NOTHING
        for field in NAMES
        if (left_out := getattr(fits, f"not_{field}"))
    }
    return msgspec.structs.replace(fits, **remaining, not_status=(), not_payment=())


NOTHING = ("",)  # no order has this status


def together(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "true"


def escaped(prefix: str) -> str:
    """The text with a backslash before each character that has a meaning in LIKE."""
    return prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
