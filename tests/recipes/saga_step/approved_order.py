"""The worked example of a new saga step: an order is approved before its stock is reserved.

In orderdeck itself the actions stand in core/sagas/actions.py and the table in core/sagas/fulfil_order.py. Here they
stand beside the test that runs them, and the table is made from whichever is the newest.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.sagas import SAGAS
from core.sagas.actions import created
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import SECONDS, Effect, Facts, Holding, Local, Saga, Step, Tables, newest

MOST = Decimal(1_000)


# --- the action: what is done, and what undoes it -----------------------------------------------------------
def _approve(facts: Facts) -> Effect:
    total = created(facts.order).total_amount
    return Effect(refusal=f"{total} is more than {MOST}") if total > MOST else Effect()


def _withdraw(_: Facts) -> Effect:
    return Effect()


approve = Local("approve the order", frozenset({"order"}), _approve)
withdraw = Local("withdraw the approval", frozenset({"order"}), _withdraw)

# --- the table: a copy with the next definition, and one row more -------------------------------------------
APPROVED = Holding("order", "order {number} is approved")
APPROVE_ORDER = Step("approve_total", approve, withdraw, APPROVED, 30 * SECONDS)

_now = newest(SAGAS)[FULFIL_ORDER.name]
FULFIL_APPROVED: Saga = replace(
    _now, definition=_now.definition + 1, steps=(_now.steps[0], APPROVE_ORDER, *_now.steps[1:])
)

# --- the registry: the old table stays ----------------------------------------------------------------------
NEXT: Tables = {**SAGAS, (FULFIL_APPROVED.name, FULFIL_APPROVED.definition): FULFIL_APPROVED}
