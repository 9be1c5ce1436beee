"""SagaStory: one saga of an order, folded from its events, and compared with its row in the table `sagas`. Pure."""

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
    """The tables of this release, and the newest table of each saga."""

    def __init__(self, tables: Tables) -> None:
        self.newest: Mapping[str, Saga] = newest(tables)
        self._tables = tables

    def table(self, name: str, definition: int) -> Saga:
        """The table of a definition. If this release does not have it, a table without steps."""
        return self._tables.get((name, definition)) or unknown_table(name, definition)


@dataclass
class SagaStory:
    """One saga. `first` and `last` are the positions of its first and last event.

    `over` is the position of its completion, or of its resolution by a person; 0 before that. `vouched` has a sentence
    for each thing that a person has vouched for.
    """

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
        """Fold the next event. Yields a sentence for each thing that cannot have happened."""
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
                self.vouched.append(f"{name} of order {order_id}: {event.step} skipped by {_operator(event)}")
            case sagas.SagaResolved():
                self.over = stored.position
                self.vouched.append(f"{name} of order {order_id} resolved by {_operator(event)}")
            case _:
                pass
        self.last = stored.position
        self.progress = evolve(self.progress, event, stored.recorded_at)

    def row(self, row: SagaSeen | None, order_id: OrderId) -> Finding | None:
        """What is wrong with the saga's row in `sagas`, or None."""
        if row is None:
            return Finding("I7", f"{self.name} has no row in sagas", self.saga_id, self.last)
        if row.epoch < self.epoch:
            what = f"the row's epoch is {row.epoch}, its events were written under {self.epoch}"
            return Finding("I8", what, self.saga_id, self.last)
        if self.unfinished and not row.due:
            what = f"{self.name} is unfinished, and no runner will ever claim it"
            return Finding("I7", what, self.saga_id, self.last)
        progress = self.progress
        actual = (row.name, row.definition, row.order_id, row.status)
        expected = (self.name, self.definition, order_id, progress.status.value)
        if self.unfinished and self.table.steps:  # the row of an ended saga has no step
            move = next_move(self.table, progress)
            actual = (*actual, row.step, row.attempts)
            expected = (*expected, move.step.name if isinstance(move, Move) else "", progress.attempts)
        if actual == expected:
            return None
        return Finding("I7", f"the row in sagas says {actual}, the stream {expected}", self.saga_id, self.last)


def _operator(event: sagas.OperatorEvent) -> str:
    return f"{event.by}: {event.reason}"
