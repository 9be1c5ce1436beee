"""The tables of all sagas. A saga ends by the definition it started with, so the tables of old definitions stay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from core.domain.message import Event
from core.sagas import fulfil_order, refund_order, settle_order, unwind_order
from core.sagas.saga import Tables, TurnBack, newest

SAGAS: Tables = {
    (saga.name, saga.definition): saga
    for saga in (*fulfil_order.TABLES, *settle_order.TABLES, *unwind_order.TABLES, *refund_order.TABLES)
}


@cache
def ended_before(event: type[Event]) -> str:
    """The name of the saga that must end before this event of its order may be recorded."""
    return next(saga.name for saga in newest(SAGAS).values() if saga.before is event)


@cache
def undone_after_its_end() -> Sequence[str]:
    """The names of the sagas that an operator may have undone although they are completed."""
    return [saga.name for saga in newest(SAGAS).values() if saga.turn_back is TurnBack.EVEN_COMPLETED]
