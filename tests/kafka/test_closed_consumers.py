"""A consumer of aiokafka that is closed cancels nobody else, and keeps no connection."""

from __future__ import annotations

import asyncio

from core.adapters.kafka.connection import stop_consumer


class Client:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Consumer:
    """Its `stop` raises the cancellation of its own fetch before it closes its connections, as aiokafka 0.14 does."""

    def __init__(self) -> None:
        self._client = Client()

    async def stop(self) -> None:
        fetch = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        fetch.cancel()
        await fetch


async def test_who_closes_a_consumer_with_a_fetch_under_way_is_not_cancelled_and_its_connections_are_closed() -> None:
    consumer = Consumer()
    await stop_consumer(consumer, 5)
    assert consumer._client.closed


async def test_who_closes_a_consumer_that_never_ends_goes_on_after_the_limit() -> None:
    class Hanging(Consumer):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    consumer = Hanging()
    async with asyncio.timeout(5):
        await stop_consumer(consumer, 0.01)
    assert consumer._client.closed
