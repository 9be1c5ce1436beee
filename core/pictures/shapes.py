"""The part of the query API's answer about one saga that its picture is drawn from; whatever may be missing, may be."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[datetime, Meta(tz=True)]


class WireTry(Struct, frozen=True):
    """One try of a step or of its undo. `final`: it was not to be tried again."""

    direction: str = "forward"
    attempt: Count = 0
    started_at: Moment | None = None
    ended_at: Moment | None = None
    outcome: str = ""
    error: str | None = None
    retry_at: Moment | None = None
    final: bool = False


class WireLane(Struct, frozen=True):
    """A step: what it does and what undoes it, in words, and every try of either. `open`: what it has left open."""

    step: str
    does: str = ""
    undo: str | None = None
    status: str = ""
    undo_status: str = ""
    tries: tuple[WireTry, ...] = ()
    open: tuple[str, ...] = ()


class WireMoney(Struct, frozen=True):
    amount: Decimal
    currency: str


class WireStock(Struct, frozen=True):
    sku: str
    quantity: Count


class WireOpen(Struct, frozen=True):
    """The money and the stock that a saga may still hold; `items` say it in words."""

    money: WireMoney | None = None
    stock: tuple[WireStock, ...] = ()
    items: tuple[str, ...] = ()


class WireSaga(Struct, frozen=True, kw_only=True):
    """A saga as the list has it. `step` is the one it stands at; `next_attempt_at`: when that is tried next.

    `at_risk`: the open money in the smallest unit of its currency.
    """

    saga_id: str
    name: str
    order_id: str
    order_number: str | None = None
    status: str
    step: str = ""
    state: str | None = None
    attempts: Count = 0
    last_error: str | None = None
    claimed: bool = False
    started_at: Moment | None = None
    updated_at: Moment | None = None
    deadline: Moment | None = None
    next_attempt_at: Moment | None = None
    open: WireOpen = WireOpen()
    at_risk: Count | None = None
    steps: dict[str, str] = {}


class PicturedSaga(WireSaga, frozen=True, kw_only=True):
    """One saga with its lanes; `lanes` is None if the service is of a release that does not answer them."""

    lanes: tuple[WireLane, ...] | None = None
    held_by: str | None = None
    lease_until: Moment | None = None
