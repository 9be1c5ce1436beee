"""The log of one order with its saga, among the events of something else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from core.domain.message import saga_of
from core.domain.saga import SagaCompleted, SagaStarted, SagaStepCompleted, SagaStepStarted
from tests.support.orders import write
from tests.support.samples import ORDER_ID, authorized, confirmed, created, replenished, reserved
from tests.support.stored_events import stored_events

SAGA = saga_of(ORDER_ID, "fulfil_order")
STORY = (
    created,
    SagaStarted(saga_id=SAGA, name="fulfil_order", definition=1, order_id=ORDER_ID),
    SagaStepCompleted(saga_id=SAGA, step="open_order"),
    reserved,
    SagaStepStarted(saga_id=SAGA, step="authorize_payment", direction="forward", attempt=1, key="k"),
    authorized,
    confirmed,
    SagaCompleted(saga_id=SAGA),
)


async def write_one_order(dsn: str) -> None:
    """Write the events of one order into the log, and other events between them."""
    events = [replace(event, correlation_id=ORDER_ID) for event in stored_events(STORY)]
    other = stored_events([replenished])[0]
    last = len(events) + 1
    await write(dsn, [*events, replace(other, position=last, stream=uuid4(), correlation_id=uuid4())])


def types(answer: Any) -> list[str]:
    return [event["event_type"] for event in answer["events"]]
