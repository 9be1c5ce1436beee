"""Refund: has a part of a shipped order's money given back, or all of it, and never more than was captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from uuid_utils.compat import uuid7

from core.domain.message import Metadata, OrderId, StreamId, payment_of, saga_of
from core.domain.order import ORDER, Order, RefundOrder
from core.domain.payment import PAYMENT, Payment
from core.domain.refunds import Returned
from core.domain.saga import CATEGORY
from core.errors import NotAllowed
from core.ports.log import Answer, Entry, EventStore, NewEvent
from core.sagas import undone_after_its_end
from core.sagas.progress import Progress, SagaStatus, evolve
from core.services.execute import Decision, Describe, Outcome, Terms, run_command
from core.services.load import Loaded, load_state
from core.tracing import kept_traceparent


@dataclass(frozen=True, slots=True)
class WantedRefund:
    """`restock`: the units that came back; None for all that were shipped and are not back yet.

    `currency` is the order's, or None when the caller does not name it.
    """

    order_id: OrderId
    refund_id: str
    amount: Decimal
    reason: str
    restock: tuple[Returned, ...] | None
    now: datetime
    currency: str | None = None


async def refund(store: EventStore, wanted: WantedRefund, terms: Terms, describe: Describe[Order]) -> Outcome:
    """Record that the refund is wanted, which starts its saga. Raises what `run_command` raises."""
    return await run_command(store, _OnOrder(store, wanted, terms, describe), terms)


@dataclass(slots=True)
class _OnOrder:
    """The refund as a command on the order. Its append guards the payment, and the sagas that could refund as well."""

    store: EventStore
    wanted: WantedRefund
    terms: Terms
    describe: Describe[Order]
    order: Loaded[Order] = Loaded(ORDER.initial, 0, 0)  # noqa: RUF009 - it is immutable
    payment: Loaded[Payment] = Loaded(PAYMENT.initial, 0, 0)  # noqa: RUF009 - likewise
    guards: Sequence[Entry] = ()
    undone: str = ""

    @property
    def stream(self) -> StreamId:
        return StreamId(self.wanted.order_id)

    @property
    def category(self) -> str:
        return ORDER.category

    @property
    def now(self) -> datetime:
        return self.wanted.now

    async def load(self) -> int:
        order_id = self.wanted.order_id
        payment = StreamId(payment_of(order_id))
        self.order = await load_state(self.store, ORDER, self.stream, self.order)
        self.payment = await load_state(self.store, PAYMENT, payment, self.payment)
        guards = [Entry(payment, PAYMENT.category, self.payment.version)]
        self.undone = ""
        for name in undone_after_its_end():
            saga = StreamId(saga_of(order_id, name))
            progress: Progress | None = None
            events = await self.store.load(saga)
            for each in events:
                progress = evolve(progress, each.event, each.recorded_at)
            guards.append(Entry(saga, CATEGORY, len(events)))
            if progress is not None and SagaStatus.COMPENSATING in {progress.status, _failed_as(progress)}:
                self.undone = str(saga)
        self.guards = guards
        return self.order.version

    def decide(self) -> Decision:
        wanted, order = self.wanted, self.order
        command = RefundOrder(
            now=wanted.now,
            order_id=wanted.order_id,
            refund_id=wanted.refund_id,
            amount=wanted.amount,
            currency=wanted.currency,
            reason=wanted.reason,
            payment=self.payment.state,
            restock=wanted.restock,
        )
        events = ORDER.decide(command, order.state)
        if events and self.undone:
            raise NotAllowed(f"all that is left is being refunded already: saga {self.undone}")
        result, fields = self.describe(ORDER.fold(events, order.state))
        metadata = Metadata(
            correlation_id=self.stream,
            causation_id=self.terms.command_id(),
            user_id=self.terms.user_id,
            request_id=self.terms.request_id,
            traceparent=kept_traceparent(),
        )
        answer = Answer(result, self.stream, order.version + len(events), order.position, fields)
        new = [NewEvent(uuid7(), event, metadata) for event in events]
        return Decision(answer, Entry(self.stream, self.category, order.version, new), self.guards)


def _failed_as(progress: Progress) -> SagaStatus | None:
    return progress.failed_as if progress.status is SagaStatus.FAILED else None
