"""Sagas of the tests' own, one of each kind: adding a step to a shipped table fails no test of the machine.

They are frozen: the tests list where their steps stand by place. What the shipped tables say is pinned by
tests/sagas/test_tables.py.
"""

from __future__ import annotations

from core.domain.order import OrderCancelled, OrderCreated, OrderShipped
from core.sagas.actions import authorize, cancel_order, capture, confirm, nothing, refund, release, reserve, void
from core.sagas.actions import ship_stock as ship
from core.sagas.holdings import AUTHORISED, CAPTURED, CONFIRMED, RESERVED, UNCANCELLED, UNPAID
from core.sagas.saga import MINUTES, SECONDS, Saga, Step, TurnBack

# fmt: off
BUYS = Saga(  # goes forward, and backward
    name="buys", definition=1, starts_on=OrderCreated, before=OrderShipped, turn_back=TurnBack.UNTIL_IT_ENDS,
    steps=(
        #    step       do         undo          holds        within
        Step("open",    nothing,   cancel_order, UNCANCELLED),
        Step("reserve", reserve,   release,      RESERVED,    30 * SECONDS),
        Step("charge",  authorize, void,         AUTHORISED,   5 * MINUTES),
        Step("confirm", confirm,   nothing,      CONFIRMED,   30 * SECONDS),
    ),
)
SENDS = Saga(  # goes forward only, until an operator turns it back
    name="sends", definition=1, starts_on=OrderShipped, forward_only=True, turn_back=TurnBack.EVEN_COMPLETED,
    steps=(
        #    step       do       undo     holds     owes
        Step("capture", capture, refund,  CAPTURED, owes=UNPAID),
        Step("ship",    ship,    nothing, None,     owes=RESERVED),
    ),
)
RETURNS = Saga(  # its steps are undos
    name="returns", definition=2, starts_on=OrderCancelled, after=BUYS.name, undoes=True,
    steps=(
        #    step       do       undo     holds  owes
        Step("void",    void,    nothing, None,  owes=AUTHORISED),
        Step("release", release, nothing, None,  owes=RESERVED),
    ),
)
RETURNS_FOR_EVER = Saga(
    name="returns", definition=1, starts_on=OrderCancelled, after=BUYS.name, forward_only=True, steps=RETURNS.steps,
)
