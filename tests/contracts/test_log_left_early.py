"""A projector that leaves the log before its end promises nothing that it has not read there."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from core.ports.deliveries import Delivery
from core.services import catch_up_row, project_shares
from tests.support.memory_topics import MemoryClient, MemoryTopics
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.sharing import Sharer, relayed, running, shares

UNKNOWN = 99  # no release knows this version of an event
NOT_READABLE = 60  # orders; behind more than 50 the reader stops


class SlowClient(MemoryClient):
    """Leaves whoever watches the topics enough time to note a position by their ends."""

    async def poll(self) -> Delivery:
        await asyncio.sleep(0.3)
        return await super().poll()


async def test_no_share_is_said_to_have_what_was_not_read_when_too_many_rows_wait(
    opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_shares, "BATCH", 80)
    monkeypatch.setattr(catch_up_row, "LISTEN", 0.1)
    topics = MemoryTopics()
    first = [event for event in Sample(300).events() if event.version == 1]
    bad = [replace(e, schema_version=UNKNOWN) for e in first if topics.partition(e) == 0][:NOT_READABLE]
    others = [event for event in first if topics.partition(event) != 0]
    log = [replace(event, position=n) for n, event in enumerate((*bad, *others), 1)]
    await write(dsn, log)
    topics.copy(log)
    await relayed(dsn, len(log))
    sharer = Sharer(opener, SlowClient(topics, ("order", "payment")), "process")
    async with running(sharer), asyncio.timeout(20):
        while len(sharer.errors) < 2:  # the event with which a share gets stuck, and then that the reader stops
            await asyncio.sleep(0.01)
    assert "the reader stops" in str(sharer.errors[1])
    there = {row["order_id"] for row in (await contents(dsn))["order_views"]}
    said = {share["share"]: share["position"] for share in await shares(dsn)}
    folded = [event for event in log if event.position <= said[topics.partition(event)]]
    assert len(there) > 0
    assert {event.stream for event in folded if event.schema_version != UNKNOWN} <= there
