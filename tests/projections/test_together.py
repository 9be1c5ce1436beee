"""Batches that come while a projector works on the last one become one, up to a limit, in the order of the log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.deliveries import PlacesLost, TopicMark, TopicPlace
from core.services.fold_shares import Batch, together

PLACE = TopicPlace("order-events", 0)


def _batch(*positions: int) -> Batch:
    events = [
        StoredEvent(
            position=at,
            stream=StreamId(uuid.UUID(int=at)),
            category="order",
            version=1,
            event_id=uuid.UUID(int=at),
            event_type="order_placed",
            schema_version=1,
            payload="{}",
            metadata="",
            correlation_id=uuid.UUID(int=at),
            recorded_at=datetime.now(UTC),
        )
        for at in positions
    ]
    return Batch(events, {PLACE: TopicMark(max(positions))}, {})


async def test_what_comes_meanwhile_is_one_batch_and_the_limit_and_an_error_hold() -> None:
    read: list[int] = []

    async def batches() -> AsyncGenerator[Batch]:
        for positions in ((1,), (4, 3), (2,), (5,), (6,)):
            read.append(positions[0])
            yield _batch(*positions)
        raise PlacesLost([PLACE], "gone")

    taken: list[tuple[list[int], int]] = []
    with pytest.raises(PlacesLost):  # noqa: PT012 - the error comes after the batches
        async for batch in together(batches(), 3):
            taken.append(([event.position for event in batch.events], batch.marks[PLACE].next))
            for _ in range(20):
                await asyncio.sleep(0)  # the caller works
            assert len(read) - sum(len(positions) for positions, _ in taken) <= 3
    first, *others = (positions for positions, _ in taken)
    assert first[0] == 1
    assert len(others) < 4  # some were joined
    assert sorted(at for positions, _ in taken for at in positions) == [1, 2, 3, 4, 5, 6]  # all that came before it
    assert all(positions == sorted(positions) for positions, _ in taken)
    assert taken[-1][1] == 6
