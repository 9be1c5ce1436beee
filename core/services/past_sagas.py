"""Past sagas: the row of a saga as it was after its first events, made from these events. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.codec import UNREADABLE, StoredEvent
from core.domain import saga as events
from core.domain.message import Event, OrderId
from core.domain.order import Order, Status
from core.domain.payment import PaymentStatus
from core.ports.saga_lists import SagaListing, SagaState, SagaStatusName
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections.order_view import OrderView
from core.sagas import SAGAS
from core.sagas.holdings import open_money
from core.sagas.progress import Progress, SagaStatus, evolve
from core.sagas.saga import Move, Saga, next_move, unknown_table

UNFINISHED = frozenset({SagaStatus.RUNNING, SagaStatus.COMPENSATING})
LONGEST_FAILING = timedelta(minutes=15)  # without a deadline, a saga is overdue after that
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
EXPIRES_SOON = timedelta(hours=24)


class PastSaga:
    """A saga after those events of its stream that `take` got, in their order."""

    def __init__(self) -> None:
        self.started: events.SagaStarted | None = None
        self.started_at = self.updated_at = BEFORE_ALL
        self.retry_at: datetime | None = None
        self._progress: Progress | None = None

    @property
    def order_id(self) -> OrderId | None:
        return self.started.order_id if self.started else None

    def take(self, stored: StoredEvent) -> None:
        """Fold one more event. One that this release cannot read changes only the time of the last change."""
        self.updated_at = stored.recorded_at
        try:
            recorded = stored.recorded_for(SAGA_RUNNER)
        except UNREADABLE:
            return
        for each in recorded:
            self._take(each.event, each.recorded_at)

    def _take(self, event: Event, at: datetime) -> None:
        if isinstance(event, events.SagaStarted):
            self.started, self.started_at = event, at
        is_failure = isinstance(event, events.SagaStepFailed | events.SagaCompensationFailed)
        self.retry_at = event.retry_at if is_failure else None
        self._progress = evolve(self._progress, event, at)

    def listing(self, order: Order, view: OrderView | None, at: datetime) -> SagaListing | None:
        """Its row at this moment, given its order as it was then. None if the saga had not started.

        Which runner held it, and when a runner would take it up, is not in the log: only when a failed try would be
        repeated is known.
        """
        started, progress = self.started, self._progress
        if started is None or progress is None:
            return None
        key = (started.name, started.definition)
        table: Saga = SAGAS.get(key) or unknown_table(*key)
        move = next_move(table, progress) if table.steps else None
        expires_at = _authorization_ends_at(progress, view)
        state = self._state(progress, expires_at, at)
        amount = open_money(table, progress, order)
        currency = order.created.currency if order.created else None
        if state == "expiring" and view is not None:
            amount, currency = view.total_amount, view.currency
        unfinished = progress.status in UNFINISHED
        status: SagaStatusName = progress.status.value
        return SagaListing(
            saga_id=started.saga_id,
            name=started.name,
            definition=started.definition,
            order_id=started.order_id,
            order_number=view.order_number if view else None,
            status=status,
            step=move.step.name if isinstance(move, Move) else "",
            attempts=progress.attempts,
            last_error=progress.last_error,
            claimed=False,
            due_at=self.retry_at if unfinished else None,
            started_at=self.started_at,
            updated_at=self.updated_at,
            deadline=started.deadline if unfinished else None,
            state=state,
            next_attempt_at=self.retry_at if unfinished else None,
            open_amount=amount,
            currency=currency,
            at_risk=in_smallest_units(amount),
            authorization_ends_at=expires_at,
            authorization_ends_in=(expires_at - at).total_seconds() if expires_at else None,
        )

    def _state(self, progress: Progress, expires_at: datetime | None, at: datetime) -> SagaState | None:
        if progress.status is SagaStatus.FAILED:
            return "failed"
        if expires_at is not None and expires_at < at + EXPIRES_SOON:
            return "expiring"
        if progress.status not in UNFINISHED:
            return None
        assert self.started is not None  # noqa: S101 - `listing` has looked
        failing_until = self.started_at + LONGEST_FAILING if progress.attempts else None
        deadline = self.started.deadline or failing_until
        if deadline is not None and deadline < at:
            return "overdue"
        return "retrying" if progress.attempts else "running"


def in_smallest_units(amount: Decimal | None) -> int:
    """An amount in the smallest unit of its currency, by which lists are sorted; 0 for none."""
    if not amount or amount < 0:
        return 0
    exponent: Any = amount.as_tuple().exponent
    return int(amount.scaleb(-min(0, exponent)))


def _authorization_ends_at(progress: Progress, view: OrderView | None) -> datetime | None:
    """When the provider lets go of the amount, if the saga is completed and its order is not shipped."""
    if progress.status is not SagaStatus.COMPLETED or view is None or view.status is not Status.CONFIRMED:
        return None
    return view.payment_expires_at if view.payment_status is PaymentStatus.AUTHORIZED else None
