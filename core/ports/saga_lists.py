"""What the query API asks and learns about many sagas: lists, and what all unfinished ones are at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from core.domain.message import OrderId, SagaId
from core.ports.sagas import Backlog

SagaSort = Literal["-started_at", "-at_risk"]
"""How a list of sagas is sorted: the newest first, or those with the most money open first."""

SagaPlace: TypeAlias = tuple[datetime | int | Decimal, UUID]
"""The place of one saga in a sorted list: the saga's value that the list is sorted by, and the saga's id."""

SagaStatusName = Literal["RUNNING", "COMPLETED", "COMPENSATING", "COMPENSATED", "FAILED", "RESOLVED"]
SagaState = Literal["running", "waiting", "retrying", "overdue", "failed", "expiring"]
"""What is happening to a saga that has not ended.

Or `expiring`: it is completed, its order is not shipped yet, and the authorisation ends within a day or has ended.
"""


class SagaListing(Struct, frozen=True, kw_only=True):
    """A saga as operators see it.

    `claimed`: a runner works on it. `deadline` is the one of all its steps together. `next_attempt_at` is when a runner
    takes the saga up again; None while one works on it. `deadline` and `state` are None for a saga that has ended.
    `order_number` is None while the read model does not have the order.
    `held_by` is the runner whose lease has not run out, and `lease_until` is when it does; None while nobody holds it.
    `open_amount` is the money that it has open, None while that is not known, and `at_risk` the same in the smallest
    unit of its currency: lists are sorted by it.
    While the order of a completed saga is not shipped, `authorization_ends_at` is when the provider lets go of its
    amount, and `authorization_ends_in` are the seconds until then by the database's clock, negative after that.
    """

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    status: SagaStatusName
    step: str
    attempts: int
    last_error: str | None
    claimed: bool
    due_at: datetime | None
    started_at: datetime
    updated_at: datetime
    deadline: datetime | None
    state: SagaState | None
    next_attempt_at: datetime | None
    order_number: str | None = None
    held_by: str | None = None
    lease_until: datetime | None = None
    open_amount: Decimal | None = None
    currency: str | None = None
    at_risk: int = 0
    authorization_ends_at: datetime | None = None
    authorization_ends_in: float | None = None


class SagaSearch(Struct, frozen=True, kw_only=True):
    """Asks for at most `limit` sagas that fit: those after `start`, or just before it.

    A saga fits if its status is one of `statuses`, its state one of `states`, its id one of `saga_ids`, and its order
    is `order_id`; a field without a value leaves the choice open. `name` is how its name begins. `error` is a part of
    its last error, in capitals or not; only sagas that have not ended are searched for it.
    """

    statuses: Sequence[SagaStatusName] = ()
    states: Sequence[SagaState] = ()
    saga_ids: Sequence[UUID] = ()
    order_id: UUID | None = None
    name: str | None = None
    error: str | None = None
    sort: SagaSort = "-started_at"
    start: SagaPlace | None = None
    backwards: bool = False
    limit: int = 20


class SagaPage(Struct, frozen=True):
    """Sagas in their order. `more`: the list goes on in the direction in which the page was read.

    `reached`: reading stopped at that place before the page was full, and goes on after it.
    """

    sagas: Sequence[SagaListing]
    more: bool
    reached: SagaPlace | None = None


class SagasBegun(Struct, frozen=True, kw_only=True):
    """Asks for the places of at most `limit` sagas that had started `by` a moment, newest first, or backwards.

    `every`: of all. Else of those that may not have ended by then, if `unfinished`, those that are `ended` with one of
    these statuses today, and those with the ids that are `expiring`. The others narrow that down as in SagaSearch.
    """

    by: datetime
    every: bool
    unfinished: bool = False
    ended: Sequence[SagaStatusName] = ()
    expiring: Sequence[UUID] = ()
    saga_ids: Sequence[UUID] = ()
    order_id: UUID | None = None
    name: str | None = None
    start: SagaPlace | None = None
    backwards: bool = False
    limit: int = 20


class SagaErrors(Struct, frozen=True, kw_only=True):
    """Unfinished sagas with the same last error, apart from ids and numbers; `saga_id` is the last one that had it.

    `since` and `until` are when the first and the last of them came to where they are.
    """

    error: str
    count: int
    saga_id: SagaId
    since: datetime
    until: datetime


class SagaSummary(Struct, frozen=True, kw_only=True):
    """How many unfinished sagas there are by state and status, and their open money by currency.

    `at_risk` is that money by state and currency. `capped`: there are more sagas than are counted. `backlog` is what
    waits for a runner.
    """

    states: Mapping[SagaState, int]
    statuses: Mapping[SagaStatusName, int]
    money_open: Mapping[str, Decimal]
    at_risk: Mapping[SagaState, Mapping[str, Decimal]]
    errors: Sequence[SagaErrors]
    capped: bool
    backlog: Backlog
