"""The events of a saga. Its stream alone says how far the saga has come, and what it still has to undo."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from core.domain.message import Event, OrderId, SagaId

CATEGORY = "saga"

Direction = Literal["forward", "backward"]


class SagaEvent(Event, frozen=True, kw_only=True):
    saga_id: SagaId


class SagaStarted(SagaEvent, tag="SagaStarted", frozen=True, kw_only=True, omit_defaults=True):
    """`about`: which one it is, if its order may have several sagas of this name, such as the id of a refund."""

    name: str
    definition: int
    order_id: OrderId
    deadline: datetime | None = None
    about: str = ""


class StepEvent(SagaEvent, frozen=True, kw_only=True):
    step: str


class SagaStepStarted(StepEvent, tag="SagaStepStarted", frozen=True, kw_only=True):
    """Recorded before the provider is called with `key`: from now on the step may have had an effect."""

    direction: Direction
    attempt: int
    key: str


class SagaStepCompleted(StepEvent, tag="SagaStepCompleted", frozen=True, kw_only=True):
    result: str = ""


class SagaStepFailed(StepEvent, tag="SagaStepFailed", frozen=True, kw_only=True):
    """`final`: trying again would not help. Otherwise the step is tried again at `retry_at`."""

    attempt: int
    error: str
    final: bool
    retry_at: datetime | None = None


class SagaCompensationStarted(SagaEvent, tag="SagaCompensationStarted", frozen=True, kw_only=True):
    reason: str


class SagaStepCompensated(StepEvent, tag="SagaStepCompensated", frozen=True, kw_only=True):
    pass


class SagaCompensationFailed(StepEvent, tag="SagaCompensationFailed", frozen=True, kw_only=True):
    attempt: int
    error: str
    final: bool
    retry_at: datetime | None = None


class SagaCompleted(SagaEvent, tag="SagaCompleted", frozen=True, kw_only=True):
    pass


class SagaCompensated(SagaEvent, tag="SagaCompensated", frozen=True, kw_only=True):
    pass


class SagaFailed(SagaEvent, tag="SagaFailed", frozen=True, kw_only=True):
    """The saga needs a person. `open_items` says which money and stock is not settled."""

    reason: str
    open_items: tuple[str, ...] = ()


class OperatorEvent(SagaEvent, frozen=True, kw_only=True):
    reason: str
    by: str
    step: str | None = None


class SagaRetried(OperatorEvent, tag="SagaRetried", frozen=True, kw_only=True):
    pass


class SagaStepSkipped(OperatorEvent, tag="SagaStepSkipped", frozen=True, kw_only=True):
    pass


class SagaCompensationRequested(OperatorEvent, tag="SagaCompensationRequested", frozen=True, kw_only=True):
    pass


class SagaResolved(OperatorEvent, tag="SagaResolved", frozen=True, kw_only=True):
    pass


EVENTS: tuple[type[SagaEvent], ...] = (
    SagaStarted,
    SagaStepStarted,
    SagaStepCompleted,
    SagaStepFailed,
    SagaCompensationStarted,
    SagaStepCompensated,
    SagaCompensationFailed,
    SagaCompleted,
    SagaCompensated,
    SagaFailed,
    SagaRetried,
    SagaStepSkipped,
    SagaCompensationRequested,
    SagaResolved,
)


def finished(last: Event) -> bool:
    """Whether a saga with this last event has ended for good. A failed saga has not, since a person may still act."""
    return isinstance(last, SagaCompleted | SagaCompensated | SagaResolved)
