"""SagaStory: one saga of an order, folded from its events, and whether its row in `sagas` says the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.codec import StoredEvent
from core.domain import saga as sagas
from core.domain.message import OrderId, SagaId
from core.ports.evidence import Finding, SagaSeen
from core.sagas.progress import Progress, SagaStatus, StepStatus, evolve
from core.sagas.saga import Move, Saga, Tables, TurnBack, newest, next_move, unknown_table


class SagaRules:
    """What the tables of this release say."""

    def __init__(self, tables: Tables) -> None:
        self.newest: Mapping[str, Saga] = newest(tables)
        self._tables = tables

    def table(self, name: str, definition: int) -> Saga:
        """The table of an instance; of a definition that this release does not have, one that says nothing."""
        return self._tables.get((name, definition)) or unknown_table(name, definition)


@dataclass
class SagaStory:
    """Positions are of its first event, of its last, and of its completion or resolution; 0: none."""

    saga_id: SagaId
    name: str
    definition: int
    table: Saga
    first: int
    last: int
    progress: Progress
    over: int = 0
    epoch: int = 0
    open_items: tuple[str, ...] = ()
    vouched: list[str] = field(default_factory=list[str])

    @property
    def unfinished(self) -> bool:
        return self.progress.status in {SagaStatus.RUNNING, SagaStatus.COMPENSATING}

    def take(self, event: sagas.SagaEvent, stored: StoredEvent, order_id: OrderId) -> Iterator[str]:
        """Fold the next event; yields a sentence for each thing that cannot have happened."""
        name, status = self.name, self.progress.status
        ended = status in {SagaStatus.COMPENSATED, SagaStatus.RESOLVED, SagaStatus.COMPLETED}
        asks_for_it = isinstance(event, sagas.SagaCompensationRequested) and status is SagaStatus.COMPLETED
        if ended and not (asks_for_it and self.table.turn_back is TurnBack.EVEN_COMPLETED):
            yield f"{stored.event_type} of {name}, which was {status.lower()}"
        match event:
            case sagas.SagaStepCompleted(step=step) | sagas.SagaStepStarted(step=step, direction="forward"):
                if self.progress.of(step) is StepStatus.COMPENSATED:
                    yield f"{step} of {name} ran again after it was compensated"
            case sagas.SagaCompleted():
                self.over = stored.position
            case sagas.SagaFailed(open_items=items):
                self.open_items = items
            case sagas.SagaStepSkipped():
                self.vouched.append(f"{name} of order {order_id}: {event.step} skipped by {_who(event)}")
            case sagas.SagaResolved():
                self.over = stored.position
                self.vouched.append(f"{name} of order {order_id} resolved by {_who(event)}")
            case _:
                pass
        self.last = stored.position
        self.progress = evolve(self.progress, event, stored.recorded_at)

    def row(self, row: SagaSeen | None, order_id: OrderId) -> Finding | None:
        """What is wrong with its row in `sagas`, or None."""
        if row is None:
            return Finding("I7", f"{self.name} has no row in sagas", self.saga_id, self.last)
        if row.epoch < self.epoch:
            what = f"the row's epoch is {row.epoch}, its events were written under {self.epoch}"
            return Finding("I8", what, self.saga_id, self.last)
        if self.unfinished and not row.due:
            what = f"{self.name} is unfinished, and no runner will ever claim it"
            return Finding("I7", what, self.saga_id, self.last)
        progress = self.progress
        seen = (row.name, row.definition, row.order_id, row.status)
        due = (self.name, self.definition, order_id, progress.status.value)
        if self.unfinished and self.table.steps:  # of an ended one the row keeps no step
            move = next_move(self.table, progress)
            seen = (*seen, row.step, row.attempts)
            due = (*due, move.step.name if isinstance(move, Move) else "", progress.attempts)
        if seen == due:
            return None
        return Finding("I7", f"the row in sagas says {seen}, the stream {due}", self.saga_id, self.last)


def _who(event: sagas.OperatorEvent) -> str:
    return f"{event.by}: {event.reason}"
