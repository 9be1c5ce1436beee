"""A projector that has to open its topics anew asks the closed ones nothing any more."""

from __future__ import annotations

import asyncio

from core.errors import Unavailable
from core.ports.deliveries import Delivery
from core.ports.shared_models import SharedChanges
from tests.support.feeds import as_if_undisturbed
from tests.support.memory_topics import MemoryClient, MemoryTopics
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.sharing import Sharer, reached, relayed, running


class PatientClient(MemoryClient):
    """Waits until records come, and knows whether anybody still waited for them when it was closed."""

    asked_at_close: list[int]
    asked = 0

    async def poll(self) -> Delivery:
        self.asked += 1
        try:
            while not (delivery := await super().poll()).marks:
                pass
            return delivery
        finally:
            await asyncio.sleep(0)  # as a client that has something to put in order
            self.asked -= 1

    async def close(self) -> None:
        self.asked_at_close.append(self.asked)
        await super().close()


async def test_when_a_save_fails_nobody_waits_any_more_for_topics_that_are_closed(opener: Opener, dsn: str) -> None:
    log = Sample(30, payments=True).events()
    topics = MemoryTopics()
    client = PatientClient(topics, ("order", "payment"))
    client.asked_at_close = []
    sharer = Sharer(opener, client, "process")
    save, failures = sharer.models.save, iter([Unavailable("the database is away")])

    async def save_at_the_second_try(changes: SharedChanges) -> None:
        for failure in failures:
            while not client.asked:
                await asyncio.sleep(0.001)
            raise failure
        await save(changes)

    sharer.models.save = save_at_the_second_try  # type: ignore[method-assign]
    await relayed(dsn, 0)
    async with running(sharer), asyncio.timeout(30):
        while not client.asked:
            await asyncio.sleep(0.001)
        await write(dsn, log)
        topics.copy(log)
        await relayed(dsn, len(log))
        await reached(dsn, len(log))
    assert [str(error) for error in sharer.errors] == ["the database is away"]
    assert set(client.asked_at_close) == {0}
    await as_if_undisturbed(opener, dsn)
